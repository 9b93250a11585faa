package subnets

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// ownOptions6 are what the server or another plugin says in DHCPv6.
var ownOptions6 = map[uint32]string{
	1: "", 2: "use the plugin server_id", 3: "", 4: "", 5: "", 6: "", 9: "", 12: "", 13: "", 14: "use rapid-commit", 18: "", 25: "", 26: "",
	59: "use the plugin boot", 60: "use the plugin boot",
}

// ownOption tells whether an option is the server's own, and what to use in its place.
func (c *compiler) ownOption(d *option.Definition) (remedy string, own bool) {
	switch d.Space() {
	case c.options.Main():
		remedy, own = ownOptions[d.Code]
	case c.options.Space(option.DHCP6):
		remedy, own = ownOptions6[d.Code]
	}
	return remedy, own
}

// define6 declares an option for conditions over DHCPv6 messages, where names without a space are of the other protocol.
func (c *compiler) define6(name string, code uint32, t option.Type) error {
	if !strings.Contains(name, ".") {
		name = option.DHCP + "." + name
	}
	_, err := c.options6.Define(name, code, t)
	return err
}

// class6 reads the condition of a class for DHCPv6. Its members are of the class in every respect.
func (c *compiler) class6(k *class, w *Class) {
	if cond := c.condition("when6", w.When6, c.options6); cond != nil {
		c.p.classes6 = append(c.p.classes6, &class{Scope: k.Scope, If: cond, Super: k})
	}
}

// delegation reads prefixes that routers are given.
func (c *compiler) delegation(s *subnet, w *Delegation) {
	p := &pool{
		subnet: s, Pos: w.Pos, length: w.Length.V, allow: c.words("allow", w.Allow), deny: c.words("deny", w.Deny),
		scope: c.scope(policy.Pool, "", w.Pos, s.scope, &w.Gives),
	}
	of := w.Prefix.V.Prefix
	switch {
	case !of.IsValid():
		c.problems.AddAbsence(w.Pos, "delegate has no prefix; write it like {prefix: 2001:db8:8000::/40, length: 56}")
	case s.Addr().Is4() || of.Addr().Is4():
		c.problems.Add(w.Prefix.Pos, "prefixes are delegated in IPv6; move delegate to an IPv6 subnet")
	case p.length < of.Bits() || p.length > 127:
		c.problems.Add(w.Pos, "length of the prefixes that %s is divided into must be %d to 127; write it like length: 56", of, of.Bits())
	default:
		r := lease.Prefixes(of, p.length)
		p.ranges = []lease.Range{r}
		c.p.spans = append(c.p.spans, span{r, p})
		s.network.pools = append(s.network.pools, p)
		c.delegated = append(c.delegated, delegated{of, w.Prefix.Pos})
	}
}

// delegated is space that prefixes are delegated from.
type delegated struct {
	netip.Prefix
	conf.Pos
}

// reservePrefix gives a prefix to a machine.
func (c *compiler) reservePrefix(r *reservation, at conf.Pos, p netip.Prefix) {
	if p.Addr().Is4() || p.IsSingleIP() {
		c.problems.Add(at, "prefix %s is none that can be delegated; write one like 2001:db8:f00::/56", p)
		return
	}
	for _, first := range c.givenPrefixes {
		if first.Overlaps(p) {
			c.problems.Add(at, "prefix %s overlaps %s, which is given on line %d; give %s another one", p, first.Prefix, first.Line, r.name)
			return
		}
	}
	r.prefix = p
	c.givenPrefixes = append(c.givenPrefixes, delegated{p, at})
}

// apart6 looks for delegated space that lies in a subnet or twice in the file.
func (c *compiler) apart6() {
	for _, d := range slices.Concat(c.delegated, c.givenPrefixes) {
		for _, s := range c.p.subnets {
			if d.Overlaps(s.Prefix) {
				c.problems.Add(d.Pos, "prefix %s overlaps the subnet %s on line %d; delegate what no link has", d.Prefix, s.Prefix, s.Line)
			}
		}
	}
	for i, d := range c.delegated {
		for _, first := range c.delegated[:i] {
			if d.Overlaps(first.Prefix) {
				c.problems.Add(d.Pos, "prefix %s overlaps %s on line %d; a prefix can be delegated from one of them only", d.Prefix, first.Prefix, first.Line)
			}
		}
	}
}

// subtract6 takes out of the pools what DHCPv6 must not lend: reserved prefixes, and what interface identifiers must not be.
func (c *compiler) subtract6() {
	for _, n := range c.p.networks {
		for _, p := range n.pools {
			switch {
			case p.length > 0:
				for _, given := range c.givenPrefixes {
					p.ranges = withoutPrefix(p.ranges, given.Prefix)
				}
			case p.subnet.Addr().Is6() && p.subnet.Bits() <= 64:
				for _, never := range neverLent(p.subnet.Prefix) {
					p.ranges = withoutPrefix(p.ranges, never)
				}
			}
		}
	}
}

// neverLent are the addresses of a subnet that are no machine's: all routers' (RFC 4291 section 2.6.1), and those with
// reserved interface identifiers (RFC 5453), which only subnets of 64 bits have.
func neverLent(p netip.Prefix) []netip.Prefix {
	never := []netip.Prefix{netip.PrefixFrom(p.Addr(), 128)}
	if p.Bits() == 64 {
		a := p.Addr().As16()
		copy(a[8:], []byte{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80})
		never = append(never, netip.PrefixFrom(netip.AddrFrom16(a), 121))
	}
	return never
}

func withoutPrefix(ranges []lease.Range, p netip.Prefix) (left []lease.Range) {
	for _, r := range ranges {
		left = append(left, r.Without(p)...)
	}
	return left
}
