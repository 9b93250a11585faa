package lease_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
	"github.com/coredhcp-netboot/suite/internal/lease/journal/journaltest"
)

var seeds = flag.Int("seeds", 500, "how many random stories to play")

// clock is a host's: physical time goes on, the wall's is stepped, and a boot gives the time since it a new origin.
type clock struct {
	mu       sync.Mutex
	physical time.Duration
	booted   time.Duration
	boots    int
	wall     time.Duration // the wall's minus the physical
}

func (c *clock) Boot() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint("boot ", c.boots)
}

func (c *clock) Since() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.physical - c.booted
}

func (c *clock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(1_800_000_000, 0).Add(c.physical + c.wall)
}

func (c *clock) passes(d time.Duration) { c.mu.Lock(); c.physical += d; c.mu.Unlock() }
func (c *clock) steps(d time.Duration)  { c.mu.Lock(); c.wall += d; c.mu.Unlock() }
func (c *clock) boot() {
	c.mu.Lock()
	c.boots, c.booted = c.boots+1, c.physical
	c.mu.Unlock()
}

func addr(n int) netip.Addr {
	var four [4]byte
	binary.BigEndian.PutUint32(four[:], 0xc0000200+uint32(n))
	return netip.AddrFrom4(four)
}

// addr6 and prefix are n of IPv6.
func addr6(n int) netip.Addr {
	a := netip.MustParseAddr("2001:db8::200").As16()
	binary.BigEndian.PutUint32(a[12:], binary.BigEndian.Uint32(a[12:])+uint32(n))
	return netip.AddrFrom16(a)
}

func prefix(n int) netip.Addr {
	a := netip.MustParseAddr("2001:db8:ff:ff00::").As16()
	binary.BigEndian.PutUint64(a[:], binary.BigEndian.Uint64(a[:])+uint64(n)<<8)
	return netip.AddrFrom16(a)
}

// kind is what a site lends.
type kind struct {
	unit func(n int) netip.Addr
	bits int
	most int // records that the pool may have; 0: as many as units
}

// kinds are all that there are.
func kinds() map[string]kind {
	return map[string]kind{"IPv4": {addr, 0, 0}, "IPv6": {addr6, 0, 0}, "prefixes": {prefix, 56, 0}}
}

// site is a Book on a disk, with one pool.
type site struct {
	*lease.Book
	pool  *lease.Pool
	disk  *journaltest.Disk
	clock *clock
	size  int
	kind
}

func newSite(t testing.TB, seed uint64, size int) *site {
	t.Helper()
	return newSiteOf(t, seed, size, kind{unit: addr})
}

func newSiteOf(t testing.TB, seed uint64, size int, k kind) *site {
	t.Helper()
	s := &site{disk: journaltest.NewDisk(seed), clock: &clock{physical: time.Hour}, size: size, kind: k}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) open() (err error) {
	s.Book, err = lease.Open(lease.Config{Clock: s.clock, Journal: journal.Config{FS: s.disk, CompactAt: 4 << 10, Ahead: 4 << 10}})
	if err != nil {
		return err
	}
	s.pool, err = s.NewPool(lease.Range{First: s.unit(1), Last: s.unit(s.size), Bits: s.bits})
	if err == nil && s.most > 0 {
		lease.Bound(s.pool, s.most)
	}
	return err
}

// leases commits and waits.
func (s *site) leases(owner string, a netip.Addr, d time.Duration) (time.Duration, error) {
	written := make(chan error, 1)
	granted, err := s.Commit(lease.Client{Owner: owner, MAC: owner}, a, d, func(err error) { written <- err }, s.pool)
	if err == nil {
		err = <-written
	}
	return granted, err
}

// boots is a whole exchange.
func (s *site) boots(t testing.TB, owner string) netip.Addr {
	t.Helper()
	a, err := s.Offer(owner, netip.Addr{}, s.pool)
	if err == nil {
		_, err = s.leases(owner, a, time.Hour)
	}
	if err != nil {
		t.Fatalf("%s: %v", owner, err)
	}
	return a
}

// restarts loses what was only in the memory.
func (s *site) restarts(t testing.TB) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
}

func (s *site) on(a netip.Addr) lease.Lease {
	for l := range s.Leases() {
		if l.Addr == a {
			return l
		}
	}
	return lease.Lease{}
}

func TestAMachineKeepsItsAddressFromROMToSystemAndOverARestart(t *testing.T) {
	s := newSite(t, 1, 10)
	first := s.boots(t, "dell")
	if other := s.boots(t, "pi"); other == first || first != addr(1) {
		t.Errorf("dell has %s, pi %s", first, other)
	}
	if again := s.boots(t, "dell"); again != first {
		t.Errorf("iPXE gets %s, the ROM had %s", again, first)
	}
	s.restarts(t)
	if again := s.boots(t, "dell"); again != first {
		t.Errorf("after a restart %s", again)
	}
	s.clock.passes(2 * time.Hour)
	if next := s.boots(t, "new"); next != addr(3) {
		t.Errorf("a new machine gets %s, though %s was never used", next, addr(3))
	}
	if again := s.boots(t, "dell"); again != first {
		t.Errorf("its last address is free, and it gets %s", again)
	}
}

