package main_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// A real client takes a lease, and gives it back when it ends.
func TestUdhcpcTakesAndReleasesALease(t *testing.T) {
	if err := nettest.Need("busybox"); err != nil {
		t.Fatal(err)
	}
	network := nettest.New(t)
	host, err := network.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	laptop, err := network.Space("laptop")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(host.Veth("srv0", laptop, "eth0"), host.Address("srv0", netip.MustParsePrefix("192.0.2.1/24"))); err != nil {
		t.Fatal(err)
	}
	dir := files(t, map[string]string{
		"config.yml": config("%srv0", "server_id: 192.0.2.1", "range: leases 192.0.2.100 192.0.2.101 1h", "netmask: 255.255.255.0"),
		"lease.sh":   "#!/bin/sh\n[ $1 = bound ] && ip addr replace $ip/24 dev eth0 && echo $ip/$subnet $lease >>$LEASE\nexit 0\n",
	})
	if err := os.Chmod(filepath.Join(dir, "lease.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &leaseSite{t: t, space: host, dir: dir}
	s.start()
	got := filepath.Join(dir, "got")
	lines := func() int { b, _ := os.ReadFile(got); return bytes.Count(b, []byte("\n")) }
	for n := range 2 {
		client := laptop.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-R", "-t", "10", "-T", "1", "-s", filepath.Join(dir, "lease.sh"))
		client.Env = append(os.Environ(), "LEASE="+got)
		running, err := laptop.Start(client)
		if err != nil {
			t.Fatal(err)
		}
		s.until("it has a lease", func() bool { return lines() == n+1 })
		if err := running.Stop(); err != nil {
			t.Fatal(err)
		}
		s.until("it is released", func() bool {
			return strings.Contains(page(filepath.Join(dir, "m.sock"), "/metrics"), `netboot_range_leases{range="192.0.2.100-192.0.2.101",state="free"} 1`)
		})
	}
	if b, err := os.ReadFile(got); err != nil || string(b) != "192.0.2.100/255.255.255.0 3600\n192.0.2.100/255.255.255.0 3600\n" {
		t.Errorf("%q, %v", b, err)
	}
	if !strings.Contains(page(filepath.Join(dir, "m.sock"), "/metrics"), `netboot_range_events_total{event="released",range="192.0.2.100-192.0.2.101"} 2`) {
		t.Errorf("%s", page(filepath.Join(dir, "m.sock"), "/metrics"))
	}
}
