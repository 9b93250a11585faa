package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A record begins with its kind. A kind never changes its form: what needs another one gets another kind.
//
//	1 lease   address (its length, its bytes), state (1 byte), start, end (varints), facts to the end of the record
//	2 clock   boot (its length, its bytes), then of one instant: time since the boot, the Book's time, the wall's minus
//	          the Book's (varints, nanoseconds)
//	3 note    a text to the end of the record: see Book.Note
//	4 prefix  like a lease, with the prefix's length (1 byte) behind the address
const (
	kindLease  = 1
	kindClock  = 2
	kindNote   = 3
	kindPrefix = 4
)

var errRecord = errors.New("a record is malformed")

func appendLease(b []byte, e *entry) []byte {
	kind, a := byte(kindLease), e.addr.AsSlice()
	if e.bits != e.addr.BitLen() {
		kind = kindPrefix
	}
	b = append(append(b, kind, byte(len(a))), a...)
	if kind == kindPrefix {
		b = append(b, byte(e.bits))
	}
	b = append(b, byte(e.state))
	b = binary.AppendVarint(binary.AppendVarint(b, e.start), e.end)
	return append(b, e.facts...)
}

// leaseRecord is the content of a lease's record; facts share no memory with the record.
type leaseRecord struct {
	addr       netip.Addr
	bits       int
	state      State
	start, end int64
	facts      facts
}

// reader takes a record apart.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.bad = true
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func parseLease(record []byte) (l leaseRecord, err error) {
	r := reader{rest: record}
	kind := r.take(1)[0]
	var ok bool
	l.addr, ok = netip.AddrFromSlice(r.take(int(r.take(1)[0])))
	l.bits = l.addr.BitLen()
	if kind == kindPrefix {
		l.bits = int(r.take(1)[0])
		ok = ok && l.bits < l.addr.BitLen() && netip.PrefixFrom(l.addr, l.bits).Masked().Addr() == l.addr
	}
	l.state = State(r.take(1)[0])
	l.start, l.end = r.varint(), r.varint()
	l.facts = facts(r.rest)
	if r.bad || !ok || l.state > Abandoned || !l.facts.valid() || l.state == Active && l.facts == "" {
		return l, errRecord
	}
	return l, nil
}

func (t timeRecord) append(b []byte) []byte {
	boot := t.boot[:min(len(t.boot), MaxField)]
	b = append(append(b, kindClock, byte(len(boot))), boot...)
	b = binary.AppendVarint(b, int64(t.since))
	b = binary.AppendVarint(b, t.book)
	return binary.AppendVarint(b, int64(t.skew))
}

func parseTime(record []byte) (t timeRecord, err error) {
	r := reader{rest: record}
	r.take(1)
	t.boot = string(r.take(int(r.take(1)[0])))
	t.since, t.book, t.skew = time.Duration(r.varint()), r.varint(), time.Duration(r.varint())
	if r.bad || len(r.rest) > 0 {
		return t, errRecord
	}
	return t, nil
}

// replay takes one record of the journal in. The last one of an address counts.
func (b *Book) replay(record []byte) error {
	if len(record) == 0 {
		return errRecord
	}
	switch record[0] {
	case kindLease, kindPrefix:
		l, err := parseLease(record)
		if err != nil {
			return err
		}
		e := b.entries[l.addr]
		if e == nil {
			e = &entry{addr: l.addr, place: outside}
			b.entries[l.addr] = e
			b.kept = append(b.kept, e)
			e.kept = true
		}
		e.bits, e.state, e.start, e.end = l.bits, l.state, l.start, l.end
		if e.facts != l.facts {
			e.facts = l.facts
		}
	case kindClock:
		t, err := parseTime(record)
		b.time.last = t
		return err
	case kindNote:
		b.notes[string(record[1:])] = true
	default:
		return fmt.Errorf("a record has kind %d, which this version does not know; run the version that wrote it", record[0])
	}
	return nil
}
