package main_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// machine is a client, and what it believes to have.
type machine struct {
	mac   net.HardwareAddr
	names int // how many it has told; each message that asks for a lease may tell another
	has   []promise
	fresh bool // nobody has looked after it since it was told
}

// newMachine has an address of its own for each number.
func newMachine(n uint32) *machine {
	return &machine{mac: binary.BigEndian.AppendUint32(net.HardwareAddr{0x52, 0x54}, n)}
}

// name is the newest.
func (m *machine) name() string { return fmt.Sprint("v", m.names) }

// promise is what a client was told: an address or a prefix, and until when.
type promise struct {
	unit  netip.Prefix
	until time.Time
	names int // the machine's when it asked
}

// ledger knows whose each unit is, as the machines believe.
type ledger struct {
	mu     sync.Mutex
	owners map[netip.Prefix]*machine
}

func newLedger() *ledger { return &ledger{owners: map[netip.Prefix]*machine{}} }

// told notes what a machine hears. It fails where that is somebody else's, or other than the machine has.
func (l *ledger) told(m *machine, all []promise) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range all {
		if other := l.owners[p.unit]; other != nil && other != m {
			return fmt.Errorf("%s has two owners: %s and %s", p.unit, other.mac, m.mac)
		}
		if m.has != nil && m.has[i].unit != p.unit {
			return fmt.Errorf("%s had %s and gets %s", m.mac, m.has[i].unit, p.unit)
		}
		l.owners[p.unit] = m
	}
	m.has, m.fresh = all, true
	return nil
}

// gives is before a machine says that it gives back what it has: from then on it believes in nothing.
func (l *ledger) gives(m *machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range m.has {
		delete(l.owners, p.unit)
	}
	m.has = nil
}

// asker speaks for the machines behind a relay, one message at a time. What it is answered is an error if it is no lease.
type asker interface {
	takes(m *machine) ([]promise, error)
	renews(m *machine) ([]promise, error)
	// gives sends a RELEASE, or a DECLINE. What m had is told apart, since it believes in it no more.
	gives(m *machine, had []promise, declines bool) error
	// offered is what the machine would get.
	offered(m *machine) ([]netip.Prefix, error)
	waits(d time.Duration)
	open() error
	close()
}

// crowd is the machines behind one relay, which do what chance wants.
type crowd struct {
	asker
	ledger *ledger
	random *rand.Rand
	next   uint32
	all    []*machine
}

// newCrowd is the n-th one.
func newCrowd(n int, a asker, l *ledger) *crowd {
	return &crowd{asker: a, ledger: l, random: rand.New(rand.NewPCG(1, uint64(n))), next: uint32(n) << 24}
}

// arrives is a new machine.
func (c *crowd) arrives() *machine {
	c.next++
	c.all = append(c.all, newMachine(c.next))
	return c.all[len(c.all)-1]
}

// lives has one machine do something.
func (c *crowd) lives() error {
	if len(c.all) == 0 || c.random.IntN(2) == 0 {
		return c.leases(c.arrives())
	}
	m := c.all[c.random.IntN(len(c.all))]
	switch what := c.random.IntN(20); {
	case m.has == nil:
		return c.leases(m)
	case what < 4:
		had := m.has
		c.ledger.gives(m)
		return c.gives(m, had, what == 0)
	case what < 8:
		m.names-- // it renews as it is
	}
	m.names++
	return c.hears(m, c.renews)
}

// leases has a machine take what it may have.
func (c *crowd) leases(m *machine) error {
	m.names++
	return c.hears(m, c.takes)
}

func (c *crowd) hears(m *machine, ask func(*machine) ([]promise, error)) error {
	told, err := ask(m)
	if err != nil {
		return fmt.Errorf("%s: %w", m.mac, err)
	}
	return c.ledger.told(m, told)
}

// known checks that the machines which were told something since the last time, or all, would get the same again.
func (c *crowd) known(all bool) error {
	for _, m := range c.all {
		if m.has == nil || !m.fresh && !all {
			continue
		}
		m.fresh = false
		units, err := c.offered(m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.mac, err)
		}
		for i, p := range m.has {
			if units[i] != p.unit {
				return fmt.Errorf("%s was told that it has %s, and is offered %s", m.mac, p.unit, units[i])
			}
		}
	}
	return nil
}
