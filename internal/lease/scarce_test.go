package lease_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// offers offers a client something.
func (s *site) offers(t testing.TB, owner string, want netip.Addr) netip.Addr {
	t.Helper()
	a, err := s.Offer(owner, want, s.pool)
	if err != nil {
		t.Fatal(owner, err)
	}
	return a
}

// Somebody who makes up hardware addresses asks for offers and wants none of them.
func TestAFloodOfClientsThatWantNothingKeepsAPoolForTenSeconds(t *testing.T) {
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			s := newSiteOf(t, 1, 3, k)
			had := s.boots(t, "has a lease")
			for i := range 2 {
				s.offers(t, fmt.Sprint("made up ", i), netip.Addr{})
				s.clock.passes(time.Second)
			}
			s.offers(t, "made up 0", netip.Addr{}) // asks on
			s.clock.passes(7 * time.Second)
			if a, err := s.Offer("early", netip.Addr{}, s.pool); !errors.Is(err, lease.ErrExhausted) {
				t.Errorf("%s, %v: a client that was offered it 9 seconds ago may still ask", a, err)
			}
			s.clock.passes(time.Second)
			late := s.offers(t, "late", netip.Addr{})
			if _, err := s.leases("made up 0", late, time.Hour); !errors.Is(err, lease.ErrTaken) {
				t.Errorf("who waited too long: %v", err)
			}
			if _, err := s.leases("late", late, time.Hour); err != nil {
				t.Error(err)
			}
			if l := s.on(had); l.Owner != "has a lease" || l.State != lease.Active {
				t.Errorf("who has a lease: %+v", l)
			}
		})
	}
}

// Somebody declines whatever he is offered, under another hardware address each time.
func TestAFloodOfDeclinesKeepsAPoolForTenMinutes(t *testing.T) {
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			s := newSiteOf(t, 1, 2, k)
			for i := range 2 {
				owner := fmt.Sprint("made up ", i)
				if !s.Decline(owner, s.offers(t, owner, netip.Addr{})) {
					t.Fatal("not declined")
				}
				s.clock.passes(time.Minute)
			}
			s.restarts(t)
			s.clock.passes(8*time.Minute - time.Second)
			if a, err := s.Offer("early", netip.Addr{}, s.pool); !errors.Is(err, lease.ErrExhausted) {
				t.Errorf("%s, %v: it was found in use less than 10 minutes ago", a, err)
			}
			s.clock.passes(time.Second)
			if a := s.offers(t, "late", netip.Addr{}); a != s.unit(1) {
				t.Errorf("%s, which was not declined first", a)
			}
			if a, err := s.Offer("more", netip.Addr{}, s.pool); !errors.Is(err, lease.ErrExhausted) {
				t.Errorf("%s, %v: the other one rests", a, err)
			}
			if st := s.Stats(); st.Abandoned != 1 || st.Offered != 1 {
				t.Errorf("%+v", st)
			}
			s.restarts(t) // the end of its rest was not written
			if st := s.Stats(); st.Abandoned != 2 {
				t.Errorf("after a restart %+v", st)
			}
		})
	}
}

// A free address is better than one that may be in use.
func TestAnAddressThatWasFoundInUseRestsAsLongAsOthersAreFree(t *testing.T) {
	s := newSite(t, 1, 2)
	s.Decline("unlucky", s.offers(t, "unlucky", netip.Addr{}))
	s.clock.passes(23 * time.Hour)
	for i := range 3 {
		owner := fmt.Sprint("client ", i)
		if a := s.boots(t, owner); a != s.unit(2) {
			t.Fatalf("%s gets %s", owner, a)
		}
		s.Release(owner, s.unit(2))
	}
}
