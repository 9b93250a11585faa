package server_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

func config4(listen string) string {
	return "server4:\n  listen: " + listen + "\n  plugins:\n    - server_id: 10.0.0.1\n" +
		"    - refusing:\n    - boot: boot.yml\n    - lease_time: 1h\n    - file: leases.txt\n"
}

var machine = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}

func discover(t *testing.T, mac net.HardwareAddr, change ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	msg, err := dhcpv4.NewDiscovery(mac, append([]dhcpv4.Modifier{
		dhcpv4.WithBroadcast(false), dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")),
	}, change...)...)
	must(t, err)
	return msg
}

func TestWhereRepliesGoOnTheWire(t *testing.T) {
	s := newSite(t)
	must(t, s.client.Address("eth0", netip.MustParsePrefix("10.9.0.1/32")))
	must(t, s.server.IP("route", "add", "10.9.0.1/32", "dev", "srv0"))
	s.starts(config4(`["%srv0", "10.0.0.1:4011"]`))
	card := newStation(t, s.client, "eth0")
	const everybody, all = "ff:ff:ff:ff:ff:ff", "255.255.255.255:67"
	gi, ci := dhcpv4.WithGatewayIP(net.IPv4(10, 9, 0, 1)), dhcpv4.WithClientIP(net.IPv4(10, 0, 0, 100))
	for _, c := range []struct {
		name, from, to string
		msg            *dhcpv4.DHCPv4
		way            string
	}{
		{"without the flag, next-server elsewhere", "0.0.0.0:68", all, discover(t, machine),
			"10.0.0.1:67 -> 10.0.0.101:68 at " + machine.String()},
		{"with the flag", "0.0.0.0:68", all, discover(t, machine, dhcpv4.WithBroadcast(true)), "10.0.0.1:67 -> 255.255.255.255:68 at " + everybody},
		{"no address for it", "0.0.0.0:68", all, discover(t, net.HardwareAddr{2, 0, 0, 0, 0, 9}), "10.0.0.1:67 -> 255.255.255.255:68 at " + everybody},
		{"refused", "0.0.0.0:68", all, discover(t, refused), "10.0.0.1:67 -> 255.255.255.255:68 at " + everybody},
		{"a renewal", "10.0.0.100:1068", "10.0.0.1:67", discover(t, machine, ci), "10.0.0.1:67 -> 10.0.0.100:1068 at " + card.mac.String()},
		{"port 4011", "10.0.0.100:4011", "10.0.0.1:4011", discover(t, machine, ci), "10.0.0.1:4011 -> 10.0.0.100:4011 at " + card.mac.String()},
		{"a relay", "10.0.0.100:67", "10.0.0.1:67", discover(t, machine, gi), "10.0.0.1:67 -> 10.9.0.1:67 at " + card.mac.String()},
		{"a relay with a port of its own", "10.9.0.1:1067", "10.0.0.1:67",
			discover(t, machine, gi, dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, []byte{19, 0})),
			"10.0.0.1:67 -> 10.9.0.1:1067 at " + card.mac.String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := card.insists(c.from, c.to, c.msg)
			if h.way != c.way {
				t.Errorf("%s, want %s", h.way, c.way)
			}
			if c.msg.ClientHWAddr.String() != refused.String() && h.ServerIPAddr.String() != "10.0.0.77" {
				t.Errorf("siaddr is %s", h.ServerIPAddr)
			}
		})
	}
	nak := card.insists("10.9.0.1:67", "10.0.0.1:67", discover(t, refused, gi))
	if !nak.IsBroadcast() || nak.MessageType() != dhcpv4.MessageTypeNak || !strings.Contains(nak.way, "10.9.0.1:67") {
		t.Errorf("a relayed NAK: %s %s", nak.way, nak.FlagsToString())
	}
	release := discover(t, machine, ci, dhcpv4.WithMessageType(dhcpv4.MessageTypeRelease))
	witness := newStation(t, s.client, "eth0") // since a station passes over what it does not wait for
	card.say("10.0.0.100:68", "10.0.0.1:67", release)
	card.insists("0.0.0.0:68", all, discover(t, machine)) // after which the other would have come
	if _, ok := witness.hears(release.TransactionID, time.Millisecond); ok {
		t.Error("a release was answered")
	}
}

