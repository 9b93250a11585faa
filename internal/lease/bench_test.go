package lease_test

import (
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

func numbered(n uint32) lease.Client {
	mac := string(binary.BigEndian.AppendUint32([]byte{0x52, 0x54}, n))
	return lease.Client{Owner: "\x01" + mac, MAC: mac, ID: "\x01" + mac, Hostname: "host-" + strings.Repeat("x", 10)}
}

func openDir(b *testing.B, path string) (*lease.Book, *lease.Pool, func()) {
	b.Helper()
	clock, err := lease.HostClock()
	if err != nil {
		b.Fatal(err)
	}
	dir, err := journal.OpenDir(path)
	if err != nil {
		b.Fatal(err)
	}
	book, err := lease.Open(lease.Config{Clock: clock, Journal: journal.Config{FS: dir}})
	if err != nil {
		b.Fatal(err)
	}
	pool, err := book.NewPool(lease.Range{First: netip.MustParseAddr("10.0.0.0"), Last: netip.MustParseAddr("10.255.255.255")})
	if err != nil {
		b.Fatal(err)
	}
	return book, pool, func() {
		if err := errors.Join(book.Close(), dir.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// loop has 64 clients at a time do something that is done later.
func loop(b *testing.B, each func(n uint32, done func(error))) {
	b.Helper()
	window := make(chan struct{}, 64)
	var failed atomic.Value
	var all sync.WaitGroup
	for n := range uint32(b.N) {
		window <- struct{}{}
		all.Add(1)
		each(n, func(err error) {
			if err != nil {
				failed.Store(err)
			}
			<-window
			all.Done()
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// Run with -benchtime 50000x: new clients, each with an offer and a lease, 64 in flight.
func BenchmarkNewClients(b *testing.B) {
	book, pool, end := openDir(b, b.TempDir())
	defer end()
	b.ReportAllocs()
	loop(b, func(n uint32, done func(error)) {
		c := numbered(n)
		a, err := book.Offer(c.Owner, netip.Addr{}, pool)
		if err == nil {
			_, err = book.Commit(c, a, time.Hour, done, pool)
		}
		if err != nil {
			b.Fatal(err)
		}
	})
}

// What the disk gives: records of the same size, committed in groups, and nothing else.
func BenchmarkBareGroupCommit(b *testing.B) {
	dir, err := journal.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	j, err := journal.Open(journal.Config{
		FS: dir, Replay: func([]byte) error { return nil }, CompactAt: 1 << 40,
		Snapshot: func() iter.Seq[[]byte] { return func(func([]byte) bool) {} },
	})
	if err != nil {
		b.Fatal(err)
	}
	record := make([]byte, 60)
	loop(b, func(_ uint32, done func(error)) {
		if err := j.Append(record, done); err != nil {
			b.Fatal(err)
		}
	})
	if err := errors.Join(j.Close(), dir.Close()); err != nil {
		b.Fatal(err)
	}
}

// Leases that are young are answered without a write.
func BenchmarkKnownClients(b *testing.B) {
	book, pool, end := openDir(b, b.TempDir())
	defer end()
	const known = 50_000
	var all sync.WaitGroup
	for n := range uint32(known) {
		all.Add(1)
		if _, err := book.Commit(numbered(n), addrOf(n), time.Hour, func(error) { all.Done() }, pool); err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	b.ResetTimer()
	loop(b, func(n uint32, done func(error)) {
		if _, err := book.Commit(numbered(n%known), addrOf(n%known), time.Hour, done, pool); err != nil {
			b.Fatal(err)
		}
	})
}

func addrOf(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|n)))
}

// Restart with 200,000 leases, and the memory that they take.
func BenchmarkRestart200000(b *testing.B) {
	path := b.TempDir()
	book, pool, end := openDir(b, path)
	var all sync.WaitGroup
	for n := range uint32(200_000) {
		all.Add(1)
		if _, err := book.Commit(numbered(n), addrOf(n), time.Hour, func(error) { all.Done() }, pool); err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	end()
	book = nil
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b.ResetTimer()
	for range b.N {
		book, _, end = openDir(b, path)
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		if book.Stats().Active != 200_000 {
			b.Fatal(book.Stats())
		}
		end()
		book = nil
		b.StartTimer()
	}
}
