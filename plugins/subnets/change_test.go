package subnets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// narrow is office with its pool, and what else is given.
func narrow(pool, more string) string {
	return strings.Replace(office, "10.1.1.100-10.1.1.102", pool, 1) + more
}

func TestAPoolThatShrinksAndReturns(t *testing.T) {
	l := newLab(t, office)
	for i, a := range []string{"10.1.1.100", "10.1.1.101", "10.1.1.102"} {
		l.machine(i).boots(a)
	}
	l.becomes(narrow("10.1.1.100-10.1.1.100", ""))
	l.machine(1).requests("NAK", has("10.1.1.101")) // it is not lent to it any more
	l.machine(1).discovers("silence")               // the only address is another's
	l.machine(3).requests("NAK", asks("10.1.1.101"))
	l.restarts()
	l.becomes(office)
	l.machine(3).discovers("silence")
	l.machine(3).requests("NAK", asks("10.1.1.101"))
	l.machine(1).requests("10.1.1.101", has("10.1.1.101"))
	l.machine(2).boots("10.1.1.102")
	l.clock.passes(time.Hour)
	l.machine(3).boots("10.1.1.100")
}

func TestAnAddressThatBecomesReservedWaitsForWhoHasIt(t *testing.T) {
	const reserved = "reservations: [{name: printer, mac: \"52:54:00:aa:00:07\", address: 10.1.1.100}]\n"
	l := newLab(t, office)
	guest, printer := l.machine(1), l.machine(7)
	guest.boots("10.1.1.100")
	l.becomes(office + reserved)
	printer.requests("NAK", asks("10.1.1.100"))
	printer.boots("10.1.1.101") // for now
	if !strings.Contains(l.log.String(), "not its own address") {
		t.Error("nobody is warned")
	}
	printer.requests("10.1.1.101", has("10.1.1.101"))
	guest.requests("NAK", has("10.1.1.100"))
	guest.boots("10.1.1.102")
	printer.requests("NAK", has("10.1.1.101")) // its own is free now
	printer.boots("10.1.1.100")
	printer.requests("10.1.1.100", has("10.1.1.100"))

	l.becomes(office) // it is no printer any more
	l.machine(2).requests("NAK", asks("10.1.1.100"))
	printer.requests("10.1.1.100", has("10.1.1.100"))
}

func TestABrokenFileKeepsTheOldOneServing(t *testing.T) {
	l := newLab(t, office)
	l.machine(1).boots("10.1.1.100")
	for _, broken := range []string{"networks: 7\n", narrow("10.1.1.100-10.1.2.1", ""), "leases: elsewhere\n" + office} {
		l.write(broken)
		if err := l.reload(); err == nil {
			t.Errorf("taken:\n%s", broken)
		}
		l.machine(2).boots("10.1.1.101")
		l.machine(1).requests("10.1.1.100", has("10.1.1.100"))
	}
}

func TestANetworkThatIsRenamedOrDividedKeepsItsLeases(t *testing.T) {
	const two = `
networks:
  - name: old
    subnets:
      - {subnet: 10.1.1.0/25, pools: [10.1.1.100-10.1.1.101]}
      - {subnet: 10.1.1.128/25, pools: [10.1.1.200-10.1.1.201]}
`
	l := newLab(t, two)
	for i, a := range []string{"10.1.1.100", "10.1.1.101", "10.1.1.200", "10.1.1.201"} {
		l.machine(i).boots(a)
	}
	l.becomes(strings.Replace(two, "old", "new", 1))
	l.machine(2).requests("10.1.1.200", has("10.1.1.200"))
	l.becomes(`
networks:
  - {subnet: 10.1.1.0/25, pools: [10.1.1.100-10.1.1.101]}
  - {subnet: 10.1.1.128/25, pools: [10.1.1.200-10.1.1.201]}
`)
	for i, a := range []string{"10.1.1.100", "10.1.1.101", "10.1.1.200", "10.1.1.201"} {
		l.machine(i).requests(a, has(a))
	}
}

