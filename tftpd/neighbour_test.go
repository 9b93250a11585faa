package tftpd_test

import (
	"net/netip"
	"os/exec"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// Two hosts on a wire: the one that has just been talked to is known by its hardware address, in both families.
func TestTheKernelKnowsWhoAsksOnTheWire(t *testing.T) {
	n := nettest.New(t)
	server, err := n.Space("server")
	must(t, err)
	rack, err := n.Space("rack")
	must(t, err)
	must(t, server.Veth("srv0", rack, "eth0"))
	must(t, rack.IP("link", "set", "eth0", "address", "52:54:00:aa:bb:01"))
	for _, s := range []struct {
		host  *nettest.Space
		ifn   string
		addrs []string
	}{{server, "srv0", []string{"192.0.2.1/24", "2001:db8::1/64"}}, {rack, "eth0", []string{"192.0.2.7/24", "2001:db8::7/64"}}} {
		must(t, s.host.Sysctl("net/ipv6/conf/"+s.ifn+"/accept_dad", "0"))
		for _, a := range s.addrs {
			must(t, s.host.Address(s.ifn, netip.MustParsePrefix(a)))
		}
	}
	path, err := exec.LookPath("busybox")
	must(t, err)
	for _, to := range []string{"192.0.2.1", "2001:db8::1"} {
		if out, err := rack.Command(path, "ping", "-c", "1", "-w", "10", to).CombinedOutput(); err != nil {
			t.Fatalf("ping %s: %v\n%s", to, err, out)
		}
	}
	for addr, want := range map[string]string{"192.0.2.7": "52:54:00:aa:bb:01", "2001:db8::7": "52:54:00:aa:bb:01", "192.0.2.8": "", "2001:db8::7%srv0": "52:54:00:aa:bb:01", "fe80::1%nonesuch": ""} {
		must(t, server.Do(func() error {
			mac, known := tftpd.Neighbour(netip.MustParseAddr(addr))
			if mac.String() != want || known != (want != "") {
				t.Errorf("%s is %q, %v, want %q", addr, mac, known, want)
			}
			return nil
		}))
	}
}
