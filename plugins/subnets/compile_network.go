package subnets

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
)

// network reads a link.
func (c *compiler) network(f *File, w *Network) {
	n := &network{name: w.Name.V, Pos: w.Pos, authoritative: orElse(w.Authoritative, orElse(f.Authoritative, false))}
	list := w.Subnets
	switch lone := w.Prefix.V.IsValid(); {
	case lone && len(w.Subnets) > 0:
		c.problems.Add(w.Prefix.Pos, "network has both subnet and subnets; write all of them under subnets")
	case lone:
		list = []Subnet{w.Subnet}
		if n.name == "" {
			n.name = w.Prefix.V.String()
		}
	case len(w.Subnets) == 0:
		c.problems.AddAbsence(w.Pos, "network has no subnet; add one, like subnet: 192.0.2.0/24")
	case n.name == "":
		c.problems.AddAbsence(w.Pos, "network of several subnets has no name; add one, like name: office")
	}
	if first, seen := c.names[n.name]; seen && n.name != "" {
		c.problems.Add(n.Pos, "network %s is already there on line %d; choose another name", n.name, first.Line)
	}
	c.names[n.name] = n.Pos
	n.scope = c.p.scope
	if len(w.Subnets) > 0 {
		n.scope = c.scope(policy.SharedNetwork, n.name, w.Pos, c.p.scope, &w.Gives)
		if len(w.Pools) > 0 {
			c.problems.Add(w.Pools[0].Pos, "pools of a network with subnets belong to one of them; move them there")
		}
	}
	denied, ping := c.denied, orElse(f.PingCheck, false)
	if len(w.Subnets) > 0 { // or they are the subnet's
		denied, ping = c.denies(denied, w.Deny), orElse(w.PingCheck, ping)
	}
	for i := range list {
		c.subnet(n, &list[i], denied, ping)
		if s := &list[i]; s.Prefix.V.IsValid() && s.Prefix.V.Addr().Is6() {
			n.rapid = n.rapid || orElse(s.Rapid, orElse(w.Rapid, orElse(f.Rapid, false)))
		}
	}
	c.p.networks = append(c.p.networks, n)
}

func (c *compiler) subnet(n *network, w *Subnet, denied, ping bool) {
	s := &subnet{Prefix: w.Prefix.V.Prefix, text: w.Prefix.V.Prefix.String(), network: n, Pos: w.Prefix.Pos}
	if !s.IsValid() {
		c.problems.AddAbsence(w.Pos, "subnet is missing; write it like subnet: 192.0.2.0/24")
		return
	}
	s.scope = c.scope(policy.Subnet, s.text, s.Pos, n.scope, &w.Gives)
	if s.Addr().Is4() {
		mask := policy.Set{
			Option: c.options.Main().Code(optSubnetMask), Value: expr.Constant(net.CIDRMask(s.Bits(), 32)), How: policy.Default,
		}
		s.scope.Statements = append([]policy.Statement{mask}, s.scope.Statements...)
	}
	s.denyUnknown = c.denies(denied, w.Deny)
	s.ping = orElse(w.PingCheck, ping)
	n.subnets = append(n.subnets, s)
	c.p.subnets = append(c.p.subnets, s)
	for i := range w.Pools {
		c.pool(s, &w.Pools[i])
	}
	for i := range w.Delegate {
		c.delegation(s, &w.Delegate[i])
	}
}

const optSubnetMask = 1

// maxAddrs bounds a pool: its offers and leases are kept in memory.
const maxAddrs = 1 << 24

func (c *compiler) pool(s *subnet, w *Pool) {
	p := &pool{
		subnet: s, Pos: w.Pos, bootp: w.BOOTP, allow: c.words("allow", w.Allow), deny: c.words("deny", w.Deny),
		scope: c.scope(policy.Pool, "", w.Pos, s.scope, &w.Gives),
	}
	if len(w.Ranges) == 0 {
		c.problems.AddAbsence(w.Pos, "pool has no range; add one, like range: 192.0.2.100-192.0.2.199")
	}
	for _, r := range w.Ranges {
		switch why := s.unusable(r.V.Range); {
		case !r.V.First.IsValid(): // it was said what is wrong with it
		case why != "":
			c.problems.Add(r.Pos, "range %s-%s %s", r.V.First, r.V.Last, why)
		default:
			p.ranges = append(p.ranges, r.V.Range)
			c.p.spans = append(c.p.spans, span{r.V.Range, p})
			c.overlaps(r.Pos, r.V.Range)
		}
	}
	s.network.pools = append(s.network.pools, p)
}

// unusable tells why a subnet cannot lend addresses; empty: it can.
func (s *subnet) unusable(r lease.Range) string {
	switch first, last := s.ends(); {
	case !s.Contains(r.First) || !s.Contains(r.Last):
		return fmt.Sprintf("is not inside of its subnet %s; correct one of the two", s.Prefix)
	case s.Addr().Is4() && r.Size() > maxAddrs:
		return fmt.Sprintf("has %d addresses; a range can have %d", r.Size(), maxAddrs)
	case s.Addr().Is6() || s.Bits() > 30:
		return ""
	case r.First == first:
		return fmt.Sprintf("has %s, which is the network's own address; begin with %s", first, first.Next())
	case r.Last == last:
		return fmt.Sprintf("has %s, which is the broadcast address; end with %s", last, last.Prev())
	}
	return ""
}

// ends are the first and the last address.
func (s *subnet) ends() (first, last netip.Addr) {
	b := s.Addr().AsSlice()
	for i := s.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ = netip.AddrFromSlice(b)
	return s.Addr(), last
}

// overlaps looks at the newest range.
func (c *compiler) overlaps(at conf.Pos, r lease.Range) {
	for _, o := range c.p.spans[:len(c.p.spans)-1] {
		if o.First.BitLen() == r.First.BitLen() && !r.Last.Less(o.First) && !o.Last.Less(r.First) {
			c.problems.Add(at, "range %s-%s overlaps %s-%s of the pool on line %d; an address can be in one pool only", r.First, r.Last, o.First, o.Last, o.pool.Line)
			return
		}
	}
}

// subtract takes the reserved addresses out of the pools, and makes the ranges fit to be looked up.
func (c *compiler) subtract() {
	reserved := make([]netip.Addr, 0, len(c.given))
	for a := range c.given {
		reserved = append(reserved, a)
	}
	slices.SortFunc(reserved, netip.Addr.Compare)
	var spans []span
	for _, n := range c.p.networks {
		for _, p := range n.pools {
			var left []lease.Range
			for _, r := range p.ranges {
				left = append(left, without(r, reserved)...)
			}
			p.ranges = left
			for _, r := range left {
				spans = append(spans, span{r, p})
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.First.Compare(b.First) })
	c.p.spans = spans
}

// without is r without some addresses, which are sorted.
func without(r lease.Range, addrs []netip.Addr) (left []lease.Range) {
	i, _ := slices.BinarySearchFunc(addrs, r.First, netip.Addr.Compare)
	for ; i < len(addrs) && !r.Last.Less(addrs[i]); i++ {
		if a := addrs[i]; r.First.Less(a) {
			left = append(left, lease.Range{First: r.First, Last: a.Prev()})
		}
		if addrs[i] == r.Last {
			return left
		}
		r.First = addrs[i].Next()
	}
	return append(left, r)
}
