package server_test

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// udhcpc asks until it has an address, and tells what it said.
func udhcpc(t *testing.T, space *nettest.Space, ifname string) string {
	t.Helper()
	must(t, space.IP("link", "set", ifname, "address", machine.String()))
	said, err := space.Command("busybox", "udhcpc", "-i", ifname, "-f", "-n", "-q", "-t", "20", "-T", "1", "-s", "/bin/true").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return string(said)
}

func TestUdhcpcTakesALeaseByUnicast(t *testing.T) {
	must(t, nettest.Need("busybox"))
	s := newSite(t)
	s.starts(config4(`"%srv0"`))
	if said := udhcpc(t, s.client, "eth0"); !strings.Contains(said, "lease of 10.0.0.101 obtained from 10.0.0.1") {
		t.Error(said)
	}
}

func TestUdhcpcTakesALeaseThroughDnsmasqsRelay(t *testing.T) {
	must(t, nettest.Need("busybox", "dnsmasq"))
	s := newSite(t)
	n := nettest.New(t)
	laptop, err := n.Space("laptop")
	must(t, err)
	must(t, s.client.Veth("lan0", laptop, "eth0"))
	must(t, s.client.Address("lan0", netip.MustParsePrefix("10.9.0.1/24")))
	must(t, s.server.IP("route", "add", "10.9.0.0/24", "via", "10.0.0.100"))
	s.starts(config4(`"%srv0"`))
	_, err = s.client.Start(s.client.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
		"--pid-file="+t.TempDir()+"/pid", "--user=root", "--dhcp-relay=10.9.0.1,10.0.0.1"))
	must(t, err)
	if said := udhcpc(t, laptop, "eth0"); !strings.Contains(said, "lease of 10.0.0.101 obtained") {
		t.Error(said)
	}
}

// throughDhcrelay has 20,000 machines ask through ISC's relay, which reads its links by packet sockets, and returns how
// many of them heard nothing, and how many messages the server sent.
func throughDhcrelay(t *testing.T, cable func(server, relay *nettest.Space) error) (lost int, sent uint64) {
	t.Helper()
	n := nettest.New(t)
	s := &site{t: t}
	var machines *nettest.Space
	for name, space := range map[string]**nettest.Space{"server": &s.server, "relay": &s.client, "machines": &machines} {
		var err error
		*space, err = n.Space(name)
		must(t, err)
	}
	must(t, cable(s.server, s.client))
	must(t, s.client.Veth("lan0", machines, "eth0"))
	must(t, s.server.Address("srv0", netip.MustParsePrefix("10.0.0.1/24")))
	must(t, s.client.Address("eth0", netip.MustParsePrefix("10.0.0.100/24")))
	must(t, s.client.Address("lan0", netip.MustParsePrefix("10.9.0.1/16")))
	must(t, s.server.IP("route", "add", "10.9.0.0/16", "via", "10.0.0.100"))
	p, _ := s.starts("server4:\n  listen: \"%srv0\"\n  plugins:\n    - server_id: 10.0.0.1\n    - boot: boot.yml\n")
	go func() { // ends with the server, which has a line for each request
		for range p.said {
		}
	}()
	_, err := s.client.Start(s.client.Command("dhcrelay", "-4", "-d", "--no-pid", "-id", "lan0", "-iu", "eth0", "10.0.0.1"))
	must(t, err)
	var port *dhcp.Port
	must(t, machines.Do(func() (err error) {
		port, err = dhcp.Attached("eth0")
		return err
	}))
	defer port.Close()
	plan := dhcp.Plan{
		Profiles: []dhcp.Profile{{Firmware: dhcp.PXE}}, Machines: 20_000, OfferOnly: true, Window: 64, For: patient,
		Timeout: time.Second, CPU: -1,
	}
	first := plan
	first.Exchanges, first.Window = 1, 1
	for end := time.Now().Add(patient); ; { // until the relay relays
		result, err := first.Run(t.Context(), port)
		must(t, err)
		if result.Done == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing comes through the relay: %+v", result.Faults)
		}
	}
	before := s.sent()
	plan.Exchanges = plan.Machines
	result, err := plan.Run(t.Context(), port)
	must(t, err)
	return result.Lost, s.sent() - before
}

// sent is how many UDP messages have left the server's namespace. A bundle is one.
func (s *site) sent() (count uint64) {
	must(s.t, s.server.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		_, udp, _ := strings.Cut(string(text), "\nUdp: ")
		_, udp, _ = strings.Cut(udp, "\nUdp: ")
		count, err = strconv.ParseUint(strings.Fields(udp)[3], 10, 64) // OutDatagrams
		return err
	}))
	return count
}

func TestRepliesReachTheISCRelayWhetherTheyLeaveAsBundlesOrNot(t *testing.T) {
	must(t, nettest.Need("dhcrelay"))
	for name, c := range map[string]struct {
		bundled bool
		cable   func(server, relay *nettest.Space) error
	}{
		"a card that has the kernel cut them up": {true, func(server, relay *nettest.Space) error {
			return server.Veth("srv0", relay, "eth0")
		}},
		"a virtual interface that does not": {false, func(server, relay *nettest.Space) error {
			return errors.Join(
				server.IP("link", "add", "srv0", "type", "veth", "peer", "name", "eth0", "netns", relay.Name()),
				server.IP("link", "set", "srv0", "up"), relay.IP("link", "set", "eth0", "up"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			lost, sent := throughDhcrelay(t, c.cable)
			if lost > 200 { // the relay itself may be late
				t.Errorf("%d of 20000 machines hear nothing", lost)
			}
			if got := sent < 19_000; got != c.bundled {
				t.Errorf("the server sent %d messages", sent)
			}
			t.Logf("%d machines hear nothing; the server sent %d messages", lost, sent)
		})
	}
}
