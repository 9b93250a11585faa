package lease

import "time"

// maxHeld bounds the offers, which a client can have as many of as it makes up identities.
const maxHeld = 1 << 17

// hold reserves an entry for a client. What the client was offered before it is not offered any more.
func (b *Book) hold(e *entry, owner string, now int64) {
	k := key{owner, e.network}
	if other := b.held[k]; other != nil && other != e {
		b.withdraw(other)
	}
	until := now + int64(b.config.Hold/time.Second)
	if e.held != nil && e.held.owner == owner {
		e.held.until = until
		b.holds.MoveToBack(e.held.link)
		return
	}
	b.drop(e) // the offer to somebody else is over
	if len(b.held) >= maxHeld {
		b.withdraw(b.holds.Front().Value.(*entry))
	}
	if e.state == Free {
		b.leave(e)
	}
	e.held = &hold{owner: owner, since: now, until: until, link: b.holds.PushBack(e)}
	b.held[k] = e
	e.lineUp()
}

// drop forgets that an entry is held.
func (b *Book) drop(e *entry) {
	if e.held != nil {
		delete(b.held, key{e.held.owner, e.network})
		b.holds.Remove(e.held.link)
		e.stepOut()
		e.held = nil
	}
	b.join(e)
}

// withdraw takes an offer back. An entry without a record is no entry any more.
func (b *Book) withdraw(e *entry) {
	b.drop(e)
	if !e.kept {
		delete(b.entries, e.addr)
		if e.pool != nil {
			e.pool.giveBack(e.addr)
		}
	}
}

// set changes an entry. It is not held any more.
func (b *Book) set(e *entry, s State, f facts, start, end int64) {
	if e.kept {
		b.counts[e.state]--
	} else {
		b.kept = append(b.kept, e)
		e.kept = true
		if e.pool != nil {
			e.pool.records++
		}
	}
	b.counts[s]++
	b.leave(e)
	if k := (key{e.facts.owner(), e.network}); e.facts != "" && f != e.facts && b.owners[k] == e {
		delete(b.owners, k)
	}
	e.state, e.start, e.end, e.facts = s, start, end, f
	b.strays.ended = b.strays.ended || e.stray && s == Free
	if f != "" {
		b.owners[key{f.owner(), e.network}] = e
	}
	b.drop(e)
	e.stepOut()
	e.lineUp()
}

// leave takes an entry out of the order that it is in; join puts it into the one where it belongs.
func (b *Book) leave(e *entry) {
	switch {
	case e.place == outside:
	case e.state == Free:
		e.pool.available.remove(e) // it is in one, or it would be outside
	default:
		b.expiring.remove(e)
	}
}

func (b *Book) join(e *entry) {
	switch {
	case e.place != outside || !e.kept:
	case e.state != Free:
		b.expiring.add(e)
	case e.pool != nil && e.held == nil:
		e.pool.available.add(e)
	}
}

// expire ends a lease or a quarantine. It is not written: the end is in the record.
func (b *Book) expire(e *entry) {
	b.counts[e.state]--
	b.counts[Free]++
	b.leave(e)
	if e.state == Abandoned {
		e.stepOut()
	}
	e.state = Free
	b.strays.ended = b.strays.ended || e.stray
	b.join(e)
	b.tell(Expired, e)
}

// sweepOne forgets an offer or ends a lease that is over; false: there is none.
func (b *Book) sweepOne(now int64) bool {
	if front := b.holds.Front(); front != nil && front.Value.(*entry).held.until <= now {
		b.withdraw(front.Value.(*entry))
		return true
	}
	if e := b.expiring.first(); e != nil && e.end <= now {
		b.expire(e)
		return true
	}
	return false
}

// sweep does so for a few: more than a request can add, so that none waits for long.
func (b *Book) sweep(now int64) {
	for n := 0; n < 8 && b.sweepOne(now); n++ {
	}
}
