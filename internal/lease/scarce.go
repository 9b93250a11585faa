package lease

import (
	"cmp"
	"slices"
)

// Where nothing of a pool is free, a new client gets what others may never want: an address that somebody was offered a while
// ago and has not asked for, or else one that was found in use some time ago. Somebody who makes up hardware addresses could
// otherwise have all addresses of a pool offered to him, or decline them, and nobody would get one for two minutes or for a day.

const (
	// patience is for how many seconds an offer is nobody else's. A client asks when it has chosen among the offers; EDK2's PXE
	// client listens for 4 seconds, and iPXE for 2.
	patience = 10
	// rest is for how many seconds nobody at all gets an address that was found in use. ISC dhcpd gives it again as soon as
	// it has no other one, dnsmasq after 10 minutes.
	rest = 600
)

// lineUp puts an entry behind those of its pool that a new client gets only if nothing is free.
func (e *entry) lineUp() {
	switch {
	case e.pool == nil:
	case e.held != nil && e.state == Free:
		e.turn = e.pool.offered.PushBack(e)
	case e.state == Abandoned:
		e.turn = e.pool.resting.PushBack(e)
	}
}

// stepOut takes it out of there.
func (e *entry) stepOut() {
	if e.turn != nil && e.pool != nil {
		e.pool.offered.Remove(e.turn) // it is in one of the two
		e.pool.resting.Remove(e.turn)
	}
	e.turn = nil
}

// makeRoom takes back the oldest offer of the pools that was not asked for in time, or else ends their oldest quarantine;
// false: there is none. That is not written: if it is lost, the address rests to the end.
func (b *Book) makeRoom(now int64, from []*Pool) bool {
	var oldest, found *entry
	for _, p := range from {
		if front := p.offered.Front(); front != nil {
			if e := front.Value.(*entry); oldest == nil || e.held.since < oldest.held.since {
				oldest = e
			}
		}
		if front := p.resting.Front(); front != nil {
			if e := front.Value.(*entry); found == nil || e.start < found.start {
				found = e
			}
		}
	}
	switch {
	case oldest != nil && now-oldest.held.since >= patience:
		b.withdraw(oldest)
	case found != nil && now-found.start >= rest:
		b.set(found, Free, "", found.start, now)
		b.tell(Expired, found)
	default:
		return false
	}
	return true
}

// lineUp does so for all entries, whose pools are new.
func (b *Book) lineUp() {
	for _, s := range b.plan.spans {
		s.pool.offered.Init()
		s.pool.resting.Init()
	}
	var resting []*entry
	for _, e := range b.kept {
		if e.turn = nil; e.state == Abandoned {
			resting = append(resting, e)
		}
	}
	slices.SortFunc(resting, func(a, b *entry) int { return cmp.Or(cmp.Compare(a.start, b.start), a.addr.Compare(b.addr)) })
	for _, e := range resting {
		e.lineUp()
	}
	var offered []*entry
	for at := b.holds.Front(); at != nil; at = at.Next() {
		offered = append(offered, at.Value.(*entry))
	}
	slices.SortStableFunc(offered, func(a, b *entry) int { return cmp.Compare(a.held.since, b.held.since) })
	for _, e := range offered {
		e.turn = nil
		e.lineUp()
	}
}
