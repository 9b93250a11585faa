package lease_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

func ranges(pairs ...int) (all []lease.Range) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, lease.Range{First: addr(pairs[i]), Last: addr(pairs[i+1])})
	}
	return all
}

// arranges replaces the networks, each of which has one pool; sixteen addresses belong to a network.
func (s *site) arranges(t *testing.T, networks ...[]lease.Range) (pools []*lease.Pool) {
	t.Helper()
	var all []lease.Network
	for i, n := range networks {
		all = append(all, lease.Network{Prefixes: []netip.Prefix{netip.PrefixFrom(addr(16*i), 28)}, Pools: [][]lease.Range{n}})
	}
	arranged, err := s.Arrange(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range arranged {
		pools = append(pools, p[0])
	}
	s.pool = pools[0]
	return pools
}

func TestALeaseOutlivesItsPoolAndIsThereWhenThePoolReturns(t *testing.T) {
	s := newSite(t, 1, 4)
	s.arranges(t, ranges(1, 4))
	for i := range 4 {
		if got := s.boots(t, fmt.Sprint("client ", i)); got != addr(1+i) {
			t.Fatal(got)
		}
	}
	s.Release("client 3", addr(4))
	s.arranges(t, ranges(1, 2))
	if _, err := s.leases("client 2", addr(3), time.Hour); !errors.Is(err, lease.ErrOutside) {
		t.Error(err)
	}
	if _, err := s.Offer("new", netip.Addr{}, s.pool); !errors.Is(err, lease.ErrExhausted) {
		t.Error(err)
	}
	s.restarts(t)
	s.arranges(t, ranges(3, 4, 1, 1))
	if l, known := s.Lease(addr(3)); !known || l.Owner != "client 2" || l.State != lease.Active {
		t.Errorf("%+v", l)
	}
	if _, err := s.leases("new", addr(3), time.Hour); !errors.Is(err, lease.ErrTaken) {
		t.Error(err)
	}
	if got := s.boots(t, "client 2"); got != addr(3) {
		t.Error(got)
	}
	if got := s.boots(t, "client 3"); got != addr(4) {
		t.Error(got)
	}
}

func TestAnOfferOutlivesANewArrangement(t *testing.T) {
	s := newSite(t, 1, 1)
	old := s.arranges(t, ranges(1, 2))[0]
	if a, err := s.Offer("first", netip.Addr{}, s.pool); a != addr(1) {
		t.Fatal(a, err)
	}
	s.arranges(t, ranges(1, 2))
	if a, err := s.Offer("second", netip.Addr{}, s.pool); a != addr(2) {
		t.Fatal(a, err)
	}
	if _, err := s.leases("first", addr(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(lease.Client{Owner: "second"}, addr(2), time.Hour, nil, old); !errors.Is(err, lease.ErrOutside) {
		t.Error("lent by a pool that is no more:", err)
	}
	if _, err := s.Offer("third", netip.Addr{}, old); !errors.Is(err, lease.ErrExhausted) {
		t.Error("offered by a pool that is no more:", err)
	}
	s.clock.passes(3 * time.Minute)
	if a, err := s.Offer("third", netip.Addr{}, s.pool); a != addr(2) {
		t.Error("an offer that was not wanted is not free again:", a, err)
	}
}

func TestAMachineHasOneAddressInEachNetwork(t *testing.T) {
	s := newSite(t, 1, 1)
	pools := s.arranges(t, ranges(1, 4), ranges(17, 20))
	if got := s.boots(t, "trunk"); got != addr(1) {
		t.Fatal(got)
	}
	s.pool = pools[1]
	if got := s.boots(t, "trunk"); got != addr(17) {
		t.Fatal(got)
	}
	if l, _ := s.Lease(addr(1)); l.State != lease.Active {
		t.Error("its other address is lost")
	}
	// The two become one network: the address that it had last is kept, and the other is free when it ends.
	arranged, err := s.Arrange([]lease.Network{{Pools: [][]lease.Range{ranges(1, 4), ranges(17, 20)}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a, err := s.Offer("trunk", netip.Addr{}, arranged[0]...); a != addr(1) && a != addr(17) {
			t.Error(a, err)
		}
	}
	if a, err := s.Offer("other", addr(1), arranged[0]...); a != addr(2) {
		t.Error(a, err)
	}
}

func TestAReservedAddressWaitsForWhoStillHasIt(t *testing.T) {
	s := newSite(t, 1, 3)
	s.arranges(t, ranges(1, 3))
	s.boots(t, "guest")
	s.boots(t, "server")
	s.arranges(t, ranges(2, 3)) // the guest's address is given to the server
	fixed := lease.Fixed(addr(1))
	if _, err := s.Offer("server", addr(1), fixed); !errors.Is(err, lease.ErrExhausted) {
		t.Error("offered what the guest has:", err)
	}
	if _, err := s.Commit(lease.Client{Owner: "server"}, addr(1), time.Hour, nil, fixed); !errors.Is(err, lease.ErrTaken) {
		t.Error("lent what the guest has:", err)
	}
	if got := s.boots(t, "guest"); got != addr(3) {
		t.Fatal(got)
	}
	written := make(chan error, 1)
	if _, err := s.Commit(lease.Client{Owner: "server"}, addr(1), time.Hour, func(err error) { written <- err }, fixed); err != nil || <-written != nil {
		t.Error("it may ask for its own address at once:", err)
	}
	if l, _ := s.Lease(addr(2)); l.State != lease.Free {
		t.Errorf("it has two: %+v", l)
	}
	s.arranges(t, ranges(1, 3)) // the reservation is gone
	if a, err := s.Offer("third", addr(1), s.pool); a != addr(2) {
		t.Error("offered what the server still has:", a, err)
	}
	s.Withdraw("third", s.pool)
	s.clock.passes(2 * time.Hour)
	if a, err := s.Offer("third", addr(1), s.pool); a != addr(1) {
		t.Error(a, err)
	}
}

func TestAnArrangementThatOverlapsChangesNothing(t *testing.T) {
	s := newSite(t, 1, 1)
	s.arranges(t, ranges(1, 4))
	net := func(p string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(p)} }
	for name, bad := range map[string][]lease.Network{
		"pools of two networks": {{Pools: [][]lease.Range{ranges(1, 4)}}, {Pools: [][]lease.Range{ranges(4, 6)}}},
		"pools of one network":  {{Pools: [][]lease.Range{ranges(1, 4), ranges(2, 2)}}},
		"ranges of one pool":    {{Pools: [][]lease.Range{ranges(1, 4, 4, 5)}}},
		"networks":              {{Prefixes: net("10.0.0.0/8")}, {Prefixes: net("10.255.0.0/16")}},
		"no range":              {{Pools: [][]lease.Range{ranges(4, 1)}}},
	} {
		if _, err := s.Arrange(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := s.boots(t, "client"); got != addr(1) {
		t.Error(got)
	}
}

func TestPrefixesOfBothFamiliesMakeANetwork(t *testing.T) {
	s := newSite(t, 1, 1)
	first, second := netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8:0:1::10")
	arranged, err := s.Arrange([]lease.Network{{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/63"), netip.MustParsePrefix("192.0.2.0/25")},
		Pools:    [][]lease.Range{{{First: first, Last: first}}, {{First: second, Last: second.Next()}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]netip.Addr{"a": first, "b": second} {
		if _, err := s.Commit(lease.Client{Owner: owner}, want, time.Hour, func(error) {}, arranged[0]...); err != nil {
			t.Error(err)
		}
	}
	if a, err := s.Offer("c", netip.Addr{}, arranged[0]...); a != second.Next() {
		t.Error(a, err)
	}
	moved := netip.MustParseAddr("2001:db8:0:1::ff")
	written := make(chan error, 1)
	if _, err := s.Commit(lease.Client{Owner: "a"}, moved, time.Hour, func(err error) { written <- err }, lease.Fixed(moved)); err != nil || <-written != nil {
		t.Error(err)
	}
	if l, _ := s.Lease(first); l.State != lease.Free {
		t.Errorf("%+v", l)
	}
}