func TestAnInterfaceThatGoesAndComesBackIsServedAgain(t *testing.T) {
	s := newSite(t)
	p, _ := s.starts(config4(`"%srv0"`))
	newStation(t, s.client, "eth0").insists("0.0.0.0:68", "255.255.255.255:67", discover(t, machine))

	must(t, s.server.IP("link", "set", "srv0", "down"))
	must(t, s.server.IP("link", "set", "srv0", "up"))
	newStation(t, s.client, "eth0").insists("0.0.0.0:68", "255.255.255.255:67", discover(t, machine))

	must(t, s.server.IP("link", "del", "srv0"))
	s.cable("srv0", "eth0", "10.0.0.2/24", "10.0.0.100/24")
	p.waits(t, "listening again")
	card := newStation(t, s.client, "eth0")
	for deadline := time.Now().Add(patient); ; {
		h := card.insists("0.0.0.0:68", "255.255.255.255:67", discover(t, machine))
		if h.way == "10.0.0.2:67 -> 10.0.0.101:68 at "+machine.String() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new address is not used: %s", h.way)
		}
	}
}

func TestTwoServersShareAHostByInterfaceAndNeverAPort(t *testing.T) {
	s := newSite(t)
	s.cable("srv1", "eth1", "10.0.1.1/24", "10.0.1.100/24")
	for _, listen := range []string{`"%srv0"`, `"%srv1"`} {
		if _, last := s.starts(config4(listen)); !strings.Contains(last, "ready") {
			t.Fatal(last)
		}
	}
	for _, name := range []string{"eth0", "eth1"} {
		newStation(t, s.client, name).insists("0.0.0.0:68", "255.255.255.255:67", discover(t, machine))
	}
	_, last := s.starts(config4(`"%srv0"`))
	for _, want := range []string{"config.yml:2: listen udp4 0.0.0.0:67", "port 67 is taken by", "pid ", "stop it or choose another server4.listen address", "--beside"} {
		if !strings.Contains(last, want) {
			t.Errorf("%q does not say %q", last, want)
		}
	}
}

func TestAnAddressThatIsListedTwiceIsRefused(t *testing.T) {
	s := newSite(t)
	_, last := s.starts(config4(`["%srv0", "%srv0:67"]`))
	if !strings.Contains(last, "config.yml:2: %srv0:67 stands there twice; leave one of them out") {
		t.Error(last)
	}
}

func TestBesideAnotherServerThatHasThePort(t *testing.T) {
	s := newSite(t)
	must(t, s.client.Address("eth0", netip.MustParsePrefix("10.9.0.1/32")))
	must(t, s.server.IP("route", "add", "10.9.0.1/32", "dev", "srv0"))
	var other net.PacketConn
	must(t, s.server.Do(func() (err error) {
		other, err = net.ListenPacket("udp4", "0.0.0.0:67")
		return err
	}))
	defer other.Close()
	s.starts(config4(`"%srv0"`), "SERVER_TEST_BESIDE=1")
	card := newStation(t, s.client, "eth0")
	for _, c := range []struct {
		from, to string
		msg      *dhcpv4.DHCPv4
		way      string
	}{
		{"0.0.0.0:68", "255.255.255.255:67", discover(t, machine), "10.0.0.1:67 -> 10.0.0.101:68 at " + machine.String()},
		{"0.0.0.0:68", "255.255.255.255:67", discover(t, machine, dhcpv4.WithBroadcast(true)), "10.0.0.1:67 -> 255.255.255.255:68 at ff:ff:ff:ff:ff:ff"},
		{"10.9.0.1:67", "10.0.0.1:67", discover(t, machine, dhcpv4.WithGatewayIP(net.IPv4(10, 9, 0, 1))), "10.0.0.1:67 -> 10.9.0.1:67 at " + card.mac.String()},
	} {
		if h := card.insists(c.from, c.to, c.msg); h.way != c.way {
			t.Errorf("%s, want %s", h.way, c.way)
		}
	}
	must(t, other.SetReadDeadline(time.Now().Add(patient)))
	if _, _, err := other.ReadFrom(make([]byte, 1500)); err != nil {
		t.Errorf("the other server hears nothing: %v", err)
	}
}

