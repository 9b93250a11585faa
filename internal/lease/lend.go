package lease

import (
	"errors"
	"net/netip"
	"time"
)

// Why an address is not lent.
var (
	ErrExhausted = errors.New("no address is free")
	ErrOutside   = errors.New("the address is in no pool of the client's")
	ErrTaken     = errors.New("the address is somebody else's")
	ErrOther     = errors.New("the client has another address")
)

// Offer reserves an address for a while and tells it: the one that the client has, was offered, or had last; or the wanted
// one, which may be invalid; or one that nobody has had, see Pool; or the one that has been free for the longest time; or one
// that somebody else was offered at least 10 seconds ago; or one that was found in use at least 10 minutes ago. Pools are asked
// in their order, and are all of one network. It writes nothing. A prefix is told by its first address.
func (b *Book) Offer(owner string, want netip.Addr, from ...*Pool) (netip.Addr, error) {
	if owner == "" || len(owner) > MaxField {
		return netip.Addr{}, errNoOwner
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.time.now()
	b.sweep(now)
	e := b.choose(owner, want, now, from)
	if e == nil {
		return netip.Addr{}, ErrExhausted
	}
	b.hold(e, owner, now)
	b.tell(Offered, e)
	return e.addr, nil
}

// choose is the entry for a client, whether it has a record or not; nil: there is none.
func (b *Book) choose(owner string, want netip.Addr, now int64, from []*Pool) *entry {
	k := b.key(owner, from)
	for _, e := range []*entry{b.owners[k], b.held[k]} {
		if e != nil && among(e.pool, from) && e.pool.room(e) && b.lendable(e, e.pool, e.addr, owner, now) {
			return e
		}
	}
	if p := poolOf(want, from); p != nil && p.room(b.entries[want]) && b.lendable(b.entries[want], p, want, owner, now) {
		return b.at(want, p, now)
	}
	for {
		for _, p := range from {
			if a, ok := b.fresh(p, owner, now); ok {
				return b.at(a, p, now)
			}
		}
		var oldest *entry
		for _, p := range from {
			if e := p.available.first(); e != nil && (oldest == nil || e.before(oldest)) {
				oldest = e
			}
		}
		if oldest == nil {
			if !b.sweepOne(now) && !b.rearrange(now) && !b.makeRoom(now, from) {
				return nil
			}
			continue
		}
		if _, blocked := b.blocked(oldest.pool, oldest.addr, now); !blocked {
			return oldest
		}
		b.leave(oldest) // until there is another arrangement
	}
}

func among(p *Pool, from []*Pool) bool {
	for _, f := range from {
		if f == p {
			return p != nil
		}
	}
	return false
}

func poolOf(a netip.Addr, from []*Pool) *Pool {
	for _, p := range from {
		if a.IsValid() && p.contains(a) {
			return p
		}
	}
	return nil
}

// key is the owner in the network of the pools.
func (b *Book) key(owner string, from []*Pool) key {
	switch {
	case len(from) == 0:
		return key{owner, 0}
	case from[0].fixed:
		return key{owner, b.plan.network(from[0].ranges[0].First)}
	}
	return key{owner, from[0].network}
}

// at is the entry of an address. One that is new must be held or set by the caller.
func (b *Book) at(a netip.Addr, p *Pool, now int64) *entry {
	e := b.entries[a]
	if e != nil && e.held != nil && e.held.until <= now {
		b.withdraw(e)
		e = b.entries[a]
	}
	bits := p.ranges[0].bits()
	switch {
	case e == nil:
		e = &entry{addr: a, bits: bits, pool: b.plan.pool(a), network: b.plan.network(a), place: outside}
		b.entries[a] = e
	case e.bits != bits: // it was lent at another length once
		if e.kept && e.pool != nil {
			e.pool.records--
		}
		e.stepOut()
		e.bits, e.pool, e.stray = bits, b.plan.pool(a), false
		e.lineUp()
		if e.kept && e.pool != nil {
			e.pool.records++
		}
	}
	return e
}

// lendable tells whether nobody else has an address of a pool, nor was offered it, nor has anything that overlaps it. Its
// entry is e, if there is one.
func (b *Book) lendable(e *entry, p *Pool, a netip.Addr, owner string, now int64) bool {
	if e != nil {
		if e.held != nil && e.held.owner != owner && e.held.until > now {
			return false
		}
		if e.state != Free && e.end > now && (e.state != Active || e.facts.owner() != owner) {
			return false
		}
	}
	_, blocked := b.blocked(p, a, now)
	return !blocked
}

// Commit lends an address that the client asks for, if it is free or the client's, and if the client is offered it or
// has no other one. It tells for how long, in whole seconds, which is shorter than what is asked for where the lease is
// young: a client that asks again before a quarter has passed is answered from what is on stable storage, and nothing
// is written.
//
// Done is called once, now or later, if the error is nil; with nil it says that the lease is on stable storage, and only
// then may the client hear of it.
func (b *Book) Commit(c Client, a netip.Addr, ask time.Duration, done func(error), from ...*Pool) (time.Duration, error) {
	f, err := factsOf(&c)
	if err != nil {
		return 0, err
	}
	granted, written, err := b.commit(c.Owner, f, a, int64(ask/time.Second), done, from)
	switch {
	case err != nil && written:
		done(err) // it is in the memory only, so the address stays the client's
		return granted, nil
	case err != nil:
		return 0, err
	case !written:
		done(nil)
	}
	return granted, nil
}

// commit tells whether there was something to write.
func (b *Book) commit(owner string, f facts, a netip.Addr, seconds int64, done func(error), from []*Pool) (granted time.Duration, write bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, stepped := b.time.check()
	if stepped {
		_ = b.journal.Append(b.time.last.append(nil), nil) // what cannot be written the next snapshot has
	}
	b.sweep(now)
	p := poolOf(a, from)
	if p == nil {
		return 0, false, ErrOutside
	}
	if e := b.entries[a]; e != nil && e.held != nil && e.held.until <= now {
		b.withdraw(e)
	}
	k := b.key(owner, from)
	e, last := b.entries[a], b.owners[k]
	moves := last != nil && last != e && last.state == Active && last.end > now
	// Who had an address in each of two networks that are one now keeps the later, if it is still lent to it.
	returns := moves && e != nil && e.state == Active && e.end > now && !among(last.pool, from)
	switch {
	case !b.lendable(e, p, a, owner, now):
		return 0, false, ErrTaken
	case !p.room(e):
		return 0, false, ErrExhausted
	case moves && !p.fixed && !returns && (e == nil || b.held[k] != e):
		return 0, false, ErrOther
	}
	if e = b.at(a, p, now); e.state == Active && e.facts == f && e.durable == e.version && e.young(now) && e.end-now-1 <= seconds {
		b.drop(e)
		return time.Duration(e.end-now-1) * time.Second, false, nil
	}
	if !moves {
		last = nil
	}
	if other := b.held[k]; other != nil && other != e {
		b.withdraw(other)
	}
	end := now + seconds + 1 // one more than the client is told, since now was rounded down
	if e.state == Active && e.facts.owner() == owner {
		end = max(end, e.end) // if this is not written, the client goes on by what it was told before
	}
	b.set(e, Active, f, now, end)
	return time.Duration(seconds) * time.Second, true, b.logMove(e, last, done)
}

// young tells whether less than a quarter of a lease has passed.
func (e *entry) young(now int64) bool { return (now-e.start)*4 < e.end-e.start && e.end > now+1 }
