package lease_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// model is what a Book does, the simple way: it looks at every address each time.
type model struct {
	now   time.Duration
	addrs []modelAddr
	turns int
}

// gone marks an owner who has had another address since.
const gone = "(was) "

type modelAddr struct {
	owner     string // of the lease, or the last one
	used      bool
	active    bool
	abandoned bool
	rests     int64 // the end of a quarantine, as it is written
	start     int64
	end       int64
	heldBy    string
	heldSince int64
	heldTurn  int  // of all offers
	heldIdle  bool // the owner had no lease of it then
	heldUntil int64
}

func (m *model) seconds() int64 { return int64(m.now / time.Second) }

func (m *model) pass() {
	for i := range m.addrs {
		a := &m.addrs[i]
		if a.end <= m.seconds() {
			a.active, a.abandoned = false, false
		}
		if a.heldUntil <= m.seconds() {
			a.heldBy = ""
		}
	}
}

// last is the address that the owner had most lately; -1: none.
func (m *model) last(owner string) int {
	return slices.IndexFunc(m.addrs, func(a modelAddr) bool { return a.used && a.owner == owner })
}

func (m *model) lendable(i int, owner string) bool {
	a := &m.addrs[i]
	return (a.heldBy == "" || a.heldBy == owner) && !a.abandoned && (!a.active || a.owner == owner)
}

func (m *model) offer(owner string, want int) int {
	m.pass()
	got := -1
	for i := range m.addrs {
		if m.addrs[i].heldBy == owner {
			got = i
		}
	}
	if i := m.last(owner); i >= 0 && m.lendable(i, owner) {
		got = i
	}
	if got < 0 && want >= 0 && want < len(m.addrs) && m.lendable(want, owner) {
		got = want
	}
	if got < 0 {
		got = slices.IndexFunc(m.addrs, func(a modelAddr) bool { return !a.used && a.heldBy == "" })
	}
	if got < 0 {
		for i := range m.addrs {
			if m.lendable(i, owner) && !m.addrs[i].active && (got < 0 || m.addrs[i].end < m.addrs[got].end) {
				got = i
			}
		}
	}
	if got < 0 {
		got = m.scarce()
	}
	if got >= 0 {
		if m.addrs[got].heldBy != owner {
			m.turns++
			m.addrs[got].heldSince, m.addrs[got].heldTurn = m.seconds(), m.turns
			m.addrs[got].heldIdle = !m.addrs[got].active
		}
		m.withdraw(owner)
		m.addrs[got].heldBy, m.addrs[got].heldUntil = owner, m.seconds()+120
	}
	return got
}

// scarce is the address that was offered first of those that nobody has; or else the one that was declined first.
func (m *model) scarce() int {
	offered, declined := -1, -1
	for i, a := range m.addrs {
		if a.heldBy != "" && a.heldIdle && m.seconds()-a.heldSince >= 10 && (offered < 0 || a.heldTurn < m.addrs[offered].heldTurn) {
			offered = i
		}
		if a.abandoned && m.seconds()-a.start >= 600 && (declined < 0 || a.start < m.addrs[declined].start) {
			declined = i
		}
	}
	if offered < 0 && declined >= 0 {
		offered, m.addrs[declined].abandoned, m.addrs[declined].end = declined, false, m.seconds()
	}
	return offered
}

func (m *model) withdraw(owner string) {
	for i := range m.addrs {
		if m.addrs[i].heldBy == owner {
			m.addrs[i].heldBy = ""
		}
	}
}

func (m *model) commit(owner string, i int, seconds int64) error {
	m.pass()
	if i < 0 || i >= len(m.addrs) {
		return lease.ErrOutside
	}
	if !m.lendable(i, owner) {
		return lease.ErrTaken
	}
	if l := m.last(owner); l >= 0 && l != i {
		if m.addrs[l].active {
			return lease.ErrOther // with one pool nobody is offered another address than the active one
		}
		m.addrs[l].owner = gone + owner
	}
	m.withdraw(owner)
	end := m.seconds() + seconds + 1
	if m.addrs[i].active {
		end = max(end, m.addrs[i].end)
	}
	m.addrs[i] = modelAddr{owner: owner, used: true, active: true, start: m.seconds(), end: end}
	return nil
}

