package lease

import (
	"container/heap"
	"container/list"
	"math"
	"net/netip"
	"slices"
)

// Pool is addresses of a Book that clients are lent, or prefixes of one length. An address is in one pool at most.
//
// A new owner gets the lowest address that nobody has had; in a large IPv6 pool one that follows from its identity, see
// scattered.
type Pool struct {
	ranges    []Range // sorted, without overlaps; none: the pool is no more
	network   uint16
	fixed     bool                // see Fixed
	turn      int                 // the range that next is in
	next      netip.Addr          // no address from here on was given out by its turn; invalid: all were
	returned  returned            // addresses before next that were only offered
	inside    map[netip.Addr]bool // is in returned
	available order               // had an owner, and are free now
	offered   list.List           // of entries that nobody has, the one that was offered first at the front
	resting   list.List           // of abandoned entries, likewise
	records   int                 // how many of its units have one
	most      int                 // as many may have one
}

// maxRecords bounds what a Book knows of one IPv6 pool. Clients make up identities, and such a pool has an address for each of
// them. In IPv4 the pool's own size is the bound.
const maxRecords = 1 << 16

// full tells whether no unit more may get a record. New owners get what has been free for the longest time then, as in a pool
// that has no fresh one left.
func (p *Pool) full() bool { return p.records >= p.most }

// room tells whether a unit, whose entry is e if there is one, has a record or may get one.
func (p *Pool) room(e *entry) bool { return e != nil && e.kept || !p.full() }

// Fixed is one address that the configuration gives to one client. It is lent like one of a pool, if nobody else still has
// it, and the client may ask for it while it has another one. It should be in no other pool.
func Fixed(a netip.Addr) *Pool {
	return &Pool{ranges: []Range{{First: a, Last: a}}, fixed: true, most: 1}
}

// FixedPrefix is Fixed for a prefix, of which no part should be in a pool.
func FixedPrefix(p netip.Prefix) *Pool {
	return &Pool{ranges: []Range{Prefixes(p, p.Bits())}, fixed: true, most: 1}
}

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
		if !p.contains(e.addr) {
			continue
		}
		if b.home(e); e.pool == p && e.state == Free {
			p.available.add(e)
		}
	}
	b.lineUp()
	b.findStrays()
	p.skip(b.entries)
	return p, nil
}

func newPool(ranges []Range, network uint16) *Pool {
	p := &Pool{ranges: slices.Clone(ranges), network: network, most: math.MaxInt}
	if len(ranges) > 0 && ranges[0].First.Is6() {
		p.most = maxRecords
	}
	slices.SortFunc(p.ranges, func(a, b Range) int { return a.First.Compare(b.First) })
	p.reset()
	return p
}

// reset forgets what was lent.
func (p *Pool) reset() {
	p.turn, p.next, p.returned, p.inside, p.available, p.records = 0, netip.Addr{}, nil, map[netip.Addr]bool{}, nil, 0
	if len(p.ranges) > 0 {
		p.next = p.ranges[0].First
	}
}

func (p *Pool) contains(a netip.Addr) bool {
	i, found := slices.BinarySearchFunc(p.ranges, a, func(r Range, a netip.Addr) int { return r.First.Compare(a) })
	return found || i > 0 && p.ranges[i-1].contains(a)
}

// Size is how many addresses or prefixes the pool has.
func (p *Pool) Size() (n uint64) {
	for _, r := range p.ranges {
		more := r.Size()
		n += min(more, math.MaxUint64-n) // more than fit are told as so many
	}
	return n
}

// skip moves next behind addresses that are known already.
func (p *Pool) skip(entries map[netip.Addr]*entry) {
	for p.next.IsValid() && entries[p.next] != nil {
		p.behind(p.next)
	}
}

// behind moves next behind an address.
func (p *Pool) behind(a netip.Addr) {
	for p.next.IsValid() && !a.Less(p.next) {
		if p.next = p.ranges[p.turn].after(a); p.next.IsValid() {
			return
		}
		if p.turn++; p.turn < len(p.ranges) {
			p.next = p.ranges[p.turn].First
		}
	}
}

// fresh takes what nobody has had.
func (b *Book) fresh(p *Pool, owner string, now int64) (a netip.Addr, ok bool) {
	if p.full() {
		return netip.Addr{}, false
	}
	if a, ok = b.scattered(p, owner, now); ok {
		return a, true
	}
	for len(p.returned) > 0 {
		a = heap.Pop(&p.returned).(netip.Addr)
		delete(p.inside, a)
		if b.unknown(p, a, now) {
			return a, true
		} // else a client asked for it by name since
	}
	for !p.fixed && p.next.IsValid() {
		a = p.next
		if by, blocked := b.blocked(p, a, now); blocked {
			p.behind(last(by))
			continue
		}
		if p.behind(a); b.entries[a] == nil {
			return a, true
		}
	}
	return netip.Addr{}, false
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
