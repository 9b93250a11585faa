package lease_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// rearranges replaces all pools by one for each range, in one network.
func (s *site) rearranges(t testing.TB, ranges ...lease.Range) []*lease.Pool {
	t.Helper()
	var n lease.Network
	for _, r := range ranges {
		n.Pools = append(n.Pools, []lease.Range{r})
	}
	pools, err := s.Arrange([]lease.Network{n})
	if err != nil {
		t.Fatal(err)
	}
	s.pool = pools[0][0]
	return pools[0]
}

func delegates(of string, bits int) lease.Range {
	return lease.Prefixes(netip.MustParsePrefix(of), bits)
}

func TestAWideNetworkScattersItsMachinesAndFindsThemAgainWithoutItsLeases(t *testing.T) {
	whole := lease.Addresses(netip.MustParsePrefix("2001:db8::/64"))
	first, again := newSite(t, 1, 1), newSite(t, 2, 1)
	first.rearranges(t, whole)
	again.rearranges(t, whole)
	seen := map[netip.Addr]bool{}
	low := 0
	for i := range 1000 {
		a := first.boots(t, fmt.Sprint(i))
		if seen[a] {
			t.Fatalf("%s is lent twice", a)
		}
		seen[a] = true
		if a.As16()[8] < 128 {
			low++
		}
		if b := again.boots(t, fmt.Sprint(i)); a != b {
			t.Errorf("%s, and after the leases were lost %s", a, b)
		}
	}
	if low < 400 || low > 600 {
		t.Errorf("%d of 1000 are in the lower half", low)
	}
}

// More clients than a hash finds places for: the rest gets what is left, one by one, to the last.
func TestAWidePoolIsUsedUpToItsLastUnit(t *testing.T) {
	s := newSite(t, 1, 1)
	pool := s.rearranges(t, delegates("2001:db8::/47", 64))[0] // 2^17
	seen := map[netip.Addr]bool{}
	for i := range 1 << 17 {
		a, err := s.Offer(fmt.Sprint(i), netip.Addr{}, pool)
		if err != nil || seen[a] {
			t.Fatalf("number %d of %d: %s, %v", i, pool.Size(), a, err)
		}
		seen[a] = true
	}
	if len(seen) != 1<<17 {
		t.Error(len(seen))
	}
}