func TestAYoungLeaseIsAnsweredFromTheDiskAndNotWritten(t *testing.T) {
	s := newSite(t, 1, 10)
	a := s.boots(t, "dell")
	syncs := s.disk.Syncs
	s.clock.passes(14 * time.Minute)
	granted, err := s.leases("dell", a, time.Hour)
	if err != nil || granted != 46*time.Minute || s.disk.Syncs != syncs {
		t.Errorf("granted %s, %v, %d syncs", granted, err, s.disk.Syncs-syncs)
	}
	s.clock.passes(3 * time.Minute)
	if granted, err = s.leases("dell", a, time.Hour); err != nil || granted != time.Hour || s.disk.Syncs == syncs {
		t.Errorf("after a quarter: granted %s, %v", granted, err)
	}
	if granted, err = s.leases("dell", a, 10*time.Minute); err != nil || granted != 10*time.Minute {
		t.Errorf("where leases have become shorter: %s, %v", granted, err)
	}
	if l := s.on(a); l.End-l.Start < 3600 {
		t.Errorf("it still believes in its hour, and %d seconds are reserved", l.End-l.Start)
	}
}

func TestAYoungLeaseThatIsNotDurableIsWritten(t *testing.T) {
	s := newSite(t, 1, 10)
	a, err := s.Offer("dell", netip.Addr{}, s.pool)
	if err != nil {
		t.Fatal(err)
	}
	s.disk.Set(func() { s.disk.Broken = 1 })
	if _, err := s.leases("dell", a, time.Hour); err == nil {
		t.Fatal("acknowledged without a sync")
	}
	if b, err := s.Offer("pi", a, s.pool); err != nil || b == a {
		t.Errorf("what may be on the disk is offered to another: %s, %v", b, err)
	}
	syncs := s.disk.Syncs
	if _, err := s.leases("dell", a, time.Hour); err != nil || s.disk.Syncs == syncs {
		t.Errorf("the second try: %v", err)
	}
}

func TestADeclinedAddressRestsForADayAndAReleasedOneIsFreeAtOnce(t *testing.T) {
	s := newSite(t, 1, 3)
	a := s.boots(t, "dell")
	if s.Decline("pi", a) || !s.Decline("dell", a) {
		t.Error("who has it may decline it, and nobody else")
	}
	b := s.boots(t, "dell")
	if b == a {
		t.Error("it gets the declined one again")
	}
	s.restarts(t)
	c := s.boots(t, "pi")
	if s.Release("dell", c) || !s.Release("pi", c) {
		t.Error("who has it may release it, and nobody else")
	}
	if got := s.boots(t, "third"); got != c {
		t.Errorf("%s is free, and %s lent", c, got)
	}
	if got, err := s.Offer("fourth", a, s.pool); !errors.Is(err, lease.ErrExhausted) {
		t.Errorf("%s, %v", got, err)
	}
	if st := s.Stats(); st != (lease.Stats{Active: 2, Abandoned: 1}) {
		t.Errorf("%+v", st)
	}
	s.clock.passes(24*time.Hour + time.Second)
	if got, err := s.Offer("fourth", a, s.pool); err != nil || got != a {
		t.Errorf("after a day: %s, %v", got, err)
	}
}

func TestNobodyIsLentWhatIsSomebodyElses(t *testing.T) {
	s := newSite(t, 1, 5)
	a := s.boots(t, "dell")
	b, err := s.Offer("pi", netip.Addr{}, s.pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		owner string
		addr  netip.Addr
		want  error
	}{{"new", a, lease.ErrTaken}, {"new", b, lease.ErrTaken}, {"new", addr(9), lease.ErrOutside}, {"dell", addr(4), lease.ErrOther}} {
		if _, err := s.leases(c.owner, c.addr, time.Hour); !errors.Is(err, c.want) {
			t.Errorf("%s asks for %s: %v, want %v", c.owner, c.addr, err, c.want)
		}
	}
	s.clock.passes(121 * time.Second)
	if _, err := s.leases("new", b, time.Hour); err != nil {
		t.Errorf("the offer has lapsed: %v", err)
	}
}

