package lease

import (
	"errors"
	"net/netip"
	"time"
)

// Canonical reads a lease's record and writes it again; ok is false for a record that no Book writes.
func Canonical(record []byte) (again []byte, l Lease, ok bool) {
	r, err := parseLease(record)
	if err != nil {
		return nil, l, false
	}
	e := entry{addr: r.addr, bits: r.bits, state: r.state, start: r.start, end: r.end, facts: r.facts}
	return appendLease(nil, &e), e.lease(), true
}

// Replays reads records as a start does, which must not panic.
func Replays(records ...[]byte) error {
	b := &Book{entries: map[netip.Addr]*entry{}, owners: map[key]*entry{}, held: map[key]*entry{}, notes: map[string]bool{}}
	var err error
	for _, r := range records {
		err = errors.Join(err, b.replay(r))
	}
	return err
}

// Bound makes a Pool's bound small, so that a test reaches it.
func Bound(p *Pool, records int) { p.most = records }

// At and After are a Range's.
func At(r Range, n uint64) netip.Addr        { return r.at(n) }
func After(r Range, a netip.Addr) netip.Addr { return r.after(a) }

// Share is Open for a Book whose storage is another than a journal.
func Share(c Config, s interface {
	Append(record []byte, done func(error)) error
	Close() error
}) *Book {
	c.Hold, c.Quarantine = 120*time.Second, 24*time.Hour
	b := newBook(c)
	b.journal = s
	b.index()
	return b
}

// Learn takes in the record of a lease that another Book had kept.
func (b *Book) Learn(record []byte) error {
	l, err := parseLease(record)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[l.addr]
	if e == nil {
		e = &entry{addr: l.addr, bits: l.bits, place: outside}
		b.entries[l.addr] = e
		b.home(e)
	}
	b.set(e, l.state, l.facts, l.start, l.end)
	e.version++
	e.durable = e.version
	return nil
}