func TestASmallPoolOfPrefixesIsLentFromTheLowestOn(t *testing.T) {
	s := newSite(t, 1, 1)
	pool := s.rearranges(t, delegates("2001:db8:100::/40", 56))[0]
	for i, want := range []string{"2001:db8:100::", "2001:db8:100:100::", "2001:db8:100:200::"} {
		if got := s.boots(t, fmt.Sprint("router ", i)); got != netip.MustParseAddr(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if l, _ := s.Lease(netip.MustParseAddr("2001:db8:100:100::")); l.Prefix != netip.MustParsePrefix("2001:db8:100:100::/56") {
		t.Errorf("%+v", l)
	}
	for ask, want := range map[string]error{"2001:db8:100:280::": lease.ErrOutside, "2001:db8:100:100::": lease.ErrTaken, "2001:db8:100:ff00::": nil, "2001:db8:200::": lease.ErrOutside} {
		written := make(chan error, 1)
		_, err := s.Commit(lease.Client{Owner: "new"}, netip.MustParseAddr(ask), time.Hour, func(err error) { written <- err }, pool)
		if !errors.Is(err, want) || err == nil && <-written != nil {
			t.Errorf("%s: %v, want %v", ask, err, want)
		}
	}
}

// The site delegates /56, then /60 of the same space: who has a /56 keeps it until its lease ends, and nobody gets a part.
func TestWhereTheDelegatedLengthChangesNothingIsLentAcrossAnOldLease(t *testing.T) {
	s := newSite(t, 1, 1)
	s.rearranges(t, delegates("2001:db8::/55", 56))
	first, second := s.boots(t, "first router"), s.boots(t, "second router")
	s.Release("second router", second)
	for _, restarts := range []bool{false, true} {
		if restarts {
			s.restarts(t)
		}
		pool := s.rearranges(t, delegates("2001:db8::/55", 60))[0]
		got, err := s.Offer("new", first, pool)
		if err != nil || netip.PrefixFrom(first, 56).Contains(got) {
			t.Errorf("offered %s, %v, though %s/56 is lent", got, err, first)
		}
		s.Withdraw("new", pool)
		if _, err := s.leases("first router", first, time.Hour); !errors.Is(err, lease.ErrTaken) {
			t.Errorf("what was lent as a /56 is lent as a /60: %v", err)
		}
	}
	for i := range 16 { // the other /56
		if got := s.boots(t, fmt.Sprint("customer ", i)); !netip.PrefixFrom(second, 56).Contains(got) {
			t.Fatal(got)
		}
	}
	if _, err := s.Offer("first router", first, s.pool); !errors.Is(err, lease.ErrExhausted) {
		t.Error(err)
	}
	if got, err := s.Offer("late", netip.Addr{}, s.pool); !errors.Is(err, lease.ErrExhausted) {
		t.Error(got, err)
	}
	s.Release("first router", first)
	s.clock.passes(2 * time.Minute)
	if got := s.boots(t, "late"); !netip.PrefixFrom(first, 56).Contains(got) {
		t.Errorf("what was released is not lent: %s", got)
	}
}

func TestAReservedPrefixWaitsForWhoeverHasAPartOfIt(t *testing.T) {
	s := newSite(t, 1, 1)
	s.rearranges(t, delegates("2001:db8::/48", 56))
	s.boots(t, "guest") // has 2001:db8::/56
	s.rearranges(t, delegates("2001:db8:0:8000::/49", 56))
	fixed := lease.FixedPrefix(netip.MustParsePrefix("2001:db8::/52"))
	if a, err := s.Offer("customer", netip.MustParseAddr("2001:db8::"), fixed); !errors.Is(err, lease.ErrExhausted) {
		t.Error(a, err)
	}
	if _, err := s.Commit(lease.Client{Owner: "customer"}, netip.MustParseAddr("2001:db8::"), time.Hour, nil, fixed); !errors.Is(err, lease.ErrTaken) {
		t.Error(err)
	}
	s.clock.passes(2 * time.Hour)
	if _, err := s.Commit(lease.Client{Owner: "customer"}, netip.MustParseAddr("2001:db8::"), time.Hour, func(error) {}, fixed); err != nil {
		t.Error(err)
	}
	// Nor is a part lent of what is not reserved any more.
	pool := s.rearranges(t, delegates("2001:db8::/48", 56))[0]
	if a, err := s.Offer("new", netip.MustParseAddr("2001:db8:0:100::"), pool); err != nil || a != netip.MustParseAddr("2001:db8:0:1000::") {
		t.Error(a, err)
	}
}

// holder is a client, with what it believes to have and until when.
type holder struct {
	name  string
	has   netip.Prefix
	until time.Duration // physical
}

// Pools, lengths and reservations change at random, the power fails, and leases end: whatever two clients were told at any
// time does not overlap, and nothing that one was told is forgotten.
func TestNoTwoLeasesOverlapHoweverTheConfigurationChanges(t *testing.T) {
	for seed := range uint64(*seeds) {
		r := random(seed)
		s := newSite(t, seed, 1)
		all := make([]holder, 12)
		for i := range all {
			all[i].name = fmt.Sprint("client ", i)
		}
		for life := range 5 {
			if life%2 == 1 {
				s.disk.Set(func() { s.disk.Left = 20 + r.IntN(120) })
			}
			for range 3 {
				pools := s.randomSite(t, r)
				for range 15 {
					s.randomLease(t, seed, r, all, pools)
				}
			}
			next := s.disk.Restart()
			_ = s.Close() // fails without power
			s.disk = next
			if err := s.open(); err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			for _, h := range all {
				l, _ := s.Lease(h.has.Addr())
				if h.until > s.clock.physical && (l.Owner != h.name || l.State != lease.Active || l.Prefix != h.has) {
					t.Fatalf("seed %d, life %d: %s was told %s, which is now %+v", seed, life, h.name, h.has, l)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// randomSite divides 2001:db8::/56 somehow: addresses, prefixes of some length, and a reserved prefix.
func (s *site) randomSite(t *testing.T, r *rand.Rand) []*lease.Pool {
	t.Helper()
	quarter := func(n int) string { return fmt.Sprintf("2001:db8:0:%x::/58", 0x40*n) }
	var pools []*lease.Pool
	var ranges []lease.Range
	bits := 58 + r.IntN(7)
	for n := range 4 {
		switch r.IntN(4) {
		case 0:
			first := netip.MustParsePrefix(quarter(n)).Addr()
			ranges = append(ranges, lease.Range{First: first, Last: first.Next().Next()})
		case 1:
			pools = append(pools, lease.FixedPrefix(netip.MustParsePrefix(quarter(n))))
		default:
			ranges = append(ranges, delegates(quarter(n), bits))
		}
	}
	var n lease.Network
	for _, r := range ranges {
		n.Pools = append(n.Pools, []lease.Range{r})
	}
	arranged, err := s.Arrange([]lease.Network{n})
	if err != nil {
		t.Fatal(err)
	}
	return append(pools, arranged[0]...)
}

func (s *site) randomLease(t *testing.T, seed uint64, r *rand.Rand, all []holder, pools []*lease.Pool) {
	t.Helper()
	h := &all[r.IntN(len(all))]
	from := pools[r.IntN(len(pools))]
	want := netip.Addr{}
	if r.IntN(2) == 0 {
		want = netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::", 0x40*r.IntN(4)))
	}
	a, err := s.Offer(h.name, want, from)
	if err != nil {
		a = want
	}
	began, written := s.clock.physical, make(chan error, 1)
	granted, err := s.Commit(lease.Client{Owner: h.name}, a, time.Duration(10+r.IntN(100))*time.Second, func(err error) { written <- err }, from)
	if err == nil && <-written == nil {
		l, _ := s.Lease(a)
		h.has, h.until = l.Prefix, began+granted
		if i := slices.IndexFunc(all, func(o holder) bool { return o.name != h.name && o.until > began && o.has.Overlaps(h.has) }); i >= 0 {
			t.Fatalf("seed %d: %s is told %s, and %s has %s", seed, h.name, h.has, all[i].name, all[i].has)
		}
	}
	switch r.IntN(8) {
	case 0:
		if s.Release(h.name, h.has.Addr()) {
			h.until = 0
		}
	case 1:
		s.clock.passes(time.Duration(r.IntN(60)) * time.Second)
	}
}
