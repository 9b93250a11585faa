package integration_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

const (
	// There is one address and one prefix. T1 is after 5 s, T2 after 8.
	campusSubnets6 = `leases: leases
networks:
  - subnet: 2001:db8:1::/64
    pools: [2001:db8:1::1000-2001:db8:1::1000]
    delegate: [{prefix: 2001:db8:8000::/56, length: 56}]
    lease-time: 16s
`
	lent6 = "[2001:db8:1::1000/128 2001:db8:8000::/56]"

	dhcpcdConf6 = "noipv6rs\ninterface eth0\nia_na 1\nia_pd 2\n"

	networkdFile6 = `[Match]
Name=eth0
[Network]
DHCP=ipv6
LinkLocalAddressing=ipv6
IPv6AcceptRA=yes
[DHCPv6]
PrefixDelegationHint=::/56
`
)

// The clients of DHCPv6. None is moved: what a cable does to them is told with DHCPv4.
var dhcpClients6 = []dhcpClient{
	{name: "dhclient", run: func(h *host) *exec.Cmd { return dhclient6(h) }, releases: func(h *host, _ *nettest.Process) error {
		_, err := h.Ask(dhclient6(h, "-r"), h.server)
		return err
	}},
	{name: "dhcpcd", run: func(h *host) *exec.Cmd { return dhcpcdBy(h, "-6", dhcpcdConf6) }, releases: by(syscall.SIGALRM)},
	// It releases since systemd 253 only.
	{name: "networkd", run: func(h *host) *exec.Cmd { return networkdBy(h, networkdFile6) }},
}

func dhclient6(h *host, more ...string) *exec.Cmd {
	file := func(name string) string { return filepath.Join(h.dir, h.name+name) }
	args := []string{"-6", "-d", "-N", "-P", "-sf", "/bin/true", "-cf", "/dev/null", "-lf", file(".leases6"), "-pf", file(".pid6")}
	return h.Command("dhclient", append(append(args, more...), "eth0")...)
}

// does6 waits until the client sends a message of the kind and the server answers it with a REPLY that lends this.
func (h *host) does6(kind, lent string) {
	h.t.Helper()
	h.awaits(h.name+" sends "+kind+" and is lent "+lent, func() bool {
		asked := make(map[dhcpv6.TransactionID]wire.Message6)
		for i, m := range h.messages6() {
			switch {
			case i < h.told:
			case m.Type != "REPLY":
				asked[m.Exchange] = m
			case asked[m.Exchange].Type == kind && fmt.Sprint(m.Lent) == lent:
				h.told = i + 1
				return true
			}
		}
		return false
	})
}

func (h *host) sends6(kind string) {
	h.t.Helper()
	h.awaits(h.name+" sends "+kind, func() bool {
		for i, m := range h.messages6() {
			if i >= h.told && m.Type == kind {
				return true
			}
		}
		return false
	})
}

func TestDHCPv6ClientsTakeRenewRebindAndRelease(t *testing.T) {
	t.Parallel()
	needClients(t)
	for _, client := range dhcpClients6 {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			c := newCampus(t, subnetsConfig6, campusSubnets6)
			end, err := lab.AdvertiseDHCPv6(c.serve, "eth1")
			c.must(err)
			defer func() { c.must(end()) }()
			router := c.host("router")
			p := router.starts(client)
			router.does6("REQUEST", lent6)
			router.does6("RENEW", lent6)

			// The server is silent until the client asks all.
			c.must(c.server.Signal(syscall.SIGSTOP))
			router.sends6("REBIND")
			c.must(c.server.Signal(syscall.SIGCONT))
			router.does6("REBIND", lent6)

			if client.releases != nil {
				c.must(client.releases(router, p))
				router.does6("RELEASE", "[]")
				c.logs("msg=released", "ip=\"2001:db8:1::1000\"")
				c.logs("msg=released", "delegated=\"2001:db8:8000::/56\"")
			} else {
				c.must(p.Stop())
			}
			for _, line := range strings.Split(c.said(), "\n") {
				if strings.Contains(line, "level=error") {
					t.Error(line)
				}
			}

			// Both are free for another machine: at once, or when the lease is over.
			other := c.host("other")
			other.starts(dhcpClients6[0])
			other.does6("REQUEST", lent6)
		})
	}
}
