package lease

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Network is where an owner has one address at a time. The addresses that are of none count as one together.
type Network struct {
	// Prefixes are what belongs to it, whether it is in a pool or not. What pools have outside of them belongs to it too.
	Prefixes []netip.Prefix
	Pools    [][]Range // the ranges of each
}

// plan is which address belongs where.
type plan struct {
	areas []area
	spans []span
}

// area is addresses of one network, span those of one pool.
type area struct {
	Range
	network uint16
}

type span struct {
	Range
	pool *Pool
}

// Arrange replaces all pools and networks by others, and returns the new pools in their order. Leases and offers stay as
// they are, also those of addresses that are in no pool any more: an address is lent to nobody else while it is somebody's.
// A pool from before has no address any more, so that nobody is lent one by it. It takes time for each lease.
func (b *Book) Arrange(networks []Network) ([][]*Pool, error) {
	if len(networks) >= math.MaxUint16 {
		return nil, fmt.Errorf("%d networks are too many; there can be %d", len(networks), math.MaxUint16-1)
	}
	var next plan
	pools := make([][]*Pool, len(networks))
	for i, n := range networks {
		number := uint16(i + 1)
		for _, p := range n.Prefixes {
			next.areas = append(next.areas, area{Addresses(p), number})
		}
		for _, ranges := range n.Pools {
			p := newPool(ranges, number)
			next = next.with(p)
			pools[i] = append(pools[i], p)
		}
	}
	if err := next.sort(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.plan.spans {
		*s.pool = Pool{}
	}
	b.plan = next
	b.rehome()
	for _, s := range next.spans {
		s.pool.skip(b.entries)
	}
	return pools, nil
}

// rehome puts every entry where it belongs.
func (b *Book) rehome() {
	clear(b.owners)
	for _, e := range b.entries {
		b.home(e)
		if e.state == Free {
			e.place = outside // the order that it was in is gone
			b.join(e)
		}
	}
	for _, e := range b.kept {
		b.own(e)
	}
	b.lineUp()
	b.findStrays()
	clear(b.held)
	for at := b.holds.Front(); at != nil; {
		e, following := at.Value.(*entry), at.Next()
		k := key{e.held.owner, e.network}
		if other := b.held[k]; other != nil { // two networks became one; the later offer counts
			b.withdraw(other)
		}
		b.held[k] = e
		at = following
	}
}

// with adds a pool.
func (p plan) with(added *Pool) plan {
	next := plan{slices.Clone(p.areas), slices.Clone(p.spans)}
	for _, r := range added.ranges {
		next.spans = append(next.spans, span{r, added})
	}
	return next
}

// sort makes the plan fit to be asked.
func (p *plan) sort() error {
	slices.SortFunc(p.spans, func(a, b span) int { return a.First.Compare(b.First) })
	for i, s := range p.spans {
		err := s.valid()
		switch {
		case err != nil:
			return err
		case s.bits() != s.pool.ranges[0].bits():
			return fmt.Errorf("%s to %s has prefixes of the length %d, and others of the pool have %d; a pool lends one length", s.First, s.Last, s.bits(), s.pool.ranges[0].bits())
		case i > 0 && !p.spans[i-1].end().Less(s.First):
			o := p.spans[i-1]
			return fmt.Errorf("%s to %s overlaps %s to %s; an address can be in one pool only", s.First, s.Last, o.First, o.Last)
		}
	}
	byFirst := func(a, b area) int { return a.First.Compare(b.First) }
	slices.SortFunc(p.areas, byFirst)
	for i, a := range p.areas {
		if i > 0 && !p.areas[i-1].Last.Less(a.First) {
			o := p.areas[i-1]
			return fmt.Errorf("%s to %s overlaps %s to %s; an address can be in one network only", a.First, a.Last, o.First, o.Last)
		}
	}
	return nil
}

// network is the number of the one that an address is of; 0: none.
func (p *plan) network(a netip.Addr) uint16 {
	i, found := slices.BinarySearchFunc(p.areas, a, func(r area, a netip.Addr) int { return r.First.Compare(a) })
	switch {
	case found:
		return p.areas[i].network
	case i > 0 && p.areas[i-1].contains(a):
		return p.areas[i-1].network
	}
	if pool := p.pool(a); pool != nil {
		return pool.network
	}
	return 0
}

// pool is the one that an address is in; nil: none.
func (p *plan) pool(a netip.Addr) *Pool {
	i, found := slices.BinarySearchFunc(p.spans, a, func(s span, a netip.Addr) int { return s.First.Compare(a) })
	switch {
	case found:
		return p.spans[i].pool
	case i > 0 && p.spans[i-1].contains(a):
		return p.spans[i-1].pool
	}
	return nil
}
