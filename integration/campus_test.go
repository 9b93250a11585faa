package integration_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// The two networks of a campus, each with a server at .1 and one address to lend. Leases are so short that renewals come soon.
const (
	officeServer, officeAddress = "192.0.2.1", "192.0.2.100"
	labServer, labAddress       = "198.51.100.1", "198.51.100.100"

	campusConfig = `server4:
  listen: ["%eth1", "%eth2"]
  plugins:
    - subnets: subnets.yml
`
	campusTimes   = "lease-time: {default: 8s, min: 8s, max: 8s}\n"
	campusSubnets = campusTimes + `leases: leases
authoritative: true
networks:
  - {subnet: 192.0.2.0/24, pools: [192.0.2.100], options: {routers: 192.0.2.1}}
  - {subnet: 198.51.100.0/24, pools: [198.51.100.100], options: {routers: 198.51.100.1}}
`
)

// campus is one server on two wires: br1 is the office's, br2 the laboratory's.
type campus struct {
	t            *testing.T
	dir          string
	net          *nettest.Net
	wires, serve *nettest.Space
	server       *nettest.Process
	said         func() string // what the server logged
}

func newCampus(t *testing.T, config, subnets string) *campus {
	t.Helper()
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	n := nettest.New(t)
	c := &campus{t: t, dir: t.TempDir(), net: n, wires: space(t, n, "wires"), serve: space(t, n, "server")}
	c.must(c.serve.Sysctl("net/ipv6/conf/default/accept_dad", "0")) // addresses are usable at once
	for bridge, at := range map[string]string{"1": officeServer, "2": labServer} {
		c.must(c.wires.Bridge("br"+bridge),
			c.serve.Veth("eth"+bridge, c.wires, "server"+bridge),
			c.wires.Plug("server"+bridge, "br"+bridge),
			c.serve.Address("eth"+bridge, netip.PrefixFrom(netip.MustParseAddr(at), 24)),
			c.serve.Address("eth"+bridge, netip.MustParsePrefix("2001:db8:"+bridge+"::1/64")))
	}
	c.write("config.yml", config)
	c.write("subnets.yml", subnets)
	log, err := os.Create(filepath.Join(c.dir, "server.log"))
	c.must(err)
	c.said = func() string { return readFile(t, log.Name()) }
	t.Cleanup(func() {
		log.Close()
		if t.Failed() {
			t.Logf("the server said:\n%s", c.said())
		}
	})
	cmd := c.serve.Command(programs.DHCPD, "-c", "config.yml")
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	c.server, err = c.serve.Start(cmd)
	c.must(err)
	awaitReady(t, c.said)
	return c
}

func (c *campus) must(errs ...error) {
	c.t.Helper()
	for _, err := range errs {
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *campus) write(name, text string) {
	c.t.Helper()
	c.must(os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o755))
}

// host is a machine with one interface, eth0, that can be plugged into each of the wires.
type host struct {
	*campus
	*nettest.Space
	name    string
	mac     net.HardwareAddr
	capture *wire.Capture
	told    int // messages of which the story has told
}

// host is plugged into the office's wire.
func (c *campus) host(name string) *host {
	c.t.Helper()
	h := &host{campus: c, Space: space(c.t, c.net, name), name: name}
	c.must(h.Sysctl("net/ipv6/conf/default/accept_dad", "0"), h.Veth("eth0", c.wires, name), c.wires.Plug(name, "br1"))
	var err error
	h.mac, err = hardwareAddress(h.Space, "eth0")
	c.must(err, h.Do(func() error {
		h.capture, err = wire.Record("eth0", filepath.Join(c.dir, name+".pcap"))
		return err
	}))
	c.t.Cleanup(func() {
		if _, err := h.capture.Stop(); err != nil {
			c.t.Error(err)
		}
		if c.t.Failed() {
			for _, m := range h.messages6() {
				c.t.Logf("%s: %s %s from %s to %s: %s", h.name, m.At.Format("05.000"), m.Type, m.From, m.To, m.Lent)
			}
			for _, m := range h.messages() {
				c.t.Logf("%s: %s %s from %s to %s: %s %s", h.name, m.At.Format("05.000"), m.Type, m.From, m.To, m, m.Address)
			}
		}
	})
	return h
}

func (h *host) messages() []wire.Message   { return wire.Read(h.capture.Frames(), h.mac).DHCP }
func (h *host) messages6() []wire.Message6 { return wire.Read(h.capture.Frames(), h.mac).DHCP6 }

// unplug takes the cable out, and plug puts it into a wire.
func (h *host) unplug() {
	h.t.Helper()
	h.must(h.wires.IP("link", "set", h.name, "down"))
}

func (h *host) plug(bridge string) {
	h.t.Helper()
	h.must(h.wires.Plug(h.name, bridge), h.wires.IP("link", "set", h.name, "up"))
}

// awaits looks again and again until something is so.
func (c *campus) awaits(what string, so func() bool) {
	c.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(until) {
			c.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// logs waits until the server has a line with all the words in its log.
func (c *campus) logs(words ...string) {
	c.t.Helper()
	c.awaits("the log has "+strings.Join(words, ", "), func() bool {
		for _, line := range strings.Split(c.said(), "\n") {
			has := true
			for _, w := range words {
				has = has && strings.Contains(line, w)
			}
			if has {
				return true
			}
		}
		return false
	})
}