func TestMachinesBehindRelaysAreInTheirNetworks(t *testing.T) {
	l := newLab(t, office+`
  - name: campus
    subnets:
      - {subnet: 10.3.0.0/24, pools: [10.3.0.100-10.3.0.100]}
      - {subnet: 10.4.0.0/24, pools: [10.4.0.100-10.4.0.109], options: {routers: 10.4.0.1}}
authoritative: true
`)
	l.machine(1).boots("10.3.0.100", via("10.3.0.1"))
	ack := l.machine(2).boots("10.4.0.100", via("10.4.0.1"))
	if ack == nil || ack.Router()[0].String() != "10.4.0.1" {
		t.Errorf("%v", ack)
	}
	l.machine(3).discovers("10.4.0.101", via("10.3.0.1")) // the first subnet of its network is full
	l.machine(4).discovers("silence", via("10.99.0.1"))
	// What the relay, or the client, selects comes before the relay's address.
	l.machine(5).discovers("10.4.0.102", via("10.1.1.1"), option(relayInfo, "\x05\x04\x0a\x04\x00\x00"))
	reply := l.machine(6).discovers("10.4.0.103", option(118, "\x0a\x04\x00\x00"))
	if v := reply.Options[118]; string(v) != "\x0a\x04\x00\x00" {
		t.Errorf("option 118 comes back as %x", v)
	}
	l.machine(2).requests("10.4.0.100", has("10.4.0.100")) // by unicast, through routers
	nak := l.machine(8).requests("NAK", via("10.3.0.1"), asks("10.1.1.101"), option(relayInfo, "\x01\x04eth0"))
	if nak == nil || string(nak.Options[relayInfo]) != "\x01\x04eth0" {
		t.Errorf("option 82 does not come back: %v", nak)
	}
	// A machine on a trunk has one hardware address, and a lease in each network.
	l.machine(1).boots("10.1.1.100")
	l.machine(1).requests("10.3.0.100", has("10.3.0.100"))
}

func TestMachinesThatAreKnown(t *testing.T) {
	l := newLab(t, office+`
  - {subnet: 10.2.0.0/24, pools: [10.2.0.100-10.2.0.109]}
reservations:
  - {name: server, mac: ["52:54:00:aa:00:01", "52:54:00:aa:00:02"], address: [10.1.1.10, 10.2.0.10], options: {host-name: server}, lease-time: 7d}
  - {name: by-id, client-id: "01:aa:bb", address: 10.1.1.11}
  - {name: by-name, client-id: printer, address: 10.1.1.100}
  - {name: by-port, circuit-id: eth7, remote-id: "0x5254", address: 10.2.0.12, file: port.efi}
  - {name: by-switch, remote-id: "0x5254", file: switch.efi}
  - {name: elsewhere, mac: "52:54:00:aa:00:09", address: 10.2.0.19, file: elsewhere.efi}
  - {name: stolen, mac: "52:54:00:aa:00:08", ignore: true}
`)
	server := l.machine(1)
	ack := server.boots("10.1.1.10", option(55, "\x0c"), option(51, "\x00\x10\x00\x00"))
	if ack == nil || ack.HostName() != "server" || ack.IPAddressLeaseTime(0) != 7*24*time.Hour {
		t.Errorf("%v", ack)
	}
	server.boots("10.2.0.10", via("10.2.0.1"))
	server.requests("NAK", asks("10.1.1.100"))
	l.machine(3).boots("10.1.1.11", option(clientID, "\x01\xaa\xbb"))
	l.machine(4).boots("10.1.1.100", option(clientID, "printer"))
	l.machine(5).boots("10.1.1.101") // a reserved address is not lent to others
	l.machine(5).requests("NAK", asks("10.1.1.100"))
	port := option(relayInfo, "\x01\x04eth7\x02\x02RT")
	if ack := l.machine(6).boots("10.2.0.12", via("10.2.0.1"), port); ack == nil || ack.BootFileName != "port.efi" {
		t.Errorf("%v", ack)
	}
	if ack := l.machine(6).requests("10.2.0.12", has("10.2.0.12")); ack == nil || ack.BootFileName != "port.efi" {
		t.Errorf("who renews without its relay is somebody else: %v", ack)
	}
	if ack := l.machine(7).boots("10.2.0.100", via("10.2.0.1"), option(relayInfo, "\x02\x02RT")); ack == nil || ack.BootFileName != "switch.efi" {
		t.Errorf("%v", ack)
	}
	if ack := l.machine(9).boots("10.1.1.102"); ack == nil || ack.BootFileName != "" {
		t.Errorf("a machine whose addresses are elsewhere is a stranger: %v", ack)
	}
	l.machine(8).discovers("silence")
	// Another card, or another machine at the port, is the same to the operator.
	l.machine(2).boots("10.1.1.10")
	l.machine(16).boots("10.2.0.12", via("10.2.0.1"), port)
}

func TestPoolsByClassAndByWhoIsKnown(t *testing.T) {
	l := newLab(t, `
classes:
  - name: pxe
    when: substring(option vendor-class-identifier, 0, 9) = "PXEClient"
    file: boot.efi
    lease-time: 1m
networks:
  - subnet: 10.1.1.0/24
    pools:
      - {range: 10.1.1.10-10.1.1.19, allow: pxe}
      - {range: 10.1.1.20-10.1.1.29, deny: [pxe, unknown], file: known}
      - {range: 10.1.1.30-10.1.1.39, allow: unknown, deny: pxe}
reservations:
  - {mac: "52:54:00:aa:00:05"}
`)
	rom, known, stranger := l.machine(1, option(vendorClass, "PXEClient:Arch:00007")), l.machine(5), l.machine(6)
	if ack := rom.boots("10.1.1.10"); ack == nil || ack.BootFileName != "boot.efi" || ack.IPAddressLeaseTime(0) != time.Minute {
		t.Errorf("%v", ack)
	}
	if ack := known.boots("10.1.1.20"); ack == nil || ack.BootFileName != "known" {
		t.Errorf("%v", ack)
	}
	stranger.boots("10.1.1.30")
	stranger.requests("silence", asks("10.1.1.11"))
	rom.more = nil // its system has started
	rom.requests("NAK", asks("10.1.1.10"))
	rom.boots("10.1.1.31")
}

