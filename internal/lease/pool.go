package lease

import (
	"container/heap"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// Range is addresses of one family from the first to the last, both included.
type Range struct{ First, Last netip.Addr }

func (r Range) contains(a netip.Addr) bool {
	return a.BitLen() == r.First.BitLen() && !a.Less(r.First) && !r.Last.Less(a)
}

// Size is how many addresses there are; more than fit are told as so many.
func (r Range) Size() uint64 {
	first, last := r.First.As16(), r.Last.As16()
	high := binary.BigEndian.Uint64(last[:8]) - binary.BigEndian.Uint64(first[:8])
	low := binary.BigEndian.Uint64(last[8:]) - binary.BigEndian.Uint64(first[8:])
	if high > 1 || low == math.MaxUint64 || high == 1 && binary.BigEndian.Uint64(last[8:]) >= binary.BigEndian.Uint64(first[8:]) {
		return math.MaxUint64
	}
	return low + 1
}

// Pool is addresses of a Book that clients are lent. An address is in one pool at most.
type Pool struct {
	ranges    []Range // sorted, without overlaps; none: the pool is no more
	network   uint16
	fixed     bool                // see Fixed
	turn      int                 // the range that next is in
	next      netip.Addr          // no address from here on was given out by its turn; invalid: all were
	returned  returned            // addresses before next that were only offered
	inside    map[netip.Addr]bool // is in returned
	available order               // had an owner, and are free now
}

// Fixed is one address that the configuration gives to one client. It is lent like one of a pool, if nobody else still has
// it, and the client may ask for it while it has another one. It should be in no other pool.
func Fixed(a netip.Addr) *Pool { return &Pool{ranges: []Range{{a, a}}, fixed: true} }

// NewPool adds a pool to the addresses that are of no network, with what the journal says of them. Pools must not overlap.
func (b *Book) NewPool(addrs Range) (*Pool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := newPool([]Range{addrs}, 0)
	next := b.plan.with(p)
	if err := next.sort(); err != nil {
		return nil, err
	}
	b.plan = next
	for _, e := range b.kept {
		if p.contains(e.addr) {
			e.pool = p
			if e.state == Free {
				p.available.add(e)
			}
		}
	}
	p.skip(b.entries)
	return p, nil
}

func newPool(ranges []Range, network uint16) *Pool {
	p := &Pool{ranges: slices.Clone(ranges), network: network, inside: map[netip.Addr]bool{}}
	slices.SortFunc(p.ranges, func(a, b Range) int { return a.First.Compare(b.First) })
	if len(p.ranges) > 0 {
		p.next = p.ranges[0].First
	}
	return p
}

func (p *Pool) contains(a netip.Addr) bool {
	i, found := slices.BinarySearchFunc(p.ranges, a, func(r Range, a netip.Addr) int { return r.First.Compare(a) })
	return found || i > 0 && p.ranges[i-1].contains(a)
}

// Size is how many addresses the pool has.
func (p *Pool) Size() (n uint64) {
	for _, r := range p.ranges {
		n = max(n, n+r.Size()) // more than fit are told as so many
	}
	return n
}

// skip moves next behind addresses that are known already.
func (p *Pool) skip(entries map[netip.Addr]*entry) {
	for p.next.IsValid() && entries[p.next] != nil {
		p.advance()
	}
}

func (p *Pool) advance() {
	if p.next != p.ranges[p.turn].Last {
		p.next = p.next.Next()
		return
	}
	p.next = netip.Addr{}
	if p.turn++; p.turn < len(p.ranges) {
		p.next = p.ranges[p.turn].First
	}
}

// fresh takes the lowest address that nobody has had.
func (p *Pool) fresh(entries map[netip.Addr]*entry) (a netip.Addr, ok bool) {
	for len(p.returned) > 0 {
		a = heap.Pop(&p.returned).(netip.Addr)
		delete(p.inside, a)
		if entries[a] == nil {
			return a, true
		} // else a client asked for it by name since
	}
	if p.fixed {
		return a, false
	}
	p.skip(entries)
	if a = p.next; !a.IsValid() {
		return a, false
	}
	p.advance()
	return a, true
}

// giveBack takes an address that was offered and not wanted.
func (p *Pool) giveBack(a netip.Addr) {
	if !p.inside[a] && (!p.next.IsValid() || a.Less(p.next)) {
		heap.Push(&p.returned, a)
		p.inside[a] = true
	}
}

// returned is a heap of addresses, lowest first.
type returned []netip.Addr

func (r returned) Len() int           { return len(r) }
func (r returned) Less(i, j int) bool { return r[i].Less(r[j]) }
func (r returned) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// Push implements heap.Interface.
func (r *returned) Push(x any) { *r = append(*r, x.(netip.Addr)) }

// Pop implements heap.Interface.
func (r *returned) Pop() any {
	last := len(*r) - 1
	a := (*r)[last]
	*r = (*r)[:last]
	return a
}
