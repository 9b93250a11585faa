package lease

import (
	"errors"
	"net/netip"
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
