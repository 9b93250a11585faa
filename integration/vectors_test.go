package integration_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// Vectors of the clients' field notes that need addresses: the server has clients on the link of eth1, and a relay behind eth2
// whose clients are in 198.51.100.0/24.
const (
	vectorConfig = `server4:
  listen: ["%eth1", "%eth2"]
  plugins:
    - subnets: subnets.yml
    - boot: boot.yml
`
	vectorSubnets = `leases: leases
authoritative: true
bootp: true
networks:
  - {subnet: 192.0.2.0/24, pools: [192.0.2.100-192.0.2.150]}
  - {subnet: 198.51.100.0/24, pools: [198.51.100.100-198.51.100.150]}
reservations:
  - {mac: "52:54:00:00:00:36", address: 192.0.2.54, next-server: 192.0.2.1, file: bootp.kpxe}
`
	vectorBoot = "next-server: auto\nrules: [{arch: bios, file: undionly.kpxe}, {arch: uefi-x64, file: ipxe.efi}]\n"
)

// vectorLab is a server, clients and a relay.
type vectorLab struct {
	t             *testing.T
	client, relay *nettest.Space
}

func newVectorLab(t *testing.T) *vectorLab {
	t.Helper()
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	n := nettest.New(t)
	l := &vectorLab{t: t, client: space(t, n, "client"), relay: space(t, n, "relay")}
	server := space(t, n, "server")
	for _, err := range []error{
		server.Veth("eth1", l.client, "eth0"),
		server.Veth("eth2", l.relay, "eth0"),
		server.Address("eth1", netip.MustParsePrefix("192.0.2.1/24")),
		server.Address("eth2", netip.MustParsePrefix("203.0.113.1/24")),
		l.relay.Address("eth0", netip.MustParsePrefix("203.0.113.2/24")),
		l.relay.IP("link", "set", "lo", "up"),
		l.relay.Address("lo", netip.MustParsePrefix("198.51.100.1/32")),
		server.IP("route", "add", "198.51.100.0/24", "via", "203.0.113.2"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yml": vectorConfig, "subnets.yml": vectorSubnets, "boot.yml": vectorBoot} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if t.Failed() {
			t.Log(readFile(t, log.Name()))
		}
	})
	cmd := server.Command(programs.DHCPD, "-c", "config.yml")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if _, err := server.Start(cmd); err != nil {
		t.Fatal(err)
	}
	l.witness(2, func(net.PacketConn) error { return nil }) // it serves
	return l
}

// socket is where a client or a relay hears.
func (l *vectorLab) socket(on *nettest.Space, local string) net.PacketConn {
	l.t.Helper()
	return hears(l.t, on, local, on == l.client)
}

// hears opens a socket of a host's; a client's is bound to eth0, since it has no address yet.
func hears(t *testing.T, on *nettest.Space, local string, client bool) (conn net.PacketConn) {
	t.Helper()
	if err := on.Do(func() (err error) {
		config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			if cerr := c.Control(func(fd uintptr) {
				if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err == nil && client {
					err = unix.BindToDevice(int(fd), "eth0")
				}
			}); cerr != nil {
				return cerr
			}
			return err
		}}
		conn, err = config.ListenPacket(context.Background(), "udp4", local)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return conn
}

// pxeRequest is a message of a BIOS PXE ROM.
func pxeRequest(t *testing.T, last byte, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 0, last}), dhcpv4.WithBroadcast(true),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.INTEL_X86PC)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName),
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	if kind != dhcpv4.MessageTypeNone {
		m.UpdateOption(dhcpv4.OptMessageType(kind))
	}
	return m
}

func asksFor(address string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(address).To4()))
}

func chooses(server string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(server).To4()))
}

// witness does something as a client and then has another client take a lease; it returns what came before that was given.
// An answer to who is to hear none came before that, or is seen by the next that is sent.
func (l *vectorLab) witness(last byte, do func(net.PacketConn) error) (heard []*dhcpv4.DHCPv4) {
	l.t.Helper()
	conn := l.socket(l.client, "0.0.0.0:68")
	defer conn.Close()
	if err := do(conn); err != nil {
		l.t.Fatal(err)
	}
	next := pxeRequest(l.t, last, dhcpv4.MessageTypeDiscover)
	for range 30 {
		if err := send(conn, next, "255.255.255.255:67"); err != nil {
			l.t.Fatal(err)
		}
		for {
			m, err := receive(conn)
			if err != nil {
				break // sent again
			}
			switch {
			case m.TransactionID != next.TransactionID:
				heard = append(heard, m)
				continue
			case m.MessageType() == dhcpv4.MessageTypeAck:
				return heard
			case m.MessageType() == dhcpv4.MessageTypeOffer:
				next = pxeRequest(l.t, last, dhcpv4.MessageTypeRequest, asksFor(m.YourIPAddr.String()), chooses("192.0.2.1"))
			}
			break
		}
	}
	l.t.Fatal("the server does not answer")
	return nil
}

