package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/pin/tftp/v3"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// rom plays the PXE ROM of an Intel network card, of which no free one exists: it gathers the offers of all servers, takes
// the address from one and the boot server from another, and asks that one on port 4011 before it fetches the file.
type rom struct {
	host *nettest.Space
	mac  net.HardwareAddr
	conn net.PacketConn // port 68
}

func powerOnROM(t *testing.T, l *lab.Lab) *rom {
	t.Helper()
	host, err := l.Host("rom")
	if err != nil {
		t.Fatal(err)
	}
	r := &rom{host: host}
	err = host.Do(func() error {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		r.mac = i.HardwareAddr
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			cerr := c.Control(func(fd uintptr) {
				err = errors.Join(unix.BindToDevice(int(fd), "eth0"), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
			})
			return errors.Join(err, cerr)
		}}
		r.conn, err = lc.ListenPacket(context.Background(), "udp4", ":68")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	return r
}

// message is what such a ROM sends in each of its requests.
func (r *rom) message(t *testing.T, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	generic := func(code uint8, value []byte) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value))
	}
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(r.mac), dhcpv4.WithBroadcast(true), dhcpv4.WithMessageType(kind),
		generic(55, []byte{1, 3, 43, 60, 66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135}), generic(57, []byte{4, 0xec}),
		generic(60, []byte("PXEClient:Arch:00000:UNDI:002001")), generic(93, []byte{0, 0}), generic(94, []byte{1, 2, 1}),
		generic(97, append([]byte{0}, "0123456789abcdef"...)),
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// asks sends m again and again, as firmware does, until all of wanted have been answered; each is given every reply.
func (r *rom) asks(t *testing.T, m *dhcpv4.DHCPv4, to string, wanted ...func(from netip.AddrPort, reply *dhcpv4.DHCPv4) bool) {
	t.Helper()
	target := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))
	done := make([]bool, len(wanted))
	buf := make([]byte, 2048)
	for try := range 5 {
		if _, err := r.conn.WriteTo(m.ToBytes(), target); err != nil {
			t.Fatal(err)
		}
		if err := r.conn.SetReadDeadline(time.Now().Add(4 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			n, from, err := r.conn.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Logf("%s to %s: try %d brought %v", m.MessageType(), to, try+1, done)
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			reply, err := dhcpv4.FromBytes(buf[:n])
			if err != nil || reply.TransactionID != m.TransactionID || !bytes.Equal(reply.ClientHWAddr, r.mac) {
				continue
			}
			all := true
			for i, w := range wanted {
				done[i] = done[i] || w(from.(*net.UDPAddr).AddrPort(), reply)
				all = all && done[i]
			}
			if all {
				return
			}
		}
	}
	t.Fatalf("%s to %s was not answered as it must be: %v", m.MessageType(), to, done)
}

// isPXE is what such a ROM takes for the offer of a boot server.
func isPXE(m *dhcpv4.DHCPv4) bool {
	return bytes.HasPrefix(m.Options.Get(dhcpv4.OptionClassIdentifier), []byte("PXEClient"))
}

// boots goes the whole way and returns the file.
func (r *rom) boots(t *testing.T) []byte {
	t.Helper()
	var lease, server *dhcpv4.DHCPv4
	discover := r.message(t, dhcpv4.MessageTypeDiscover)
	r.asks(t, discover, "255.255.255.255:67",
		func(_ netip.AddrPort, m *dhcpv4.DHCPv4) bool { // P01
			if m.MessageType() == dhcpv4.MessageTypeOffer && !m.YourIPAddr.IsUnspecified() && !isPXE(m) {
				lease = m
			}
			return lease != nil
		},
		func(from netip.AddrPort, m *dhcpv4.DHCPv4) bool {
			if m.MessageType() == dhcpv4.MessageTypeOffer && m.YourIPAddr.IsUnspecified() && isPXE(m) && from.Port() == 67 {
				server = m
			}
			return server != nil
		})
	if vendor := server.Options.Get(dhcpv4.OptionVendorSpecificInformation); !bytes.Equal(vendor, []byte{6, 1, 8, 255}) || server.BootFileName != "undionly.kpxe" {
		t.Errorf("the proxy offers %q with 43 = %x", server.BootFileName, vendor)
	}
	request := r.message(t, dhcpv4.MessageTypeRequest,
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(lease.ServerIdentifier())),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(lease.YourIPAddr)))
	request.TransactionID = discover.TransactionID
	r.asks(t, request, "255.255.255.255:67", func(_ netip.AddrPort, m *dhcpv4.DHCPv4) bool {
		if m.MessageType() == dhcpv4.MessageTypeAck && isPXE(m) {
			t.Errorf("the proxy acknowledges the other server's address: %s", m.Summary()) // P04
		}
		return m.MessageType() == dhcpv4.MessageTypeAck && m.YourIPAddr.Equal(lease.YourIPAddr)
	})
	address, _ := netip.AddrFromSlice(lease.YourIPAddr.To4())
	if err := r.host.Address("eth0", netip.PrefixFrom(address, 24)); err != nil {
		t.Fatal(err)
	}
	var told *dhcpv4.DHCPv4
	ask := r.message(t, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(lease.YourIPAddr))
	ask.SetUnicast()
	r.asks(t, ask, fmt.Sprintf("%s:4011", server.ServerIdentifier()), func(from netip.AddrPort, m *dhcpv4.DHCPv4) bool { // P07
		if m.MessageType() == dhcpv4.MessageTypeAck && isPXE(m) && from.Port() == 4011 {
			told = m
		}
		return told != nil
	})
	var file bytes.Buffer
	err := r.host.Do(func() error {
		c, err := tftp.NewClient(fmt.Sprintf("%s:69", told.ServerIPAddr))
		if err != nil {
			return err
		}
		in, err := c.Receive(told.BootFileName, "octet")
		if err != nil {
			return err
		}
		_, err = in.WriteTo(&file)
		return err
	})
	if err != nil {
		t.Fatalf("%s from %s: %v", told.BootFileName, told.ServerIPAddr, err)
	}
	return file.Bytes()
}

func TestBesideAnotherServerAnIntelROMBoots(t *testing.T) {
	t.Parallel()
	for _, other := range []lab.AddressServer{lab.ISC, lab.Kea, lab.DnsmasqAddresses} {
		t.Run(string(other), func(t *testing.T) {
			t.Parallel()
			s := suite(t)
			s.Proxy = true
			l := open(t, lab.Config{Server: s, Addresses: other})
			got := powerOnROM(t, l).boots(t)
			want, err := os.ReadFile(filepath.Join(l.BootDir(), "undionly.kpxe"))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("fetched %d bytes, not the %d of the file: %v", len(got), len(want), err)
			}
		})
	}
}
