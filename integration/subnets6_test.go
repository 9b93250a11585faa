package integration_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

const (
	subnetsConfig6 = `server6:
  listen: ["[ff02::1:2%eth1]:547"]
  plugins:
    - server_id: LL 52:54:00:00:00:01
    - subnets: subnets.yml
`
	subnets6 = `leases: leases
networks:
  - subnet: 2001:db8:1::/64
    pools: [2001:db8:1::1000-2001:db8:1::10ff]
    delegate: [{prefix: 2001:db8:8000::/40, length: 56}]
    lease-time: 1h
    options: {dhcp6.name-servers: 2001:db8:1::53, dhcp6.domain-search: example.net}
`
	// writeEvent is dhclient's script: it writes down what the client understood.
	writeEvent = `#!/bin/sh
case $reason in
PREINIT6) ;;
*) echo "$reason ip=$new_ip6_address prefix=$new_ip6_prefix dns=$new_dhcp6_name_servers search=$new_dhcp6_domain_search life=$new_max_life" >>"$(dirname "$0")/events" ;;
esac
`
)

// lend6 is a server with subnets on one end of a wire, and a client's space on the other; said is the server's log.
func lend6(t *testing.T) (client *nettest.Space, server *nettest.Process, dir string, said func() string) {
	t.Helper()
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	n := nettest.New(t)
	host, client := space(t, n, "server"), space(t, n, "client")
	for _, s := range []*nettest.Space{host, client} {
		for _, key := range []string{"all", "default"} { // addresses are usable at once
			if err := s.Sysctl("net/ipv6/conf/"+key+"/accept_dad", "0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := host.Veth("eth1", client, "eth0"); err != nil {
		t.Fatal(err)
	}
	if err := host.Address("eth1", netip.MustParsePrefix("2001:db8:1::1/64")); err != nil {
		t.Fatal(err)
	}
	if err := client.Address("eth0", netip.MustParsePrefix("fe80::5054:ff:fe00:2/64")); err != nil { // dhclient does not wait for one
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{"config.yml": subnetsConfig6, "subnets.yml": subnets6, "script": writeEvent} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd := host.Command(programs.DHCPD, "-c", filepath.Join(dir, "config.yml"))
	cmd.Stdout, cmd.Stderr = log, log
	if server, err = host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return client, server, dir, func() string { return readFile(t, log.Name()) }
}

// awaitReady waits until the server says that it serves.
func awaitReady(t *testing.T, said func() string) {
	t.Helper()
	awaitSaid(t, said, "msg=ready")
}

// awaitSaid waits until the server has said the words: a client does not wait for what becomes of its RELEASE.
func awaitSaid(t *testing.T, said func() string, words string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(time.Minute); !strings.Contains(said(), words); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("the server did not say %q, but:\n%s", words, said())
		}
	}
}

func TestDhclientTakesAndReleasesAnIPv6AddressAndAPrefix(t *testing.T) {
	t.Parallel()
	if err := nettest.Need("dhclient"); err != nil {
		t.Fatal(err)
	}
	client, server, dir, said := lend6(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	dhclient := func(args ...string) {
		t.Helper()
		common := []string{"-6", "-sf", file("script"), "-lf", file("dhclient.leases"), "-pf", file("dhclient.pid"), "-cf", "/dev/null"}
		cmd := client.Command("dhclient", append(common, args...)...)
		if out, err := client.Ask(cmd, server); err != nil {
			t.Fatalf("%v\n%s\nthe server said:\n%s", err, out, said())
		}
	}
	awaitReady(t, said)
	dhclient("-1", "-v", "-N", "-P", "eth0")
	dhclient("-r", "-N", "-P", "eth0")
	events := readFile(t, file("events"))
	for _, want := range []string{
		"BOUND6 ip=2001:db8:1::1000 prefix= dns=2001:db8:1::53 search=example.net. life=3600", "prefix=2001:db8:8000::/56", "RELEASE6",
	} {
		if !strings.Contains(events, want) {
			t.Errorf("dhclient did not understand %q, but:\n%s\nthe server said:\n%s", want, events, said())
		}
	}
	for _, want := range []string{"leased", "delegated=\"2001:db8:8000::/56\"", "released"} {
		awaitSaid(t, said, want)
	}
}