// The daemon is restarted, or the host, while its clock is a day ahead or behind: leases neither end early nor double.
func TestNoStepOfTheClockLendsAnAddressTwice(t *testing.T) {
	day := 24 * time.Hour
	for _, story := range []struct {
		name string
		does func(s *site)
	}{
		{"stepped while it runs", func(s *site) { s.clock.steps(day) }},
		{"stepped while it is stopped", func(s *site) { s.restarts(t); s.clock.steps(day); s.restarts(t) }},
		{"stepped back while it is stopped", func(s *site) { s.clock.steps(-day); s.restarts(t) }},
		{"stepped, seen, and then rebooted", func(s *site) {
			s.clock.steps(day)
			s.boots(t, "who sees it")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s.clock.boot()
			if err := s.open(); err != nil {
				t.Fatal(err)
			}
		}},
		{"rebooted a day behind", func(s *site) {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s.clock.boot()
			s.clock.steps(-day)
			if err := s.open(); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		s := newSite(t, 1, 2)
		a := s.boots(t, "dell")
		s.boots(t, "who sees it")
		story.does(s)
		s.clock.passes(59 * time.Minute)
		if _, err := s.Offer("other", a, s.pool); !errors.Is(err, lease.ErrExhausted) {
			t.Errorf("%s: %v", story.name, err)
		}
		s.clock.passes(2 * time.Minute)
		if _, err := s.Offer("other", a, s.pool); story.name != "rebooted a day behind" && err != nil {
			t.Errorf("%s: it never ends: %v", story.name, err)
		}
	}
}

func TestAdoptedLeasesComeInOnce(t *testing.T) {
	s := newSite(t, 1, 5)
	end := s.clock.Wall().Add(time.Hour)
	old := lease.Client{Owner: "old", Hostname: "old-dell"}
	for range 2 {
		if err := s.Note("imported"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			addr netip.Addr
			want bool
		}{{addr(3), s.on(addr(3)).Owner == ""}, {addr(4), false}} {
			if ok, err := s.Adopt(old, c.addr, end); err != nil || ok != c.want {
				t.Errorf("%s: %v, %v", c.addr, ok, err)
			}
		}
		s.restarts(t)
		if !s.Noted("imported") || s.Noted("x") || s.on(addr(3)).Hostname != "old-dell" {
			t.Error("not there after a restart")
		}
	}
	if got := s.boots(t, "old"); got != addr(3) {
		t.Errorf("%s", got)
	}
}

func TestAFloodOfDiscoversNeitherKeepsAddressesNorMemory(t *testing.T) {
	s := newSite(t, 1, 1<<20)
	for i := range 200_000 {
		if _, err := s.Offer(fmt.Sprint(i), addr(1+i), s.pool); err != nil {
			t.Fatal(i, err)
		}
	}
	if n := s.Stats().Offered; n != 1<<17 {
		t.Errorf("%d are offered", n)
	}
	s.clock.passes(2 * time.Minute)
	if got := s.boots(t, "dell"); got != addr(1) || s.Stats() != (lease.Stats{Active: 1}) {
		t.Errorf("%s, %+v", got, s.Stats())
	}
}

func TestManyAtOnceGetDifferentAddresses(t *testing.T) {
	s := newSite(t, 1, 2000)
	var all sync.WaitGroup
	got := make([][]netip.Addr, 8)
	for i := range got {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range 200 {
				got[i] = append(got[i], s.boots(t, fmt.Sprint(i, " ", n)))
			}
		}()
	}
	all.Wait()
	addrs := slices.Concat(got...)
	slices.SortFunc(addrs, netip.Addr.Compare)
	if n := len(slices.Compact(addrs)); n != 1600 || !t.Failed() && s.Stats().Active != 1600 {
		t.Errorf("%d addresses, %+v", n, s.Stats())
	}
	s.restarts(t)
	if s.Stats().Active != 1600 {
		t.Errorf("%+v after a restart", s.Stats())
	}
}

func TestPoolsDoNotOverlap(t *testing.T) {
	s := newSite(t, 1, 10)
	for _, r := range []lease.Range{{First: addr(10), Last: addr(12)}, {First: addr(0), Last: addr(20)}, {First: addr(5), Last: addr(4)}, {First: addr(20), Last: netip.MustParseAddr("::1")}, {}} {
		if _, err := s.NewPool(r); err == nil {
			t.Errorf("%v was taken", r)
		}
	}
	second, err := s.NewPool(lease.Range{First: addr(20), Last: addr(21)})
	if err != nil || second.Size() != 2 || s.pool.Size() != 10 {
		t.Fatal(err)
	}
	if a, err := s.Offer("dell", netip.Addr{}, second, s.pool); err != nil || a != addr(20) {
		t.Errorf("%s, %v", a, err)
	}
	s.boots(t, "pi")
	if a, err := s.Offer("pi", netip.Addr{}, second); err != nil || a != addr(21) {
		t.Errorf("what it has is in a pool that it may not use any more: %s, %v", a, err)
	}
	written := make(chan error, 1)
	if _, err := s.Commit(lease.Client{Owner: "pi"}, addr(21), time.Hour, func(err error) { written <- err }, second); err != nil || <-written != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Active != 1 || st.Free != 1 {
		t.Errorf("one machine has one address, but: %+v", st)
	}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3)) }
