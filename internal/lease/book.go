package lease

import (
	"container/list"
	"errors"
	"iter"
	"net/netip"
	"sync"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

// Config is what a Book needs. Clock and Journal.FS are required.
type Config struct {
	Clock Clock
	// Journal is how records are kept; Replay and Snapshot are the Book's own.
	Journal journal.Config
	// Hold is for how long an offered address is kept for who was offered it; 0: 120 seconds.
	Hold time.Duration
	// Quarantine is for how long nobody gets an address that a client found in use; 0: 24 hours.
	Quarantine time.Duration
	// Event, if set, is told what becomes of addresses. It is called with the Book locked.
	Event func(Event)
}

// storage is where a Book's records go: a journal, or what several Books share. The package comment says what it promises.
type storage interface {
	// Append proposes a record. Done, which may be nil, is called once and later, in the order of Append, if the error is nil:
	// with nil when the record is kept and wins, with an error when it does not. The record is the Book's again on return.
	Append(record []byte, done func(error)) error
	Close() error
}

// Book knows all leases of a server. Its methods may be called at the same time.
type Book struct {
	config  Config
	journal storage

	mu       sync.Mutex
	time     bookTime
	entries  map[netip.Addr]*entry
	kept     []*entry       // those with a record; only ever grows, to what the pools may have, so that a snapshot may walk it while it does
	owners   map[key]*entry // the address that each owner had last, unless somebody else has it
	held     map[key]*entry // what each client is offered
	holds    list.List      // of entries, the one that is held no longer first
	expiring order          // what is not free
	plan     plan
	strays   strays
	counts   [Abandoned + 1]int
	notes    map[string]bool
	record   []byte // reused
}

// key is an owner in a network.
type key struct {
	owner   string
	network uint16
}

// entry is one address that was offered or has a record.
type entry struct {
	addr       netip.Addr
	bits       int   // of the prefix that is lent; an address is one of full length
	facts      facts // of who has or had it; empty: nobody
	start, end int64
	pool       *Pool // nil: the address is in none
	held       *hold
	turn       *list.Element // in its pool's offered or resting
	version    uint32        // counts the changes
	durable    uint32        // the newest that is on stable storage
	place      int32         // in expiring, or if it is free and not held in its pool's available
	state      State
	kept       bool   // has a record
	stray      bool   // was one at the last arrangement
	network    uint16 // by its number; 0: none
}

// hold is an offer.
type hold struct {
	owner string
	since int64 // when it was offered first
	until int64
	link  *list.Element
}

// Open reads what the journal has, and goes on with it.
func Open(c Config) (*Book, error) {
	if c.Hold == 0 {
		c.Hold = 120 * time.Second
	}
	if c.Quarantine == 0 {
		c.Quarantine = 24 * time.Hour
	}
	b := newBook(c)
	c.Journal.Replay, c.Journal.Snapshot = b.replay, b.snapshot
	var err error
	if b.journal, err = journal.Open(c.Journal); err != nil {
		return nil, err
	}
	b.index()
	if err := b.logTime(); err != nil {
		return nil, errors.Join(err, b.journal.Close())
	}
	return b, nil
}

func newBook(c Config) *Book {
	return &Book{
		config: c, time: bookTime{clock: c.Clock}, entries: map[netip.Addr]*entry{}, owners: map[key]*entry{},
		held: map[key]*entry{}, notes: map[string]bool{},
	}
}

// logTime makes durable how the clocks stand, and waits for it: after the next boot nothing else tells a step of the
// wall's from the time that passed.
func (b *Book) logTime() error {
	written := make(chan error, 1)
	if err := b.journal.Append(b.time.last.append(nil), func(err error) { written <- err }); err != nil {
		return err
	}
	return <-written
}

// index makes of the entries what is not in the journal.
func (b *Book) index() {
	var newest int64
	for _, e := range b.kept {
		b.counts[e.state]++
		if e.state == Free {
			newest = max(newest, e.end)
		} else {
			newest = max(newest, e.start)
			b.expiring.add(e)
		}
		b.own(e)
	}
	b.time.begin(newest)
}

// own notes whose an entry is. The one that the owner had last counts, also where a crash between the two records of a move
// left it two.
func (b *Book) own(e *entry) {
	if e.facts == "" {
		return
	}
	k := key{e.facts.owner(), e.network}
	if other := b.owners[k]; other == nil || other.start < e.start || other.start == e.start && other.state == Free {
		b.owners[k] = e
	}
}

// Close makes what was committed durable. The Book takes nothing more.
func (b *Book) Close() error { return b.journal.Close() }

// chunk is how many entries a snapshot reads at once.
const chunk = 64

// snapshot yields records of all that the Book knows.
func (b *Book) snapshot() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b.mu.Lock()
		records := [][]byte{b.time.last.append(nil)}
		for note := range b.notes {
			records = append(records, append([]byte{kindNote}, note...))
		}
		rest := b.kept
		b.mu.Unlock()
		for {
			for _, r := range records {
				if !yield(r) {
					return
				}
			}
			if len(rest) == 0 {
				return
			}
			now := rest[:min(chunk, len(rest))]
			rest = rest[len(now):]
			records = append(records[:0], make([][]byte, len(now))...)
			b.mu.Lock()
			for i, e := range now {
				records[i] = appendLease(nil, e)
			}
			b.mu.Unlock()
		}
	}
}

