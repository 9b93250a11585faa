package lease

import (
	"errors"
	"iter"
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

// Snapshot is what the journal in a directory said when it was looked at.
type Snapshot struct{ book *Book }

// Look reads the journal in the directory at path, and changes nothing there. It is for a directory that no Book has open;
// beside one, it may lack what is newest. The error of a damaged file is a *journal.DamagedError.
func Look(c Clock, path string) (*Snapshot, error) {
	const tries = 3 // what is being written just now looks like damage
	for try := 1; ; try++ {
		b := newBook(Config{Clock: c})
		err := journal.Look(path, b.replay)
		var damaged *journal.DamagedError
		switch {
		case err == nil:
			b.index()
			return &Snapshot{b}, nil
		case try == tries || !errors.As(err, &damaged):
			return nil, err
		}
	}
}

// Leases are as Book.Leases.
func (s *Snapshot) Leases() iter.Seq[Lease] { return s.book.Leases() }

// Wall is as Book.Wall.
func (s *Snapshot) Wall(second int64) time.Time { return s.book.Wall(second) }

// Wall is what the host's clock shows, or showed, at a second of the Book's time, as far as it was not stepped since.
func (b *Book) Wall(second int64) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Unix(second, int64(b.time.last.skew)).Round(time.Second)
}

// Free ends a lease, or a quarantine, by the word of somebody who knows that the address is not in use; false: it is in
// neither. Done is called as Commit does it.
func (b *Book) Free(a netip.Addr, done func(error)) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.time.now()
	b.sweep(now)
	e := b.entries[a]
	if e == nil || !e.kept || e.state == Free || e.end <= now {
		return false, nil
	}
	b.set(e, Free, e.facts, e.start, now)
	err := b.logMove(e, nil, done)
	b.tell(Released, e)
	return true, err
}

// Sweep ends some of the offers, leases and quarantines that are over, so that it does not keep requests waiting; false:
// none is left. Without it they end when a request comes.
func (b *Book) Sweep() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.time.now()
	for range chunk {
		if !b.sweepOne(now) {
			return false
		}
	}
	return true
}

// Last is what an owner has, or had last, in the network of an address; false: nothing, or others have had it since.
func (b *Book) Last(owner string, in netip.Addr) (Lease, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.owners[key{owner, b.plan.network(in)}]
	if e == nil {
		return Lease{}, false
	}
	if b.time.now() >= e.end && e.state != Free {
		b.expire(e)
	}
	return e.lease(), true
}

// Lease is what is known of an address; false: it was never lent.
func (b *Book) Lease(a netip.Addr) (Lease, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[a]
	if e == nil || !e.kept {
		return Lease{}, false
	}
	if b.time.now() >= e.end && e.state != Free {
		b.expire(e)
	}
	return e.lease(), true
}
