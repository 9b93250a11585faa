package lease

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
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
	addrs     Range
	next      netip.Addr          // no address from here on was given out by its turn; invalid: all were
	returned  returned            // addresses before next that were only offered
	inside    map[netip.Addr]bool // is in returned
	available order               // had an owner, and are free now
}

// NewPool makes a pool of addresses, with what the journal says of them. Pools must not overlap.
func (b *Book) NewPool(addrs Range) (*Pool, error) {
	if !addrs.First.IsValid() || addrs.First.BitLen() != addrs.Last.BitLen() || addrs.Last.Less(addrs.First) {
		return nil, fmt.Errorf("%s to %s is no range of addresses; give the first and the last", addrs.First, addrs.Last)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.pools {
		if other.addrs.contains(addrs.First) || addrs.contains(other.addrs.First) {
			return nil, fmt.Errorf("%s to %s overlaps %s to %s; an address can be in one pool only", addrs.First, addrs.Last, other.addrs.First, other.addrs.Last)
		}
	}
	p := &Pool{addrs: addrs, next: addrs.First, inside: map[netip.Addr]bool{}}
	b.pools = append(b.pools, p)
	for _, e := range b.kept {
		if addrs.contains(e.addr) {
			e.pool = p
			if e.state == Free {
				p.available.add(e)
			}
		}
	}
	p.skip(b.entries)
	return p, nil
}

// Size is how many addresses the pool has.
func (p *Pool) Size() uint64 { return p.addrs.Size() }

// skip moves next behind addresses that are known already.
func (p *Pool) skip(entries map[netip.Addr]*entry) {
	for p.next.IsValid() && entries[p.next] != nil {
		p.advance()
	}
}

func (p *Pool) advance() {
	if p.next == p.addrs.Last {
		p.next = netip.Addr{}
		return
	}
	p.next = p.next.Next()
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
