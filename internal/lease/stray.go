package lease

import "net/netip"

// A stray is an IPv6 lease that is no unit of any pool: a reservation's, or one that was lent before the pools were
// arranged anew. It may lie across what is lent now, as where prefixes are delegated at another length. Until it ends,
// nothing is lent that overlaps it. In IPv4, where all units are addresses, its own entry tells enough.

// strays are those that there were at the last arrangement.
type strays struct {
	cover
	ended bool  // one has ended since
	next  int64 // no arrangement before that on their account
}

// findStrays looks for them.
func (b *Book) findStrays() {
	var found []netip.Prefix
	for _, e := range b.kept {
		if e.stray = e.pool == nil && e.state != Free && e.addr.Is6(); e.stray {
			found = append(found, e.unit())
		}
	}
	b.strays = strays{cover: coverOf(found), next: b.time.now() + 60}
}

// blocked finds a stray that overlaps a unit of a pool, other than the unit itself.
func (b *Book) blocked(p *Pool, a netip.Addr, now int64) (netip.Prefix, bool) {
	if len(b.strays.sorted) == 0 {
		return netip.Prefix{}, false
	}
	u := netip.PrefixFrom(a, p.ranges[0].bits())
	return b.strays.over(u, func(s netip.Prefix) bool {
		e := b.entries[s.Addr()]
		return s != u && e != nil && e.stray && e.unit() == s && e.state != Free && e.end > now
	})
}

// unknown tells whether nobody has had a unit of a pool, nor has anything that overlaps it.
func (b *Book) unknown(p *Pool, a netip.Addr, now int64) bool {
	_, blocked := b.blocked(p, a, now)
	return !blocked && b.entries[a] == nil
}

// rearrange finds what is free since strays have ended; false: nothing is.
func (b *Book) rearrange(now int64) bool {
	if !b.strays.ended || now < b.strays.next {
		return false
	}
	for _, s := range b.plan.spans {
		s.pool.reset()
	}
	b.rehome()
	return true
}

// home tells an entry its pool and network. What is lent at another length than the pool's is in none.
func (b *Book) home(e *entry) {
	e.pool, e.network = b.plan.pool(e.addr), b.plan.network(e.addr)
	if e.pool == nil {
		return
	}
	if bits := e.pool.ranges[0].bits(); e.state == Free {
		e.bits = bits
	} else if e.bits != bits {
		e.pool = nil
		return
	}
	if e.kept {
		e.pool.records++
	}
}
