package boot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// starts are the machines when their power comes on: PXE firmware, firmware that boots by HTTP, and cards whose ROM is
// iPXE, as usually built or a poor one, of every architecture, by DHCPv4 and DHCPv6.
func (k *checker) starts() (all []stage) {
	codes := []netboot.Arch{netboot.ArchUnknown}
	for _, name := range netboot.ArchNames() {
		more, _ := netboot.ParseArch(name)
		codes = append(codes, more...)
	}
	for i := range k.file.Rules {
		for _, code := range k.file.Rules[i].codes() {
			if !slices.Contains(codes, code) {
				codes = append(codes, code)
			}
		}
	}
	for _, local := range []netip.Addr{netip.MustParseAddr("198.18.0.254"), netip.MustParseAddr("2001:2::fe")} { // which no map names
		for _, code := range codes {
			c := netboot.Client{V6: local.Is6(), Local: local, Arch: code, ArchBy: netboot.ArchByOption, Firmware: netboot.FirmwarePXE}
			if code == netboot.ArchUnknown {
				c.ArchBy = netboot.ArchNotTold
			}
			if code.HTTP() {
				c.Firmware = netboot.FirmwareHTTP
				all = append(all, stage{Client: c})
				continue
			}
			poor, _ := netboot.ParseFeature("tftp")
			all = append(all, stage{Client: c}, stage{Client: asIPXE(c, netboot.UsualFeatures(code))}, stage{Client: asIPXE(c, poor)})
		}
	}
	return all
}

// identity is what a machine has of its own, and the architectures of the rule that tells it apart (none: all).
type identity struct {
	netboot.Client
	codes []netboot.Arch
}

// playedBy gives c what is the identity's own.
func (i *identity) playedBy(c *netboot.Client) {
	c.MAC, c.UUID, c.Hostname, c.Relay, c.Place = i.MAC, i.UUID, i.Hostname, i.Relay, i.Place
	if len(i.UserClasses) > 0 {
		c.UserClasses = i.UserClasses
	}
	if i.VendorClass != "" {
		c.VendorClass = i.VendorClass
	}
}

// identities are the machines that an entry which hands out iPXE tells apart by what is their own, and one that nothing
// knows.
func (k *checker) identities() (all []identity) {
	all = append(all, identity{})
	handsOut := func(g *Give) bool {
		known, _ := k.look(g.File.V)
		return known.IPXE || netboot.IsIPXEBinary(g.File.V)
	}
	for i := range k.file.Rules {
		r := &k.file.Rules[i]
		if !handsOut(&r.Give) {
			continue
		}
		for _, c := range r.Match.identities(netboot.Client{}) {
			all = append(all, identity{c, r.codes()})
		}
	}
	for i := range k.file.Hosts {
		h := &k.file.Hosts[i]
		if !handsOut(&h.Give) {
			continue
		}
		for _, m := range h.MAC {
			all = append(all, identity{Client: netboot.Client{MAC: m.V}})
		}
		for _, u := range h.UUID {
			all = append(all, identity{Client: netboot.Client{UUID: u.V}})
		}
	}
	return all
}

// maxAlike bounds the machines of one rule: they differ only in what other rules may say of them.
const maxAlike = 1000

// identities are clients that the identifying words of m are true for, on top of c: one for each value of its lists.
func (m *Match) identities(c netboot.Client) (all []netboot.Client) {
	n := max(len(m.MAC), len(m.UUID), len(m.Hostname), len(m.UserClass), len(m.VendorClass), len(m.Subnet), len(m.Class), 1)
	if m.Relay != nil {
		n = max(n, len(m.Relay.From), len(m.Relay.CircuitID), len(m.Relay.RemoteID))
	}
	for i := range min(n, maxAlike) {
		if len(all) >= maxAlike {
			break
		}
		c := c
		if len(m.MAC) > 0 {
			var b [6]byte
			copy(b[:], m.MAC[i%len(m.MAC)].prefix)
			if len(m.MAC[i%len(m.MAC)].prefix) < len(b) {
				b[5] = max(b[5], 1) // all zeros are no address
			}
			c.MAC = netboot.MACFrom(b[:])
		}
		if len(m.UUID) > 0 {
			c.UUID = m.UUID[i%len(m.UUID)].V
		}
		c.Hostname = example(m.Hostname, i, c.Hostname)
		if text := example(m.UserClass, i, ""); text != "" {
			c.UserClasses = []string{text}
		}
		c.Place.Network = example(m.Subnet, i, c.Place.Network)
		if text := example(m.Class, i, ""); text != "" {
			c.Place.Classes = []string{text}
		}
		c.VendorClass = example(m.VendorClass, i, c.VendorClass)
		if r := m.Relay; r != nil {
			if len(r.From) > 0 {
				c.Relay.Addr = r.From[i%len(r.From)].net.Addr()
			}
			c.Relay.CircuitID = example(r.CircuitID, i, c.Relay.CircuitID)
			c.Relay.RemoteID = example(r.RemoteID, i, c.Relay.RemoteID)
		}
		if len(m.Any) == 0 {
			all = append(all, c)
		}
		for j := 0; j < len(m.Any) && len(all) < maxAlike; j++ {
			all = append(all, m.Any[j].identities(c)...)
		}
	}
	return all[:min(len(all), maxAlike)]
}

// example is a text that the i-th pattern matches.
func example(list []pattern, i int, otherwise string) string {
	if len(list) == 0 {
		return otherwise
	}
	return strings.Join(list[i%len(list)].parts, "x")
}

// asIPXE is c as a build of iPXE with these features.
func asIPXE(c netboot.Client, f netboot.Features) netboot.Client {
	c.Firmware, c.UserClasses, c.ArchBy = netboot.FirmwareIPXE, []string{"iPXE"}, netboot.ArchByOption
	c.Features, c.FeaturesKnown = f, !c.V6 // DHCPv6 does not carry them
	if c.V6 {
		c.Features = 0
	}
	return c
}

func archOf(name string) netboot.Arch {
	codes, err := netboot.ParseArch(name)
	if err != nil {
		panic(err) // a typo of ours
	}
	return codes[0]
}
