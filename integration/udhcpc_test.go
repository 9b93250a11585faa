package integration_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// writeLease is udhcpc's script: it writes down what the client understood.
const writeLease = `#!/bin/sh
case $1 in
bound) echo "ip=$ip subnet=$subnet router=$router dns=$dns serverid=$serverid lease=$lease boot_file=$boot_file" >"$LEASE" ;;
esac
`

func TestUdhcpcGetsAPlainLeaseWithoutBootFields(t *testing.T) {
	t.Parallel()
	if err := nettest.Need("busybox"); err != nil {
		t.Fatal(err)
	}
	l := open(t, lab.Config{Server: suite(t)})
	laptop, err := l.Host("laptop")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := l.Record(laptop, "eth0", "laptop.pcap")
	if err != nil {
		t.Fatal(err)
	}
	script, lease := filepath.Join(l.Dir, "lease.sh"), filepath.Join(l.Dir, "lease.txt")
	if err := os.WriteFile(script, []byte(writeLease), 0o755); err != nil {
		t.Fatal(err)
	}
	udhcpc := laptop.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "10", "-T", "1", "-s", script)
	udhcpc.Env = append(os.Environ(), "LEASE="+lease)
	said, err := udhcpc.CombinedOutput()
	frames, stopErr := capture.Stop()
	if err != nil || stopErr != nil {
		t.Fatalf("%v, %v; udhcpc said:\n%s", err, stopErr, said)
	}

	understood, err := os.ReadFile(lease)
	if err != nil {
		t.Fatalf("%v; udhcpc said:\n%s", err, said)
	}
	got := make(map[string]string)
	for _, word := range strings.Fields(string(understood)) {
		name, value, _ := strings.Cut(word, "=")
		got[name] = value
	}
	ip, err := netip.ParseAddr(got["ip"])
	if err != nil || ip.Less(netip.MustParseAddr(lab.PoolFirst)) || netip.MustParseAddr(lab.PoolLast).Less(ip) {
		t.Errorf("the address %q is not of the pool", got["ip"])
	}
	for name, want := range map[string]string{
		"subnet": "255.255.255.0", "router": lab.ServerIP, "dns": lab.ServerIP, "serverid": lab.ServerIP,
		"lease": "600", "boot_file": "",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}

	// What the client did not print may have been in the answer all the same.
	mac, err := hardwareAddress(laptop, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	answers := 0
	for _, m := range wire.Read(frames, mac).DHCP {
		if m.FromClient {
			continue
		}
		answers++
		if m.File != "" {
			t.Errorf("the %s names the boot file %q", m.Type, m.File)
		}
		for _, option := range []uint8{43, 60, 66, 67, 97, 175} {
			if m.Has(option) {
				t.Errorf("the %s has option %d, which only network boots need", m.Type, option)
			}
		}
	}
	if answers < 2 {
		t.Errorf("saw %d answers on the wire, want an offer and an acknowledgement", answers)
	}
}

// hardwareAddress reads the address of a host's interface.
func hardwareAddress(host *nettest.Space, ifname string) (mac net.HardwareAddr, err error) {
	err = host.Do(func() error {
		i, err := net.InterfaceByName(ifname)
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	})
	return mac, err
}
