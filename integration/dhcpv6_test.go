package integration_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

const config6 = `server6:
  listen: ["[ff02::1:2%eth1]:547", "[::%eth1]:547"]
  plugins:
    - server_id: LL 52:54:00:00:00:01
    - boot: boot.yml
`

// A server with an address on each of two networks: machines on its own link are told the one that they can reach, those
// behind a relay the one from which the kernel answers the relay.
func TestAutoIsTheAddressThatDHCPv6ClientsReach(t *testing.T) {
	t.Parallel()
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	n := nettest.New(t)
	server, client := space(t, n, "server"), space(t, n, "client")
	for _, s := range []*nettest.Space{server, client} {
		for _, key := range []string{"all", "default"} { // addresses are usable at once
			if err := s.Sysctl("net/ipv6/conf/"+key+"/accept_dad", "0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, link := range []struct {
		server, client string
		at, peer       string
	}{{"eth1", "eth0", "2001:db8:1::1/64", "2001:db8:1::2/64"}, {"eth2", "eth3", "2001:db8:2::1/64", "2001:db8:2::2/64"}} {
		if err := server.Veth(link.server, client, link.client); err != nil {
			t.Fatal(err)
		}
		if err := server.Address(link.server, netip.MustParsePrefix(link.at)); err != nil {
			t.Fatal(err)
		}
		if err := client.Address(link.client, netip.MustParsePrefix(link.peer)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yml": config6, "boot.yml": "rules: [{arch: uefi-x64, file: ipxe.efi}]\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(readFile(t, log.Name()))
		}
	})
	cmd := server.Command(programs.DHCPD, "-c", filepath.Join(dir, "config.yml"))
	cmd.Stdout, cmd.Stderr = log, log
	if _, err := server.Start(cmd); err != nil {
		t.Fatal(err)
	}

	solicit := pxeSolicit(t)
	relayed, err := dhcpv6.EncapsulateRelay(solicit, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:2::2"), net.ParseIP("fe80::1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]struct {
		message dhcpv6.DHCPv6
		to      string
		want    string
	}{
		"on the link":    {solicit, "[ff02::1:2%eth0]:547", "tftp://[2001:db8:1::1]/ipxe.efi"},
		"behind a relay": {relayed, "[2001:db8:1::1]:547", "tftp://[2001:db8:2::1]/ipxe.efi"},
	} {
		answer := ask6(t, client, s.message, s.to)
		inner, err := answer.GetInnerMessage()
		if err != nil {
			t.Fatal(err)
		}
		if got := inner.Options.BootFileURL(); got != s.want {
			t.Errorf("%s: told %q, want %q", name, got, s.want)
		}
		if p := inner.GetOneOption(dhcpv6.OptionPreference); p == nil || string(p.ToBytes()) != "\xff" {
			t.Errorf("%s: preference is %v", name, p)
		}
	}
	refused6(t, client, "[2001:db8:1::1]:4011")
}

// refused6 tells that nobody answers PXE's requests at port 4011, which firmware sends to who calls itself a PXE server in
// option 16 (vector S10): the server never does, and its host says that the port is closed.
func refused6(t *testing.T, from *nettest.Space, to string) {
	t.Helper()
	err := from.Do(func() error {
		dst, err := net.ResolveUDPAddr("udp6", to)
		if err != nil {
			return err
		}
		conn, err := net.DialUDP("udp6", &net.UDPAddr{Port: 4011}, dst)
		if err != nil {
			return err
		}
		defer conn.Close()
		request := pxeSolicit(t)
		request.MessageType = dhcpv6.MessageTypeRequest
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write(request.ToBytes()); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1500))
		return err
	})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("port 4011 is not closed: %v", err)
	}
}

func pxeSolicit(t *testing.T) *dhcpv6.Message {
	t.Helper()
	m, err := dhcpv6.NewMessage()
	if err != nil {
		t.Fatal(err)
	}
	m.MessageType = dhcpv6.MessageTypeSolicit
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDUUID{UUID: [16]byte{1}}))
	m.AddOption(dhcpv6.OptClientArchType(iana.EFI_X86_64))
	m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionBootfileURL))
	return m
}

// ask6 sends a message, again each second as clients do, until it is answered.
func ask6(t *testing.T, from *nettest.Space, message dhcpv6.DHCPv6, to string) (answer dhcpv6.DHCPv6) {
	t.Helper()
	err := from.Do(func() error {
		config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "eth0") }); cerr != nil {
				return cerr
			}
			return err
		}}
		conn, err := config.ListenPacket(context.Background(), "udp6", "[::]:0")
		if err != nil {
			return err
		}
		defer conn.Close()
		dst, err := net.ResolveUDPAddr("udp6", to)
		if err != nil {
			return err
		}
		buf := make([]byte, 1500)
		for range 30 {
			if _, err := conn.WriteTo(message.ToBytes(), dst); err != nil && !strings.Contains(err.Error(), "refused") {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				return err
			}
			if k, _, err := conn.ReadFrom(buf); err == nil {
				answer, err = dhcpv6.FromBytes(buf[:k])
				return err
			}
		}
		return os.ErrDeadlineExceeded
	})
	if err != nil {
		t.Fatalf("%s: %v", to, err)
	}
	return answer
}
