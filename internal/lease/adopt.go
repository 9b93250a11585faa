package lease

import (
	"net/netip"
	"time"
)

// Adopt takes in a lease that was made elsewhere and ends, or ended, at an instant of the wall's clock. It is false, and
// nothing changes, if the address or the owner is known already.
func (b *Book) Adopt(c Client, a netip.Addr, end time.Time) (bool, error) {
	f, err := factsOf(&c)
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[a] != nil || b.owners[key{c.Owner, b.plan.network(a)}] != nil || !a.IsValid() {
		return false, nil
	}
	now, state := b.time.now(), Active
	until := end.Add(-b.time.last.skew).Unix() + 1
	if until <= now {
		state = Free
	}
	e := &entry{addr: a, bits: a.BitLen(), state: state, place: outside}
	b.entries[a] = e
	b.home(e)
	b.set(e, state, f, min(now, until), until)
	if e.stray = e.pool == nil && state != Free && a.Is6(); e.stray {
		b.strays.add(e.unit())
	}
	return true, b.log(e)
}

// Note makes a text durable that Noted will tell of, together with all that was done before.
func (b *Book) Note(text string) error {
	written := make(chan error, 1)
	b.mu.Lock()
	b.notes[text] = true
	err := b.journal.Append(append([]byte{kindNote}, text...), func(err error) { written <- err })
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return <-written
}

// Noted tells whether Note was given a text.
func (b *Book) Noted(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notes[text]
}
