package subnets_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const office = `
networks:
  - subnet: 10.1.1.0/24
    options: {routers: 10.1.1.1, domain-name-servers: [10.1.1.53, 10.1.1.54]}
    pools: [10.1.1.100-10.1.1.102]
    lease-time: 10m
`

// Vectors F42, F49 and F52 of the clients' field notes.
func TestROMAndIPXEAndSystemOfOneMachineHaveOneAddress(t *testing.T) {
	l := newLab(t, office)
	dell := l.machine(1)
	ack := dell.boots("10.1.1.100")
	if got := ack.SubnetMask().String() + " " + ack.Router()[0].String() + " " + ack.IPAddressLeaseTime(0).String(); got != "ffffff00 10.1.1.1 10m0s" {
		t.Error(got)
	}
	dell.boots("10.1.1.100", option(clientID, "\x01"+string(dell.mac)))
	l.machine(2).boots("10.1.1.101")
	dell.boots("10.1.1.100", option(clientID, "\xff12345"), dhcpv4.WithOption(dhcpv4.OptHostName("dell\n")))
	if renew := dell.requests("10.1.1.100", has("10.1.1.100")); renew == nil || !renew.ClientIPAddr.Equal(ip("10.1.1.100")) {
		t.Error("an ACK of a renewal has its ciaddr")
	}
	if strings.Contains(l.log.String(), "dell\n") {
		t.Error("a client's text is in the log as it came")
	}
}

func TestByClientIDEachSystemOfAMachineHasItsOwnAddress(t *testing.T) {
	l := newLab(t, office+"identity: client-id\n")
	dell := l.machine(1)
	dell.boots("10.1.1.100", option(clientID, "rom"))
	dell.boots("10.1.1.101", option(clientID, "system"))
	dell.boots("10.1.1.102")
	l.machine(2).boots("10.1.1.100", option(clientID, "rom"))
}

// Vector F03.
func TestWhoChoosesAnotherServerGetsSilenceAndItsOfferIsFree(t *testing.T) {
	l := newLab(t, office)
	rom := l.machine(1)
	rom.discovers("10.1.1.100")
	rom.requests("silence", asks("10.1.1.150"), chooses("10.1.1.2"))
	l.machine(2).boots("10.1.1.100")
}

// Vector F53.
func TestRebootWithAnAddress(t *testing.T) {
	for _, c := range []struct{ name, asks, plain, authoritative string }{
		{"of another network", "192.168.9.9", "silence", "NAK"},
		{"that nobody has", "10.1.1.102", "10.1.1.102", "10.1.1.102"},
		{"that somebody has", "10.1.1.100", "NAK", "NAK"},
		{"that is in no pool", "10.1.1.9", "silence", "silence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for file, want := range map[string]string{office: c.plain, office + "authoritative: true\n": c.authoritative} {
				l := newLab(t, file)
				l.machine(1).boots("10.1.1.100")
				nak := l.machine(2).requests(want, asks(c.asks))
				if want == "NAK" && (nak == nil || !nak.IsBroadcast() || len(nak.Options) != 3 || nak.Message() == "") {
					t.Errorf("%v", nak)
				}
			}
		})
	}
	l := newLab(t, office)
	m := l.machine(1)
	m.requests("silence")
	m.boots("10.1.1.100")
	m.requests("NAK", asks("10.1.1.101")) // its own is another one
}

func TestWhatIsReleasedIsFreeAndWhatIsDeclinedRests(t *testing.T) {
	l := newLab(t, office)
	a, b := l.machine(1), l.machine(2)
	a.boots("10.1.1.100")
	b.boots("10.1.1.101")
	a.gets(a.sends(dhcpv4.MessageTypeRelease, has("10.1.1.100"), chooses("10.1.1.9")), "silence") // another server's
	a.gets(a.sends(dhcpv4.MessageTypeRelease, has("10.1.1.101")), "silence")                      // another machine's
	b.gets(b.sends(dhcpv4.MessageTypeDecline, asks("10.1.1.101")), "silence")
	b.boots("10.1.1.102")
	l.machine(3).discovers("silence")
	if n := strings.Count(l.log.String(), "no address is free"); n != 1 {
		t.Errorf("the log says %d times that the pool is exhausted", n)
	}
	a.gets(a.sends(dhcpv4.MessageTypeRelease, has("10.1.1.100")), "silence")
	l.machine(3).boots("10.1.1.100")
	l.clock.passes(25 * time.Hour)
	l.machine(4).boots("10.1.1.100", asks("10.1.1.100"))
	l.machine(5).boots("10.1.1.102")
	l.machine(6).boots("10.1.1.101")
}

// Vector F46: it never sends a REQUEST, so its offer must not run out.
func TestARaspberryPisROMHasItsLeaseWithTheOffer(t *testing.T) {
	l := newLab(t, office)
	pi := l.machine(1, option(vendorClass, "PXEClient:Arch:00000:UNDI:002001"), option(93, "\x00\x00"), option(97, "\x00"+strings.Repeat("\x44", 16)))
	pi.mac = net.HardwareAddr{0xb8, 0x27, 0xeb, 1, 2, 3}
	if offer := pi.discovers("10.1.1.100"); offer != nil && offer.MessageType() != dhcpv4.MessageTypeOffer {
		t.Errorf("is answered with %s", offer.MessageType())
	}
	if !strings.Contains(l.log.String(), "msg=leased") {
		t.Errorf("no lease:\n%s", l.log.String())
	}
	l.clock.passes(5 * time.Minute) // an offer is kept for two
	l.restarts()
	l.machine(2).boots("10.1.1.101")
	l.machine(3).requests("NAK", asks("10.1.1.100"))
	pi.discovers("10.1.1.100")
}

func TestLeasesSurviveARestart(t *testing.T) {
	l := newLab(t, office)
	l.machine(1).boots("10.1.1.100")
	l.restarts()
	l.machine(2).boots("10.1.1.101")
	l.machine(1).requests("10.1.1.100", has("10.1.1.100"))
}
