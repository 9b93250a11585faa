package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/server"
)

// role makes this test program, started again, a server in another namespace: its configuration's path.
const role = "SERVER_TEST_CONFIG"

func TestMain(m *testing.M) {
	if path := os.Getenv(role); path != "" {
		if err := serve(path, os.Getenv("SERVER_TEST_BESIDE") != ""); err != nil {
			fmt.Fprintln(os.Stdout, "failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serve(path string, beside bool) error {
	log := logger.GetLogger("main")
	log.Logger.SetOutput(os.Stdout)
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return err
	}
	bootPlugin := boot.New(boot.Env{})
	byName, names := map[string]*plugins.Plugin{}, []string{}
	for _, p := range append(server.Stock(), &bootPlugin, &refusing) {
		byName[p.Name] = p
		names = append(names, p.Name)
	}
	c, err := server.Load(path, names)
	if err != nil {
		return err
	}
	chain, err := server.NewChain(c, byName)
	if err != nil {
		return err
	}
	engine, err := server.Open(c, chain, server.Options{Beside: beside}, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	return daemon.Run(context.Background(), log, engine)
}

// refusing says no to the machine with this address.
var refused = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0xee}

var refusing = plugins.Plugin{Name: "refusing", Setup4: func(...string) (handler.Handler4, error) {
	return func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		if req.ClientHWAddr.String() == refused.String() {
			resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
			return resp, true
		}
		return resp, false
	}, nil
}}

// site is a server's namespace and a client's, with a cable between.
type site struct {
	t              *testing.T
	server, client *nettest.Space
}

func newSite(t *testing.T) *site {
	t.Helper()
	n := nettest.New(t)
	s := &site{t: t}
	var err error
	s.server, err = n.Space("server")
	must(t, err)
	s.client, err = n.Space("client")
	must(t, err)
	s.cable("srv0", "eth0", "10.0.0.1/24", "10.0.0.100/24")
	return s
}

func (s *site) cable(name, far, address, farAddress string) {
	s.t.Helper()
	must(s.t, s.server.Veth(name, s.client, far))
	must(s.t, s.server.Address(name, netip.MustParsePrefix(address)))
	must(s.t, s.client.Address(far, netip.MustParsePrefix(farAddress)))
}

// program is a server that runs.
type program struct {
	*nettest.Process
	said chan string
}

// starts starts a server with this configuration, and waits until it is ready or has failed; it returns its last line.
func (s *site) starts(config string, env ...string) (*program, string) {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, text := range map[string]string{
		"config.yml": config, "leases.txt": "52:54:00:00:00:01 10.0.0.101\n52:54:00:00:00:ee 10.0.0.102\n",
		"boot.yml": "next-server: 10.0.0.77\nrules: [{arch: bios, file: undionly.kpxe}]\n",
	} {
		must(s.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cmd := s.server.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), role+"="+filepath.Join(dir, "config.yml")), env...)
	out, err := cmd.StdoutPipe()
	must(s.t, err)
	process, err := s.server.Start(cmd)
	must(s.t, err)
	p := &program{process, make(chan string, 1000)}
	go func() { // ends with the program
		defer close(p.said)
		for text := bufio.NewScanner(out); text.Scan(); {
			p.said <- text.Text()
		}
	}()
	return p, p.waits(s.t, "ready", "failed:")
}

// waits returns the first line that contains one of words.
func (p *program) waits(t *testing.T, words ...string) string {
	t.Helper()
	late := time.After(patient)
	for {
		select {
		case line, ok := <-p.said:
			if !ok {
				t.Fatalf("it ended and did not say %q", words)
			}
			for _, w := range words {
				if strings.Contains(line, w) {
					return line
				}
			}
		case <-late:
			t.Fatalf("it does not say %q", words)
		}
	}
}

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
	card.say("10.0.0.100:68", "10.0.0.1:67", release)
	card.insists("0.0.0.0:68", all, discover(t, machine)) // after which the other would have come
	if _, ok := card.hears(release.TransactionID, time.Millisecond); ok {
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
