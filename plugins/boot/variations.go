package boot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Variation is how a machine differs from others in what a map speaks of. What is empty does not differ.
type Variation struct {
	MAC                              netboot.MAC
	UUID                             netboot.UUID
	Arch                             netboot.Arch
	HasArch                          bool
	Features                         netboot.Features // of its iPXE, exactly these
	HasFeatures                      bool
	UserClass, VendorClass, Hostname string
	Relay                            netip.Addr
	CircuitID, RemoteID              string
	IsHost                           bool // it has an entry of its own
}

// Variations are the machines that the map at path speaks of: one for every value of every word, one for each rule with
// all its words, and one for each host. Machines that the map cannot tell apart are there once.
func Variations(path string) ([]Variation, error) {
	var f File
	c, p := compile(path, &f, conf.Load(path, &f))
	if _, err := c.policy(p); err != nil {
		return nil, err
	}
	var g gatherer
	for i := range f.Rules {
		g.match(&f.Rules[i].Match)
	}
	for _, h := range f.Hosts {
		for _, m := range h.MAC {
			g.add(Variation{MAC: m.V, IsHost: true})
		}
		for _, u := range h.UUID {
			g.add(Variation{UUID: u.V, IsHost: true})
		}
	}
	return g.list, nil
}

// gatherer collects variations.
type gatherer struct {
	list []Variation
	seen map[Variation]bool
}

func (g *gatherer) add(v Variation) {
	if v == (Variation{}) || g.seen[v] {
		return
	}
	if g.seen == nil {
		g.seen = map[Variation]bool{}
	}
	g.seen[v] = true
	g.list = append(g.list, v)
}

// eachValue takes a word's values: each makes a variation, and the first is of the rule as a whole.
func eachValue[T any](g *gatherer, whole *Variation, values []T, set func(v *Variation, value T)) {
	for i, value := range values {
		var one Variation
		set(&one, value)
		g.add(one)
		if i == 0 {
			set(whole, value)
		}
	}
}

func (g *gatherer) match(m *Match) {
	var whole Variation
	eachValue(g, &whole, slices.Concat(m.Arch...), func(v *Variation, a netboot.Arch) { v.Arch, v.HasArch = a, true })
	eachValue(g, &whole, m.MAC, func(v *Variation, p macPattern) { v.MAC = p.example() })
	eachValue(g, &whole, m.UUID, func(v *Variation, u conf.At[netboot.UUID]) { v.UUID = u.V })
	eachValue(g, &whole, m.UserClass, func(v *Variation, p pattern) { v.UserClass = p.example() })
	eachValue(g, &whole, m.VendorClass, func(v *Variation, p pattern) { v.VendorClass = p.example() })
	eachValue(g, &whole, m.Hostname, func(v *Variation, p pattern) { v.Hostname = p.example() })
	if m.Relay != nil {
		eachValue(g, &whole, m.Relay.From, func(v *Variation, p prefix) { v.Relay = p.example() })
		eachValue(g, &whole, m.Relay.CircuitID, func(v *Variation, p pattern) { v.CircuitID = p.example() })
		eachValue(g, &whole, m.Relay.RemoteID, func(v *Variation, p pattern) { v.RemoteID = p.example() })
	}
	if len(m.Features) > 0 {
		set := union(m.Features)
		whole.Features, whole.HasFeatures = set, true
		g.add(Variation{Features: set, HasFeatures: true})
	}
	if len(m.Lacks) > 0 {
		set := netboot.UsualFeatures(netboot.ArchUEFIx64) &^ union(m.Lacks)
		whole.Features, whole.HasFeatures = set|union(m.Features)&^union(m.Lacks), true
		g.add(Variation{Features: set, HasFeatures: true})
	}
	g.add(whole)
	for i := range m.Not {
		g.match(&m.Not[i])
	}
	for i := range m.Any {
		g.match(&m.Any[i])
	}
}

// example is a text that the pattern matches.
func (p pattern) example() string { return strings.Join(p.parts, "") }

// example is an address of this beginning.
func (m macPattern) example() netboot.MAC {
	full := make([]byte, max(6, len(m.prefix)))
	if n := copy(full, m.prefix); n < len(full) {
		full[len(full)-1] = 1
	}
	return netboot.MACFrom(full)
}

// example is an address of the network.
func (p prefix) example() netip.Addr {
	a := p.net.Addr()
	if next := a.Next(); p.net.Bits() < a.BitLen()-1 && p.net.Contains(next) {
		return next
	}
	return a
}
