package lease

import (
	"net/netip"
	"time"
)

// Withdraw takes back what a client was offered in the network of the pools.
func (b *Book) Withdraw(owner string, from ...*Pool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.held[b.key(owner, from)]; e != nil {
		b.withdraw(e)
	}
}

// Release ends a client's lease of an address; false: it has none. The client gets the address again if it asks in time.
func (b *Book) Release(owner string, a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.time.now()
	b.sweep(now)
	e := b.entries[a]
	if e == nil || e.state != Active || e.end <= now || e.facts.owner() != owner {
		return false
	}
	b.set(e, Free, e.facts, e.start, now)
	_ = b.log(e) // if it is lost, the address stays reserved
	b.tell(Released, e)
	return true
}

// Decline quarantines an address that a client was offered or lent, and found in use; false: it was not, or its pool has
// no record left for it.
func (b *Book) Decline(owner string, a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.time.now()
	b.sweep(now)
	e := b.entries[a]
	if e == nil || (e.held == nil || e.held.owner != owner) && (e.state != Active || e.end <= now || e.facts.owner() != owner) {
		return false
	}
	if e.pool != nil && !e.pool.room(e) {
		b.withdraw(e) // and nobody is offered it again
		return false
	}
	b.set(e, Abandoned, "", now, now+int64(b.config.Quarantine/time.Second)+1)
	_ = b.log(e) // if it is lost, another client will find out
	b.tell(Declined, e)
	return true
}
