package lease_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// 200,000 identities that somebody made up take a short lease each, and go.
func TestMadeUpClientsLeaveABoundedMemoryAndJournal(t *testing.T) {
	for name, r := range map[string]lease.Range{
		"addresses": lease.Addresses(netip.MustParsePrefix("2001:db8::/64")),
		"prefixes":  delegates("2001:db8::/32", 64),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 1, 1)
			s.rearranges(t, r)
			const most = 1 << 16
			for i := range 200_000 {
				owner := fmt.Sprint("made up ", i)
				a, err := s.Offer(owner, netip.Addr{}, s.pool)
				if err == nil {
					_, err = s.Commit(lease.Client{Owner: owner}, a, time.Second, func(error) {}, s.pool)
				}
				if err != nil {
					t.Fatal(i, err)
				}
				if i%1000 == 0 {
					s.clock.passes(time.Minute)
				}
			}
			s.clock.passes(time.Minute)
			if st := s.Stats(); st.Active+st.Free+st.Abandoned != most {
				t.Errorf("%+v", st)
			}
			s.restarts(t)
			if st := s.Stats(); st != (lease.Stats{Free: most}) {
				t.Errorf("after a restart %+v", st)
			}
			size := 0
			s.disk.Set(func() {
				for _, f := range s.disk.Files {
					size += len(f.Data)
				}
			})
			if size > most*200 {
				t.Errorf("the journal has %d bytes for %d records", size, most)
			}
		})
	}
}

// bounded is a site with a wide network and a bound of 3.
func bounded(t *testing.T) *site {
	t.Helper()
	s := newSite(t, 1, 1)
	s.rearranges(t, lease.Addresses(netip.MustParsePrefix("2001:db8::/64")))
	lease.Bound(s.pool, 3)
	return s
}

func TestAtItsBoundAPoolLendsWhatHasBeenFreeForTheLongestTime(t *testing.T) {
	s := bounded(t)
	first := s.boots(t, "first")
	s.clock.passes(time.Minute)
	second := s.boots(t, "second")
	s.boots(t, "third")
	for _, want := range []netip.Addr{{}, netip.MustParseAddr("2001:db8::7")} {
		if a, err := s.Offer("fourth", want, s.pool); !errors.Is(err, lease.ErrExhausted) {
			t.Errorf("all have leases, and one more is offered %s, %v", a, err)
		}
	}
	if _, err := s.leases("fourth", netip.MustParseAddr("2001:db8::7"), time.Hour); !errors.Is(err, lease.ErrExhausted) {
		t.Errorf("a REQUEST for what nobody has had: %v", err)
	}
	s.clock.passes(59*time.Minute + 30*time.Second)
	if got := s.boots(t, "fourth"); got != first {
		t.Errorf("%s, want %s", got, first)
	}
	if got := s.boots(t, "second"); got != second {
		t.Errorf("who has a lease gets %s, and had %s", got, second)
	}
	if st := s.Stats(); st.Active+st.Free != 3 {
		t.Errorf("%+v", st)
	}
}

// What was offered before the bound was reached cannot be had any more, and its client does not ask for it for ever.
func TestAnOfferThatTheBoundOvertookIsReplaced(t *testing.T) {
	s := bounded(t)
	s.boots(t, "first")
	for _, owner := range []string{"second", "third", "late", "declines"} {
		if _, err := s.Offer(owner, netip.Addr{}, s.pool); err != nil {
			t.Fatal(err)
		}
	}
	late, err := s.Offer("late", netip.Addr{}, s.pool)
	if err != nil {
		t.Fatal(err)
	}
	unwanted, err := s.Offer("declines", netip.Addr{}, s.pool)
	if err != nil {
		t.Fatal(err)
	}
	second := s.boots(t, "second")
	s.boots(t, "third")
	if _, err := s.leases("late", late, time.Hour); !errors.Is(err, lease.ErrExhausted) {
		t.Errorf("%v", err)
	}
	if s.Decline("declines", unwanted) {
		t.Error("a decline has a record beyond the bound")
	}
	if !s.Release("second", second) {
		t.Fatal("second has no lease")
	}
	if got := s.boots(t, "late"); got != second {
		t.Errorf("it gets %s, and %s is free", got, second)
	}
	if st := s.Stats(); st.Active+st.Free+st.Abandoned != 3 {
		t.Errorf("%+v", st)
	}
}
