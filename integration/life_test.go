package integration_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

var everybody = netip.MustParseAddrPort("255.255.255.255:67")

// state is what a client wants by a message, by RFC 2131 section 4.3.2.
func state(m wire.Message) string {
	switch {
	case m.Type != "REQUEST":
		return m.Type
	case m.Has(50) && m.Has(54):
		return "takes"
	case m.Has(50):
		return "reboots"
	case m.To == everybody:
		return "rebinds"
	default:
		return "renews"
	}
}

// last is the address that the host was given last.
func (h *host) last() (address string) {
	for _, m := range h.messages() {
		if m.Type == "ACK" {
			address = m.Address.String()
		}
	}
	return address
}

// does waits until the client asks for something in a state and the server answers that: an address, NAK or OFFER.
func (h *host) does(want, answer string) {
	h.t.Helper()
	h.awaits(h.name+" "+want+" and is answered "+answer, func() bool {
		asked := make(map[uint32]wire.Message)
		for i, m := range h.messages() {
			q := asked[m.Exchange]
			switch {
			case i < h.told:
			case m.FromClient:
				asked[m.Exchange] = m
			case state(q) == want && (m.Type == answer || m.Type == "ACK" && m.Address.String() == answer):
				h.told = i + 1
				h.checkSource(want, q, m)
				return true
			}
		}
		return false
	})
}

// checkSource looks at where the two messages of an exchange went.
func (h *host) checkSource(want string, q, answer wire.Message) {
	h.t.Helper()
	server := netip.AddrPortFrom(netip.MustParseAddr(officeServer), 67)
	if answer.From.Addr() == netip.MustParseAddr(labServer) {
		server = netip.AddrPortFrom(answer.From.Addr(), 67)
	}
	if want == "renews" && (q.To != server || q.From.Addr() != answer.Address) {
		h.t.Errorf("renews %s by a message from %s to %s", answer.Address, q.From, q.To)
	}
	if answer.From != server {
		h.t.Errorf("%s is answered by %s, not by %s", want, answer.From, server)
	}
}

// sends waits for a message that is not answered.
func (h *host) sends(kind string) (sent wire.Message) {
	h.t.Helper()
	h.awaits(h.name+" sends "+kind, func() bool {
		for i, m := range h.messages() {
			if i >= h.told && m.Type == kind {
				h.told, sent = i+1, m
				return true
			}
		}
		return false
	})
	return sent
}

// uses waits until the host has set an address, so that its client has finished looking whether somebody else has it.
func (h *host) uses(address string) {
	h.t.Helper()
	h.awaits(h.name+" uses "+address, func() bool {
		out, err := h.Command("ip", "-4", "-oneline", "addr", "show", "dev", "eth0").Output()
		return err == nil && strings.Contains(string(out), " "+address+"/24 ")
	})
}

// starts runs a client on the host.
func (h *host) starts(c dhcpClient) *nettest.Process {
	h.t.Helper()
	log, err := os.OpenFile(filepath.Join(h.dir, h.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	h.must(err)
	cmd := c.run(h)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := h.Start(cmd)
	h.must(err, log.Close())
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("%s said:\n%s", c.name, readFile(h.t, log.Name()))
		}
	})
	return p
}

// again has the client notice that its cable was out: it sees that itself, or is started anew.
func (h *host) again(c dhcpClient, p *nettest.Process, bridge string) *nettest.Process {
	h.t.Helper()
	if !c.watches {
		h.must(p.Stop())
	}
	h.unplug()
	h.must(h.IP("-4", "addr", "flush", "dev", "eth0"))
	h.plug(bridge)
	if !c.watches {
		return h.starts(c)
	}
	return p
}

// takes is another machine's whole boot, to see that an address is free.
func (h *host) takes(address string) {
	h.t.Helper()
	cmd := h.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "3", "-T", "1", "-s", "/bin/true")
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "lease of "+address+" obtained") {
		h.t.Errorf("%s does not get %s: %v\n%s", h.name, address, err, said)
	}
}

func needClients(t *testing.T) {
	t.Helper()
	if err := nettest.Need("busybox", "dhclient", "dhcpcd"); err != nil {
		t.Fatal(err)
	}
}

func TestClientsTakeRenewRebindRebootMoveAndRelease(t *testing.T) {
	t.Parallel()
	needClients(t)
	for _, client := range dhcpClients {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			subnets := campusSubnets
			if client.times != "" {
				subnets = strings.Replace(subnets, campusTimes, client.times, 1)
			}
			c := newCampus(t, campusConfig, subnets)
			laptop := c.host("laptop")
			p := laptop.starts(client)
			laptop.does("takes", officeAddress)
			laptop.does("renews", officeAddress)

			// What it sends to the server alone is lost from now on, so it must ask all.
			c.must(laptop.IP("neigh", "replace", officeServer, "lladdr", "52:54:00:00:00:99", "dev", "eth0", "nud", "permanent"))
			laptop.does("rebinds", officeAddress)
			c.must(laptop.IP("neigh", "del", officeServer, "dev", "eth0"))

			reboots, naks := "reboots", 1
			if client.forgets {
				reboots, naks = "takes", 0
			}
			p = laptop.again(client, p, "br1")
			laptop.does(reboots, officeAddress)

			p = laptop.again(client, p, "br2")
			if !client.forgets {
				laptop.does("reboots", "NAK")
			}
			laptop.does("takes", labAddress)
			laptop.uses(labAddress)
			c.must(client.releases(laptop, p))
			released := laptop.sends("RELEASE")
			if from, to := released.From.Addr().String(), released.To.String(); from != labAddress || to != labServer+":67" {
				t.Errorf("a RELEASE from %s to %s", from, to)
			}
			c.logs("msg=released", "ip="+labAddress)

			// The one address is free at once, for another machine.
			other := c.host("other")
			other.plug("br2")
			other.takes(labAddress)
			got := slices.DeleteFunc(laptop.messages(), func(m wire.Message) bool { return m.Type != "NAK" })
			if len(got) != naks {
				t.Errorf("was told %d times to begin anew, want %d", len(got), naks)
			}
		})
	}
}

// Somebody set up a printer by hand, at the first of two addresses.
func TestClientsDeclineAnAddressThatSomebodyHas(t *testing.T) {
	t.Parallel()
	needClients(t)
	for _, client := range dhcpClients {
		if !client.probes {
			continue
		}
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			c := newCampus(t, campusConfig, strings.Replace(campusSubnets, "[192.0.2.100]", "[192.0.2.100-192.0.2.101]", 1))
			printer, laptop := c.host("printer"), c.host("laptop")
			c.must(printer.Address("eth0", netip.MustParsePrefix(officeAddress+"/24")))
			p := laptop.starts(client)
			laptop.does("takes", officeAddress)
			laptop.sends("DECLINE")
			c.logs("declined: somebody uses the address", "ip="+officeAddress)
			laptop.does("takes", "192.0.2.101")
			laptop.uses("192.0.2.101")
			c.must(client.releases(laptop, p))
			laptop.sends("RELEASE")
			c.logs("msg=released", "ip=192.0.2.101")
			c.host("other").takes("192.0.2.101") // nobody gets what rests
		})
	}
}
