package subnets

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// compiler turns what was written into what is understood, and gathers what is wrong with it.
type compiler struct {
	path     string
	problems conf.Problems
	p        *Policy
	options  *option.Registry

	denied  bool // strangers are, by the top of the file
	classes map[string]*class
	names   map[string]conf.Pos    // of networks
	given   map[netip.Addr]givenTo // reserved addresses
	first   map[key]*reservation

	options6      *option.Registry // for conditions over DHCPv6 messages
	delegated     []delegated
	givenPrefixes []delegated
}

type givenTo struct {
	name string
	conf.Pos
}

// Load reads and compiles the file at path. The error, if any, holds every problem of it.
func Load(path string) (*Policy, error) {
	var f File
	return compile(path, &f, conf.Load(path, &f))
}

// Parse is Load for a file in memory; path names it, and is where relative directories start.
func Parse(path string, data []byte) (*Policy, error) {
	var f File
	return compile(path, &f, conf.Decode(path, data, &f))
}

// compile goes on behind mistakes of decoding, so that one run shows all of both kinds.
func compile(path string, f *File, decoding error) (*Policy, error) {
	var mistakes conf.Problems
	if decoding != nil && (!errors.As(decoding, &mistakes) || !mistakes.Located()) {
		return nil, decoding
	}
	c := &compiler{
		path: path, options: option.NewRegistry(option.DHCP), options6: option.NewRegistry(option.DHCP6), p: &Policy{identity: f.Identity.V, bootp: f.BOOTP, machines: map[key]*reservation{}},
		classes: map[string]*class{}, names: map[string]conf.Pos{}, given: map[netip.Addr]givenTo{}, first: map[key]*reservation{},
	}
	top := conf.Pos{File: path}
	if f.Leases.V == "" {
		c.problems.AddAbsence(top, "leases is missing; name the directory where they are kept, like leases: /var/lib/netboot/leases")
	}
	c.p.dir, c.p.keeps = conf.Resolve(path, f.Leases.V), f.keeps(path)
	c.p.places = places{f.Leases.Pos, f.DHCPDLeases.Pos, f.Hook.Pos}
	c.define(f.Define)
	c.p.scope = c.scope(policy.Global, "", top, nil, &f.Gives)
	c.denied = c.denies(false, f.Deny)
	for i := range f.Classes {
		c.class(&f.Classes[i])
	}
	if len(f.Networks) == 0 {
		c.problems.AddAbsence(top, "networks is missing, so nobody would get an address; add one, like - {subnet: 192.0.2.0/24, pools: [192.0.2.100-192.0.2.199]}")
	}
	for i := range f.Networks {
		c.network(f, &f.Networks[i])
	}
	c.apart()
	for i := range f.Reservations {
		c.reservation(&f.Reservations[i])
	}
	c.apart6()
	c.subtract6()
	c.subtract()
	c.p.rules = policy.New(c.options)
	if err := mistakes.With(c.problems).Err(); err != nil {
		return nil, err
	}
	return c.p, nil
}

// apart looks for subnets that overlap. Each is compared with the smallest of those around it, of which there may be several:
// sorted, a subnet comes behind all that it is in.
func (c *compiler) apart() {
	slices.SortFunc(c.p.subnets, func(a, b *subnet) int {
		if d := a.Addr().Compare(b.Addr()); d != 0 {
			return d
		}
		return a.Bits() - b.Bits()
	})
	var around []*subnet
	for _, s := range c.p.subnets {
		for len(around) > 0 && !around[len(around)-1].Overlaps(s.Prefix) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			a, b := around[len(around)-1], s
			if b.Line < a.Line {
				a, b = b, a
			}
			c.problems.Add(b.Pos, "subnet %s overlaps %s on line %d; an address can be in one subnet only", b.Prefix, a.Prefix, a.Line)
		}
		around = append(around, s)
	}
}

// words reads a list of allow or deny.
func (c *compiler) words(key string, list conf.List[conf.At[string]]) (p permits) {
	for _, w := range list {
		switch class := c.classes[w.V]; {
		case w.V == "known":
			p.known = true
		case w.V == "unknown":
			p.unknown = true
		case class != nil:
			p.classes = append(p.classes, class)
		default:
			known := []string{"known", "unknown"}
			for name := range c.classes {
				known = append(known, name)
			}
			slices.Sort(known)
			c.problems.Add(w.Pos, "%s: there is no class %q; %s", key, w.V, conf.Suggest(w.V, known))
		}
	}
	return p
}

// denies reads the deny of a site, a network or a subnet.
func (c *compiler) denies(outer bool, list conf.List[conf.At[string]]) bool {
	for _, w := range list {
		if w.V != "unknown" {
			c.problems.Add(w.Pos, "deny: %q cannot be denied here, but only unknown: machines without a reservation; deny a class at a pool", w.V)
			continue
		}
		outer = true
	}
	return outer
}

func orElse[T any](p *T, outer T) T {
	if p == nil {
		return outer
	}
	return *p
}