func TestStrangersAreDenied(t *testing.T) {
	l := newLab(t, office+`    deny: unknown
  - {subnet: 10.2.0.0/24, pools: [10.2.0.100-10.2.0.109]}
reservations:
  - {mac: "52:54:00:aa:00:05"}
`)
	l.machine(1).discovers("silence")
	l.machine(1).requests("silence", asks("10.1.1.100"))
	l.machine(5).boots("10.1.1.100")
	l.machine(1).boots("10.2.0.100", via("10.2.0.1"))
	if !strings.Contains(l.log.String(), "it is unknown, which the file denies") {
		t.Error(l.log.String())
	}
}

// Vector F54.
func TestBOOTPIsServedOnDemand(t *testing.T) {
	const machines = "reservations: [{mac: \"52:54:00:aa:00:05\", address: 10.1.1.50, options: {routers: 10.1.1.1}}]\n"
	l := newLab(t, office+machines)
	old, known := l.machine(1), l.machine(5)
	known.gets(known.sends(dhcpv4.MessageTypeNone), "silence")
	old.gets(old.sends(dhcpv4.MessageTypeNone), "silence")
	l.becomes(strings.Replace(office, "[10.1.1.100-10.1.1.102]", "[10.1.1.100-10.1.1.102, {range: 10.1.1.111, bootp: true}]", 1) + machines + "bootp: true\n")
	reply := known.sends(dhcpv4.MessageTypeNone)
	known.gets(reply, "10.1.1.50")
	for code := range reply.Options {
		if code != 1 && code != 3 && code != 6 {
			t.Errorf("a BOOTP reply has option %d", code)
		}
	}
	old.gets(old.sends(dhcpv4.MessageTypeNone), "10.1.1.111")
	l.clock.passes(100 * 365 * 24 * time.Hour)
	l.machine(2).gets(l.machine(2).sends(dhcpv4.MessageTypeNone), "silence")
	old.gets(old.sends(dhcpv4.MessageTypeNone), "10.1.1.111")
}

func TestLeaseTimes(t *testing.T) {
	for _, c := range []struct{ times, asked, want string }{
		{"lease-time: {default: 10m, min: 5m, max: 2h}", "", "10m0s"},
		{"lease-time: {default: 10m, min: 5m, max: 2h}", "\x00\x00\x00\x05", "5m0s"},
		{"lease-time: {default: 10m, min: 5m, max: 2h}", "\x00\x01\x00\x00", "2h0m0s"},
		{"lease-time: {default: 10m, min: 5m, max: 2h}", "\x00\x00\x04\x00", "17m4s"},
		{"lease-time: 7d", "", "168h0m0s"},
		{"lease-time: {default: 7d}", "", "168h0m0s"},
		{"lease-time: 30s", "\x00\x01\x00\x00", "30s"},
		{"", "", "12h0m0s"},
		{"lease-time: forever", "", "1193046h28m15s"},
		{"lease-time: {default: 1h, max: forever}", "\xff\xff\xff\xff", "1193046h28m15s"},
	} {
		l := newLab(t, strings.Replace(office, "lease-time: 10m", c.times, 1))
		var more []dhcpv4.Modifier
		if c.asked != "" {
			more = append(more, option(51, c.asked))
		}
		for range 2 {
			if got := l.machine(1).boots("10.1.1.100", more...).IPAddressLeaseTime(0).String(); got != c.want && c.want > "13" {
				t.Errorf("%s, asked %q: %s, want %s", c.times, c.asked, got, c.want)
			}
		}
	}
}

func TestINFORMIsAnsweredWhereTheServerIsAuthoritative(t *testing.T) {
	l := newLab(t, office)
	l.machine(1).gets(l.machine(1).sends(dhcpv4.MessageTypeInform, has("10.1.1.20")), "silence")
	l.becomes(office + "authoritative: true\n")
	reply := l.machine(1).sends(dhcpv4.MessageTypeInform, has("10.1.1.20"))
	if reply == nil || !reply.YourIPAddr.IsUnspecified() || reply.IPAddressLeaseTime(0) != 0 || len(reply.Router()) != 1 || !reply.ClientIPAddr.Equal(ip("10.1.1.20")) {
		t.Errorf("%v", reply)
	}
	l.machine(1).gets(l.machine(1).sends(dhcpv4.MessageTypeInform, has("172.16.0.9")), "silence")
}