func send(conn net.PacketConn, m *dhcpv4.DHCPv4, to string) error {
	_, err := conn.WriteTo(m.ToBytes(), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	return err
}

func receive(conn net.PacketConn) (*dhcpv4.DHCPv4, error) {
	b, err := receiveBytes(conn)
	if err != nil {
		return nil, err
	}
	return dhcpv4.FromBytes(b)
}

func receiveBytes(conn net.PacketConn) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return nil, err
	}
	b := make([]byte, 1500)
	n, _, err := conn.ReadFrom(b)
	return b[:n], err
}

func TestWhatFirmwareHearsOfAddressesOverSockets(t *testing.T) {
	t.Parallel()
	l := newVectorLab(t)
	witness := byte(0x80)
	for _, v := range []struct {
		id, name string
		request  *dhcpv4.DHCPv4
		want     string // the type, address and file of the answer; empty: silence
	}{
		{"F03", "who chooses another server", pxeRequest(t, 3, dhcpv4.MessageTypeRequest, asksFor("192.0.2.150"), chooses("192.0.2.9")), ""},
		{"F53", "who asks for an address of another network", pxeRequest(t, 0x35, dhcpv4.MessageTypeRequest, asksFor("192.168.9.9")), "NAK 0.0.0.0 "},
		{"F54", "BOOTP by a known machine", pxeRequest(t, 0x36, dhcpv4.MessageTypeNone), " 192.0.2.54 bootp.kpxe"},
		{"F54", "BOOTP by a stranger", pxeRequest(t, 0x37, dhcpv4.MessageTypeNone), ""},
	} {
		witness++ // the lease of one that has had it already need not be written
		var early []*dhcpv4.DHCPv4
		heard := l.witness(witness, func(conn net.PacketConn) error {
			if err := send(conn, v.request, "255.255.255.255:67"); err != nil || v.want == "" {
				return err
			}
			m, err := receive(conn) // replies that wait for the disk may pass each other
			early = append(early, m)
			return err
		})
		heard = append(early, heard...)
		var got []string
		for _, m := range heard {
			kind := m.MessageType().String()
			if m.MessageType() == dhcpv4.MessageTypeNone {
				kind = ""
			}
			got = append(got, fmt.Sprintf("%s %s %s", kind, m.YourIPAddr, m.BootFileName))
			if m.TransactionID != v.request.TransactionID {
				t.Errorf("%s, %s: an answer to another: %s", v.id, v.name, m)
			}
		}
		if strings.Join(got, ", ") != v.want {
			t.Errorf("%s, %s: heard %q, want %q", v.id, v.name, got, v.want)
		}
	}
}

// A relay does not hear the answer to INFORM: the client has an address and a route already (RFC 2131 section 4.3.5).
func TestARelayedINFORMIsAnsweredToTheClientItself(t *testing.T) {
	t.Parallel()
	l := newVectorLab(t)
	if err := l.relay.Address("lo", netip.MustParsePrefix("198.51.100.50/32")); err != nil {
		t.Fatal(err)
	}
	relay, client := l.socket(l.relay, "198.51.100.1:67"), l.socket(l.relay, "198.51.100.50:68")
	defer relay.Close()
	defer client.Close()
	inform := pxeRequest(t, 0x51, dhcpv4.MessageTypeInform, dhcpv4.WithRelay(net.IPv4(198, 51, 100, 1)), dhcpv4.WithClientIP(net.IPv4(198, 51, 100, 50)))
	if err := send(relay, inform, "203.0.113.1:67"); err != nil {
		t.Fatal(err)
	}
	ack, err := receive(client)
	if err != nil {
		t.Fatal(err)
	}
	if ack.MessageType() != dhcpv4.MessageTypeAck || ack.TransactionID != inform.TransactionID || !ack.YourIPAddr.IsUnspecified() ||
		ack.IPAddressLeaseTime(0) != 0 || ack.BootFileName != "undionly.kpxe" || ack.ClientIPAddr.String() != "198.51.100.50" {
		t.Errorf("is told %s", ack.Summary())
	}
}

func TestARelaysClientGetsAnAddressOfItsOwnNetwork(t *testing.T) { // F40
	t.Parallel()
	l := newVectorLab(t)
	conn := l.socket(l.relay, "198.51.100.1:67")
	defer conn.Close()
	port := dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte("eth0")))
	request := pxeRequest(t, 0x40, dhcpv4.MessageTypeDiscover, dhcpv4.WithRelay(net.IPv4(198, 51, 100, 1)), dhcpv4.WithOption(port), dhcpv4.WithBroadcast(true))
	if err := send(conn, request, "203.0.113.1:67"); err != nil {
		t.Fatal(err)
	}
	b, err := receiveBytes(conn)
	if err != nil {
		t.Fatal(err)
	}
	offer, err := dhcpv4.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := offer.YourIPAddr.String(); got != "198.51.100.100" || !offer.IsBroadcast() || offer.GatewayIPAddr.String() != "198.51.100.1" {
		t.Errorf("offered %s, giaddr %s, flags %#x", got, offer.GatewayIPAddr, offer.Flags)
	}
	if want := "\x52\x06\x01\x04eth0\xff"; !strings.HasSuffix(strings.TrimRight(string(b), "\x00"), want) {
		t.Errorf("the last option is not what the relay sent: %x", b[240:])
	}
}
