package server_test

import (
	"net/netip"
	"strings"
	"testing"

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