func (m *model) release(owner string, i int) bool {
	m.pass()
	if i < 0 || i >= len(m.addrs) || !m.addrs[i].active || m.addrs[i].owner != owner {
		return false
	}
	m.addrs[i].active, m.addrs[i].end, m.addrs[i].heldBy = false, m.seconds(), ""
	return true
}

func (m *model) decline(owner string, i int) bool {
	m.pass()
	if i < 0 || i >= len(m.addrs) || m.addrs[i].heldBy != owner && (!m.addrs[i].active || m.addrs[i].owner != owner) {
		return false
	}
	m.addrs[i] = modelAddr{used: true, abandoned: true, rests: m.seconds() + 86401, start: m.seconds(), end: m.seconds() + 86401}
	return true
}

// restart forgets offers, and that a quarantine was ended early, unless a snapshot has it: end tells. Who has lost its last
// address to another is then known by the one before.
func (m *model) restart(end func(i int) int64) {
	for i := range m.addrs {
		m.addrs[i].heldBy = ""
		if a := &m.addrs[i]; a.rests > 0 && end(i) != a.end {
			a.abandoned, a.end = a.rests > m.seconds(), a.rests
		} else if a.rests != a.end {
			a.rests = 0
		}
		owner, was := strings.CutPrefix(m.addrs[i].owner, gone)
		if !was || m.last(owner) >= 0 {
			continue
		}
		newest := i
		for j := range m.addrs {
			if m.addrs[j].owner == gone+owner && m.addrs[j].start > m.addrs[newest].start {
				newest = j
			}
		}
		m.addrs[newest].owner = owner
	}
}

// index is which of the model's addresses a is; -1: none.
func (s *site) index(a netip.Addr) int {
	for i := range s.size {
		if s.unit(1+i) == a {
			return i
		}
	}
	return -1
}

// Leases here are too short to be young a second later, so that what is answered from the disk plays no part.
func TestABookDoesWhatASimpleOneDoes(t *testing.T) {
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(*seeds / 4) {
				doesWhatASimpleOneDoes(t, seed, k)
			}
		})
	}
}

