package subnets

import (
	"math"
	"net/netip"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/policy"
)

// Policy is what was understood of a file. It is immutable; only the leases behind its pools change.
type Policy struct {
	dir      string // where leases are kept
	keeps    store.Settings
	places   places
	identity identity
	bootp    bool // machines with a reservation may ask by BOOTP

	networks []*network
	subnets  []*subnet // by address
	spans    []span    // the addresses of pools, likewise
	machines map[key]*reservation
	classes  []*class
	classes6 []*class // the same for DHCPv6
	scope    *scope   // of the whole site
	rules    *policy.Policy

	reservations int
}

// network is a link.
type network struct {
	name          string
	subnets       []*subnet
	pools         []*pool
	authoritative bool
	rapid         bool // a SOLICIT may be answered with a REPLY
	scope         *scope
	conf.Pos
}

// subnet is the addresses of a network that are reached without a router.
type subnet struct {
	netip.Prefix
	text        string // the prefix, for rules that name it
	network     *network
	denyUnknown bool
	ping        bool
	scope       *scope
	conf.Pos
}

// pool is addresses of a subnet that are lent to who may have them, or prefixes that are delegated from there.
type pool struct {
	subnet *subnet
	length int           // of the prefixes; 0: addresses
	ranges []lease.Range // without reserved addresses
	lent   *lease.Pool
	allow  permits // nothing in it: everybody
	deny   permits
	bootp  bool // to BOOTP clients too, for good
	scope  *scope
	conf.Pos
}

// span is a range of a pool.
type span struct {
	lease.Range
	pool *pool
}

// permits are who may or may not have an address.
type permits struct {
	known, unknown bool
	classes        []*class
}

func (p *permits) empty() bool { return !p.known && !p.unknown && len(p.classes) == 0 }

func (p *permits) include(f *found) bool {
	if f.known && p.known || !f.known && p.unknown {
		return true
	}
	return slices.ContainsFunc(p.classes, func(c *class) bool { return policy.Members(f.classes, c) })
}

// takes tells whether a client may have an address of the pool.
func (p *pool) takes(f *found) bool {
	return !p.deny.include(f) && (p.allow.empty() || p.allow.include(f)) && (!f.bootp || p.bootp)
}

// reservation is a machine that the operator knows.
type reservation struct {
	name   string
	addrs  []netip.Addr
	prefix netip.Prefix // delegated to it; invalid: none
	ignore bool
	scope  *scope
	conf.Pos
}

// key is one thing that a reservation knows its machine by.
type key struct {
	by   keyKind
	a, b string
}

type keyKind uint8

const (
	byClientID keyKind = iota
	byMAC
	byDUID
	byPort // circuit and remote id; one of them may be empty
)

// in is the machine's address of a family in a network; ok is false if it has some, but none there.
func (r *reservation) in(n *network, v4 bool) (a netip.Addr, ok bool) {
	ok = true
	for _, a := range r.addrs {
		if a.Is4() != v4 {
			continue
		}
		if n.contains(a) {
			return a, true
		}
		ok = false
	}
	return netip.Addr{}, ok
}

func (n *network) contains(a netip.Addr) bool {
	return slices.ContainsFunc(n.subnets, func(s *subnet) bool { return s.Contains(a) })
}

// reserved is the reservation of a client that applies in a network, and its address there, if it has one. A machine whose
// addresses are all in other networks is a stranger here.
func (p *Policy) reserved(n *network, c *lease.Client, v4 bool) (*reservation, netip.Addr) {
	if len(p.machines) == 0 {
		return nil, netip.Addr{}
	}
	for _, k := range []key{
		{byClientID, c.ID, ""}, {byMAC, c.MAC, ""}, {byPort, c.CircuitID, c.RemoteID}, {byPort, c.CircuitID, ""}, {byPort, "", c.RemoteID},
	} {
		if k.a == "" && k.b == "" {
			continue
		}
		if r := p.machines[k]; r != nil {
			if a, ok := r.in(n, v4); ok {
				return r, a
			}
		}
	}
	return nil, netip.Addr{}
}

// subnet is the one that an address is in; nil: none.
func (p *Policy) subnet(a netip.Addr) *subnet {
	i, found := slices.BinarySearchFunc(p.subnets, a, func(s *subnet, a netip.Addr) int { return s.Addr().Compare(a) })
	switch {
	case found:
		return p.subnets[i]
	case i > 0 && p.subnets[i-1].Contains(a):
		return p.subnets[i-1]
	}
	return nil
}

// pool is the one that an address is in; nil: none.
func (p *Policy) pool(a netip.Addr) *pool {
	i, found := slices.BinarySearchFunc(p.spans, a, func(s span, a netip.Addr) int { return s.First.Compare(a) })
	switch {
	case found:
		return p.spans[i].pool
	case i > 0 && !p.spans[i-1].Last.Less(a):
		return p.spans[i-1].pool
	}
	return nil
}

// open are the pools of a network that a client may have an address of.
func (n *network) open(f *found, v4 bool) (pools []*lease.Pool) {
	for _, p := range n.pools {
		if p.subnet.Addr().Is4() == v4 && p.length == 0 && p.takes(f) && (f.known || !p.subnet.denyUnknown) {
			pools = append(pools, p.lent)
		}
	}
	return pools
}

// size is how many addresses can be lent or are reserved.
func (p *Policy) size() (n uint64) {
	for _, s := range p.spans {
		n += min(s.Size(), math.MaxUint64-n) // more than fit are told as so many
	}
	return n
}

// bind puts the leases behind the pools. Leases of addresses that have no pool any more are kept.
func (p *Policy) bind(b *lease.Book) error {
	all := make([]lease.Network, len(p.networks))
	for i, n := range p.networks {
		for _, s := range n.subnets {
			all[i].Prefixes = append(all[i].Prefixes, s.Prefix)
		}
		for _, pool := range n.pools {
			all[i].Pools = append(all[i].Pools, pool.ranges)
		}
	}
	arranged, err := b.Arrange(all)
	if err != nil {
		return err
	}
	for i, n := range p.networks {
		for j, pool := range n.pools {
			pool.lent = arranged[i][j]
		}
	}
	return nil
}

// Names are what rules of other plugins can match: the networks by name and by subnet, and the classes.
func (p *Policy) Names() (networks, classes []string) {
	for _, n := range p.networks {
		networks = append(networks, n.name)
	}
	for _, s := range p.subnets {
		networks = append(networks, s.Prefix.String())
	}
	for _, c := range p.classes {
		classes = append(classes, c.Name)
	}
	return networks, classes
}