// log writes a change of an entry.
func (b *Book) log(e *entry) error { return b.logMove(e, nil, nil) }

// logMove is log where the owner had another address, if last is not nil. That one is free when the new one is durable: until
// then the client is told nothing, and goes on using it. Done may be nil; without an error it is called later.
func (b *Book) logMove(e, last *entry, done func(error)) error {
	e.version++
	version := e.version
	b.record = appendLease(b.record[:0], e)
	return b.journal.Append(b.record, func(err error) {
		b.mu.Lock()
		if err == nil {
			b.leaveFor(e, last)
			e.durable = max(e.durable, version)
			if e.state == Active && e.durable == e.version {
				b.tell(Leased, e)
			}
		}
		b.mu.Unlock()
		if done != nil {
			done(err)
		}
	})
}

// leaveFor ends the lease that the owner of e had before, if it still has it.
func (b *Book) leaveFor(e, last *entry) {
	if last == nil || last.state != Active || e.state != Active || last.facts.owner() != e.facts.owner() || b.owners[key{e.facts.owner(), e.network}] == last {
		return
	}
	k := key{last.facts.owner(), last.network}
	b.set(last, Free, last.facts, last.start, min(last.end, b.time.now()))
	b.owners[k] = e // which set has changed
	_ = b.log(last) // if it is lost, the owner has two addresses until the first ends
	b.tell(Released, last)
}

func (b *Book) tell(k Kind, e *entry) {
	if b.config.Event != nil {
		b.config.Event(Event{k, e.lease()})
	}
}

// unit is all of what is lent.
func (e *entry) unit() netip.Prefix { return netip.PrefixFrom(e.addr, e.bits) }

func (e *entry) lease() Lease {
	return Lease{Addr: e.addr, Prefix: e.unit(), State: e.state, Client: e.facts.client(), Start: e.start, End: e.end}
}

// Leases yields what is known of every address that has been lent, in no order.
func (b *Book) Leases() iter.Seq[Lease] {
	return func(yield func(Lease) bool) {
		b.mu.Lock()
		rest := b.kept
		b.mu.Unlock()
		for ; len(rest) > 0; rest = rest[1:] {
			b.mu.Lock()
			if b.time.now() >= rest[0].end && rest[0].state != Free {
				b.expire(rest[0])
			}
			l := rest[0].lease()
			b.mu.Unlock()
			if !yield(l) {
				return
			}
		}
	}
}

// Stats are numbers of addresses.
type Stats struct{ Active, Free, Abandoned, Offered int }

// Stats counts. Free are those that had an owner.
func (b *Book) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	for now := b.time.now(); b.sweepOne(now); {
	}
	return Stats{Active: b.counts[Active], Free: b.counts[Free], Abandoned: b.counts[Abandoned], Offered: len(b.held)}
}