func doesWhatASimpleOneDoes(t *testing.T, seed uint64, k kind) {
	r := random(seed)
	s := newSiteOf(t, seed, 6, k)
	m := &model{now: s.clock.Wall().Sub(time.Unix(0, 0)), addrs: make([]modelAddr, 6)}
	for step := range 300 {
		owner, i := fmt.Sprint("client ", r.IntN(9)), r.IntN(8)-1
		where := fmt.Sprintf("seed %d, step %d: %s, address %d", seed, step, owner, i)
		s.Stats() // ends what is over
		switch r.IntN(10) {
		case 0, 1, 2:
			want := netip.Addr{}
			if i >= 0 {
				want = s.unit(1 + i)
			}
			a, err := s.Offer(owner, want, s.pool)
			if got := m.offer(owner, i); s.index(a) != got || (err != nil) != (got < 0) {
				t.Fatalf("%s: offered %d, %v; want %d", where, s.index(a), err, got)
			}
		case 3, 4, 5:
			if l := m.last(owner); r.IntN(3) > 0 && l >= 0 {
				i = l
			}
			for j := range m.addrs {
				if m.addrs[j].heldBy == owner && r.IntN(4) > 0 {
					i = j
				}
			}
			s.clock.passes(time.Second)
			m.now += time.Second
			d := time.Duration(1+r.IntN(3)) * time.Second
			_, err := s.leases(owner, s.unit(1+i), d)
			if want := m.commit(owner, i, int64(d/time.Second)); !errors.Is(err, want) {
				t.Fatalf("%s: asks for %d: %v, want %v", where, i, err, want)
			}
		case 6:
			if got, want := s.Release(owner, s.unit(1+i)), m.release(owner, i); got != want {
				t.Fatalf("%s: released: %v, want %v", where, got, want)
			}
		case 7:
			if r.IntN(8) == 0 {
				passes(s, m, time.Second)
				if got, want := s.Decline(owner, s.unit(1+i)), m.decline(owner, i); got != want {
					t.Fatalf("%s: declined: %v, want %v", where, got, want)
				}
			}
		case 8:
			passes(s, m, []time.Duration{time.Second, 3 * time.Second, 11 * time.Second, 119 * time.Second, 2 * time.Minute, 11 * time.Minute, 25 * time.Hour}[r.IntN(7)])
		case 9:
			s.clock.steps(time.Duration(r.IntN(49)-24) * time.Hour)
			if r.IntN(2) == 0 {
				s.restarts(t)
				m.restart(func(i int) int64 { return s.on(s.unit(1 + i)).End })
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func passes(s *site, m *model, d time.Duration) {
	s.clock.passes(d)
	m.now += d
}

// believer is a client: what it was told, and for how long it believes it.
type believer struct {
	name  string
	addr  netip.Addr
	until time.Duration // physical
}

func TestAcknowledgedLeasesSurviveLossesOfPowerAndNoneIsDoubled(t *testing.T) {
	all := kinds()
	all["bounded"] = kind{addr6, 0, 7}
	for name, k := range all {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(*seeds) {
				survivesLossesOfPower(t, seed, k)
			}
		})
	}
}

func survivesLossesOfPower(t *testing.T, seed uint64, k kind) {
	r := random(seed)
	s := newSiteOf(t, seed, 12, k)
	all := make([]believer, 16)
	for i := range all {
		all[i].name = fmt.Sprint("client ", i)
	}
	for life := range 4 {
		s.disk.Set(func() { s.disk.Left = r.IntN(120) })
		if life == 2 { // instead of the power, the disk fails for a while
			s.disk.Set(func() { s.disk.Left, s.disk.Broken = -1, 1+r.IntN(5) })
		}
		for range 40 {
			live(t, seed, s, r, all)
		}
		next := s.disk.Restart()
		_ = s.Close() // fails without power
		s.disk = next
		s.clock.passes(time.Duration(r.IntN(5)) * time.Second)
		switch r.IntN(3) {
		case 0:
			s.clock.boot()
		case 1:
			s.clock.steps(time.Duration(r.IntN(49)-24) * time.Hour)
		}
		if err := s.open(); err != nil {
			t.Fatalf("seed %d, life %d: %v", seed, life, err)
		}
		if st := s.Stats(); s.most > 0 && st.Active+st.Free+st.Abandoned > s.most {
			t.Fatalf("seed %d, life %d: %+v, and no more than %d may have a record", seed, life, st, s.most)
		}
		for _, c := range all {
			if l := s.on(c.addr); c.until > s.clock.physical && (l.Owner != c.name || l.State != lease.Active) {
				t.Fatalf("seed %d, life %d: %s was acknowledged %s, which is now %+v", seed, life, c.name, c.addr, l)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// live lets a random client do something.
func live(t *testing.T, seed uint64, s *site, r *rand.Rand, all []believer) {
	c := &all[r.IntN(len(all))]
	ask := c.addr
	if c.until <= s.clock.physical || r.IntN(4) == 0 {
		a, err := s.Offer(c.name, netip.Addr{}, s.pool)
		if err != nil {
			s.clock.passes(time.Duration(r.IntN(40)) * time.Second)
			return
		}
		ask = a
	}
	began := s.clock.physical
	switch granted, err := s.leases(c.name, ask, time.Duration(10+r.IntN(200))*time.Second); {
	case err == nil:
		c.addr, c.until = ask, began+granted
		for i := range all {
			if o := &all[i]; o != c && o.addr == c.addr && o.until > began {
				t.Fatalf("seed %d: %s is given %s, which %s has", seed, c.name, c.addr, o.name)
			}
		}
	case errors.Is(err, lease.ErrTaken) && c.until > began && ask == c.addr:
		t.Fatalf("seed %d: %s is refused its own %s", seed, c.name, ask)
	}
	switch r.IntN(12) {
	case 0:
		if s.Release(c.name, c.addr) {
			c.until = 0
		}
	case 1:
		if r.IntN(4) == 0 && s.Decline(c.name, c.addr) {
			c.until = 0
		}
	case 2:
		s.clock.passes(time.Duration(r.IntN(40)) * time.Second)
	}
}
