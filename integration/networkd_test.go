package integration_test

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// networkd is systemd's DHCP client, on a host of the lab.
type networkd struct {
	*nettest.Process
	said *os.File
	text *bufio.Scanner
	all  strings.Builder
}

// startNetworkd gives it directories of its own, and a /sys that is read-only: by that it knows that no udev runs here, and
// does not wait for one. Without D-Bus it does what its file says.
func startNetworkd(t *testing.T, l *lab.Lab, host *nettest.Space, network string) *networkd {
	t.Helper()
	program := "/usr/lib/systemd/systemd-networkd"
	if _, err := os.Stat(program); err != nil {
		program = "/lib/systemd/systemd-networkd" // where it lives without a merged /usr
	}
	file := filepath.Join(l.Dir, "eth0.network")
	if err := os.WriteFile(file, []byte("[Match]\nName=eth0\n"+network), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `set -e
mount -t tmpfs tmpfs /run
mount -o remount,bind,ro /sys
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network: /run/systemd/netif
cp "$1" /run/systemd/network/eth0.network
exec env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console "$2"`
	cmd := host.Command("sh", "-c", script, "sh", file, program)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	n := &networkd{said: r, text: bufio.NewScanner(r)}
	n.Process, err = host.Start(cmd)
	w.Close() // the program has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		if t.Failed() {
			t.Log(n.all.String())
		}
	})
	return n
}

// says waits until it has logged the words.
func (n *networkd) says(t *testing.T, words string) {
	t.Helper()
	if err := n.said.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for n.text.Scan() {
		n.all.WriteString(n.text.Text() + "\n")
		if strings.Contains(n.text.Text(), words) {
			return
		}
	}
	t.Fatalf("networkd does not say %q: %v", words, n.text.Err())
}

// ends stops it.
func (n *networkd) ends(t *testing.T) {
	t.Helper()
	rest := make(chan error, 1)
	go func() {
		_, err := io.Copy(&n.all, n.said)
		rest <- err
	}()
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	if err := <-rest; err != nil {
		t.Error(err)
	}
}

// oneAddress lends a single address, for so short a time that renewals come soon.
const oneAddress = `leases: leases
networks:
  - subnet: 192.0.2.0/24
    pools: [` + lab.PoolFirst + `]
    lease-time: {default: 8s, min: 8s, max: 8s}
`

func TestNetworkdTakesRenewsRebindsAndReleases(t *testing.T) {
	t.Parallel()
	s := suite(t)
	s.Subnets = oneAddress
	l := open(t, lab.Config{Server: s})
	laptop, err := l.Host("laptop")
	if err != nil {
		t.Fatal(err)
	}
	mac, err := hardwareAddress(laptop, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := l.Record(laptop, "eth0", "laptop.pcap")
	if err != nil {
		t.Fatal(err)
	}
	n := startNetworkd(t, l, laptop, "[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n[DHCPv4]\nSendRelease=yes\n")
	n.says(t, "DHCPv4 client: ACK")
	n.says(t, "DHCPv4 client: REQUEST (renewing)")
	n.says(t, "DHCPv4 client: ACK")

	// What it sends to the server alone is lost from now on, so it must ask all.
	astray := []string{"neigh", "replace", lab.ServerIP, "lladdr", "52:54:00:00:00:99", "dev", "eth0", "nud", "permanent"}
	if err := laptop.IP(astray...); err != nil {
		t.Fatal(err)
	}
	n.says(t, "DHCPv4 client: REQUEST (rebinding)")
	n.says(t, "DHCPv4 client: ACK")
	if err := laptop.IP("neigh", "del", lab.ServerIP, "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	n.says(t, "DHCPv4 client: REQUEST (renewing)")
	n.says(t, "DHCPv4 client: ACK")
	n.ends(t)

	// The one address is free at once, for another machine.
	other, err := l.Host("other")
	if err != nil {
		t.Fatal(err)
	}
	udhcpc := other.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "3", "-T", "1", "-s", "/bin/true")
	if said, err := udhcpc.CombinedOutput(); err != nil || !strings.Contains(string(said), "lease of "+lab.PoolFirst+" obtained") {
		t.Errorf("the next machine: %v\n%s", err, said)
	}

	frames, err := capture.Stop()
	if err != nil {
		t.Fatal(err)
	}
	checkLife(t, wire.Read(frames, mac).DHCP)
}

// checkLife looks at what a client and the server said: it took, renewed, rebound and gave back one address.
func checkLife(t *testing.T, messages []wire.Message) {
	t.Helper()
	server := netip.AddrPortFrom(netip.MustParseAddr(lab.ServerIP), 67)
	all := netip.MustParseAddrPort("255.255.255.255:67")
	own := netip.AddrPortFrom(netip.MustParseAddr(lab.PoolFirst), 68)
	var took, renewed, rebound, released bool
	asked := make(map[uint32]*bool)
	for _, m := range messages {
		switch {
		case m.Type == "REQUEST" && m.Has(50):
			asked[m.Exchange] = &took
		case m.Type == "REQUEST" && m.From == own && m.To == server:
			asked[m.Exchange] = &renewed
		case m.Type == "REQUEST" && m.To == all: // from 0.0.0.0: it does not trust its address any more
			asked[m.Exchange] = &rebound
		case m.Type == "RELEASE" && m.From == own && m.To == server:
			released = true
		case m.Type == "ACK" && asked[m.Exchange] != nil && m.Address == own.Addr():
			*asked[m.Exchange] = true
		case m.Type == "NAK", m.Type == "ACK":
			t.Errorf("a %s of %s", m.Type, m.Address)
		}
	}
	if !took || !renewed || !rebound || !released {
		t.Errorf("took an address: %v, renewed: %v, rebound: %v, released: %v", took, renewed, rebound, released)
		for _, m := range messages {
			t.Logf("%s from %s to %s: %s", m.Type, m.From, m.To, m)
		}
	}
}