func TestDHCPv6OverMulticastAndThroughARelay(t *testing.T) {
	s := newSite(t)
	for space, name := range map[*nettest.Space]string{s.server: "srv0", s.client: "eth0"} {
		address := map[string]string{"srv0": "2001:db8::1/64", "eth0": "2001:db8::9/64"}[name]
		must(t, space.IP("addr", "add", address, "dev", name, "nodad"))
	}
	config := "server6:\n  listen: [\"[ff02::1:2%srv0]:547\", \"[2001:db8::1]:547\"]\n  plugins:\n    - server_id: LL 52:54:00:00:00:01\n"
	if _, last := s.starts(config); !strings.Contains(last, "ready") {
		t.Fatal(last)
	}
	solicit, err := dhcpv6.NewSolicit(machine)
	must(t, err)
	forward := dhcpv6.DHCPv6(solicit)
	for i := range 2 {
		forward = &dhcpv6.RelayMessage{
			MessageType: dhcpv6.MessageTypeRelayForward, HopCount: uint8(i), LinkAddr: net.ParseIP("2001:db8:9::1"), PeerAddr: net.ParseIP("fe80::9"),
			Options: dhcpv6.RelayOptions{Options: dhcpv6.Options{dhcpv6.OptRelayMessage(forward), dhcpv6.OptInterfaceID([]byte{byte(i)})}},
		}
	}
	card := newStation(t, s.client, "eth0")
	for name, c := range map[string]struct {
		from, to string
		msg      dhcpv6.DHCPv6
		want     dhcpv6.MessageType
	}{
		// By number: net remembers the numbers of names, whatever the namespace.
		"multicast": {"[::]:546", fmt.Sprintf("[ff02::1:2%%%d]:547", card.index), solicit, dhcpv6.MessageTypeAdvertise},
		"relayed":   {"[2001:db8::9]:547", "[2001:db8::1]:547", forward, dhcpv6.MessageTypeRelayReply},
	} {
		var conn net.PacketConn
		must(t, s.client.Do(func() (err error) {
			conn, err = net.ListenPacket("udp6", c.from)
			return err
		}))
		defer conn.Close()
		var reply dhcpv6.DHCPv6
		for deadline := time.Now().Add(patient); reply == nil && time.Now().Before(deadline); {
			_, err := conn.WriteTo(c.msg.ToBytes(), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(c.to)))
			if err != nil {
				t.Logf("%s: %v", name, err) // the link-local address is still being probed
			}
			buf := make([]byte, 1500)
			must(t, conn.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
			if n, from, err := conn.ReadFrom(buf); err == nil {
				reply, err = dhcpv6.FromBytes(buf[:n])
				must(t, err)
				if port := from.(*net.UDPAddr).Port; port != 547 {
					t.Errorf("%s: from port %d", name, port)
				}
			}
		}
		if reply == nil || reply.Type() != c.want {
			t.Fatalf("%s: %v", name, reply)
		}
		if msg, err := reply.GetInnerMessage(); err != nil || msg.MessageType != dhcpv6.MessageTypeAdvertise || msg.Options.ServerID() == nil {
			t.Errorf("%s: inside %v, %v", name, msg, err)
		}
	}
}

func TestASignalEndsItWell(t *testing.T) {
	s := newSite(t)
	p, _ := s.starts(config4(`"%srv0"`))
	must(t, p.Stop())
	if err := p.Err(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestAGroupWithoutAnInterfaceIsHeardOnThoseThatComeLater(t *testing.T) {
	s := newSite(t)
	p, last := s.starts("server6:\n  listen: \"[ff02::1:2]:547\"\n  plugins:\n    - server_id: LL 52:54:00:00:00:01\n")
	if !strings.Contains(last, "ready") {
		t.Fatal(last)
	}
	for range 2 { // it comes, goes, and comes again
		s.cable("srv1", "eth1", "10.0.1.1/24", "10.0.1.100/24")
		p.waits(t, `listening on a new interface" listen="[ff02::1:2%srv1]:547`)
		hearsAdvertise(t, s, "eth1")
		must(t, s.server.IP("link", "del", "srv1"))
	}
	hearsAdvertise(t, s, "eth0") // the first one is heard on
}

// hearsAdvertise asks everybody on a link until a DHCPv6 server answers.
func hearsAdvertise(t *testing.T, s *site, name string) {
	t.Helper()
	card := newStation(t, s.client, name)
	solicit, err := dhcpv6.NewSolicit(machine)
	must(t, err)
	var conn net.PacketConn
	must(t, s.client.Do(func() (err error) {
		conn, err = net.ListenPacket("udp6", "[::]:546")
		return err
	}))
	defer conn.Close()
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(fmt.Sprintf("[ff02::1:2%%%d]:547", card.index)))
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		if _, err := conn.WriteTo(solicit.ToBytes(), to); err != nil {
			t.Logf("%s: %v", name, err) // the link-local address is still being probed
		}
		buf := make([]byte, 1500)
		must(t, conn.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
		if n, _, err := conn.ReadFrom(buf); err == nil {
			reply, err := dhcpv6.FromBytes(buf[:n])
			must(t, err)
			if reply.Type() == dhcpv6.MessageTypeAdvertise {
				return
			}
		}
	}
	t.Fatalf("nobody answers on %s", name)
}
