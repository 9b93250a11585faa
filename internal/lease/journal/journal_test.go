package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease/journal"
	"github.com/coredhcp-netboot/suite/internal/lease/journal/journaltest"
)

var seeds = flag.Int("seeds", 500, "how many losses of power to play")

// ledger has a version for each of some keys, and keeps them in a journal.
type ledger struct {
	mu       sync.Mutex
	versions [16]uint64
	acked    [16]uint64 // what the journal called durable
	journal  *journal.Journal
	random   *rand.Rand
	pending  sync.WaitGroup
}

func record(key int, version uint64, filling []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{byte(key)}, version), filling...)
}

func (l *ledger) replay(r []byte) error {
	if len(r) < 9 || int(r[0]) >= len(l.versions) {
		return fmt.Errorf("no record of mine: %x", r)
	}
	l.versions[r[0]] = binary.BigEndian.Uint64(r[1:])
	return nil
}

func (l *ledger) snapshot() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for key := range l.versions {
			l.mu.Lock()
			r := record(key, l.versions[key], nil)
			l.mu.Unlock()
			if !yield(r) {
				return
			}
		}
	}
}

// raise gives a key its next version.
func (l *ledger) raise() {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := l.random.IntN(len(l.versions))
	l.versions[key]++
	version := l.versions[key]
	filling := make([]byte, l.random.IntN(3000))
	often := l.random.IntN(2)
	for i := range filling {
		if l.random.IntN(20) < often {
			filling[i] = byte(l.random.Uint32())
		}
	}
	l.pending.Add(1)
	err := l.journal.Append(record(key, version, filling), func(err error) {
		defer l.pending.Done()
		if err == nil {
			l.mu.Lock()
			l.acked[key] = max(l.acked[key], version)
			l.mu.Unlock()
		}
	})
	if err != nil {
		l.pending.Done()
	}
}

func open(d journal.FS, seed uint64, every time.Duration) (*ledger, error) {
	l := &ledger{random: rand.New(rand.NewPCG(seed, 2))}
	j, err := journal.Open(journal.Config{FS: d, Replay: l.replay, Snapshot: l.snapshot, Every: every, CompactAt: 20 << 10, Ahead: 4 << 10})
	l.journal = j
	return l, err
}

// check tells where a ledger that was read again has less than the one before was told, or more than it said.
func check(t *testing.T, before, after *ledger) {
	t.Helper()
	for key := range before.versions {
		if after.versions[key] < before.acked[key] || after.versions[key] > before.versions[key] {
			t.Errorf("key %d: version %d after the restart; %d was durable, %d the newest", key, after.versions[key], before.acked[key], before.versions[key])
		}
	}
}

func TestWhatWasDoneSurvivesLossesOfPower(t *testing.T) {
	for seed := range uint64(*seeds) {
		d := journaltest.NewDisk(seed)
		d.Left = d.Random.IntN(200)
		before, err := open(d, seed, 0)
		for life := 0; life < 3; life++ {
			for i := 0; err == nil && i < 60; i++ {
				before.raise()
				if d.Random.IntN(3) == 0 {
					before.pending.Wait()
				}
			}
			if before.journal != nil {
				_ = before.journal.Close() // fails without power
			}
			d = d.Restart()
			d.Left = d.Random.IntN(300)
			if life == 2 {
				d.Left = -1
			}
			after, again := open(d, seed+uint64(life), 0)
			if again != nil && !errors.Is(again, journaltest.ErrPower) {
				t.Fatalf("seed %d, life %d: %v", seed, life, again)
			}
			if again == nil {
				check(t, before, after)
				after.acked = after.versions
				before, err = after, nil
			} else if life == 2 {
				t.Fatalf("seed %d: %v", seed, again)
			} else {
				before.journal, err = nil, again
			}
			if t.Failed() {
				t.Fatalf("seed %d, life %d", seed, life)
			}
		}
		if err := before.journal.Close(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestRelaxedDurabilityLosesOnlyWhatIsYoung(t *testing.T) {
	for seed := range uint64(*seeds / 5) {
		d := journaltest.NewDisk(seed)
		before, err := open(d, seed, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			before.raise()
			before.pending.Wait()
		}
		d.Set(func() { d.Left = 0 })
		after, err := open(d.Restart(), seed, 0)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for key, v := range after.versions {
			if v > before.versions[key] {
				t.Errorf("seed %d, key %d: version %d was never written", seed, key, v)
			}
		}
		_, _ = before.journal.Close(), after.journal.Close()
	}
}

func TestAFullDiskRefusesAndHealsWithoutLosingAnything(t *testing.T) {
	for seed := range uint64(20) {
		d := journaltest.NewDisk(seed)
		before, err := open(d, seed, 0)
		if err != nil {
			t.Fatal(err)
		}
		refused := func() (n int) {
			before.mu.Lock()
			defer before.mu.Unlock()
			for key, v := range before.versions {
				n += int(v - before.acked[key])
			}
			return n
		}
		grow := func(until func() bool) {
			for i := 0; !until(); i++ {
				if i == 1_000_000 {
					t.Fatal("nothing changes")
				}
				before.raise()
				before.pending.Wait()
			}
		}
		d.Set(func() { d.Full = true })
		grow(func() bool { return refused() > 0 })
		d.Set(func() { d.Full = false })
		grow(func() bool { return refused() == 0 })
		d.Set(func() { d.Broken = 1 + int(seed)%3 })
		for range 30 {
			before.raise()
		}
		before.pending.Wait()
		grow(func() bool { return refused() == 0 })
		d.Set(func() { d.Left = 0 })
		after, err := open(d.Restart(), seed, 0)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		check(t, before, after)
		_, _ = before.journal.Close(), after.journal.Close()
	}
}

// A flipped bit is told, or does no harm: what was durable is never silently gone.
func TestAFlippedBitIsNeverSilentlyALostRecord(t *testing.T) {
	found := 0
	for seed := range uint64(*seeds) {
		d := journaltest.NewDisk(seed)
		before, err := open(d, seed, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			before.raise()
		}
		before.pending.Wait()
		if err := before.journal.Close(); err != nil {
			t.Fatal(err)
		}
		for _, i := range d.Files {
			written := bytes.TrimRight(i.Data, "\x00")
			i.Data[d.Random.IntN(len(written))] ^= 1 << d.Random.IntN(8)
		}
		after, err := open(d, seed, 0)
		var damaged *journal.DamagedError
		switch {
		case errors.As(err, &damaged):
			found++
			continue
		case err != nil:
			t.Fatal(err)
		}
		check(t, before, after)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if found == 0 {
		t.Error("no flipped bit was found")
	}
}

// emptied is the only file of d with the sector that holds the byte at an offset as it was before anything was written.
func emptied(d *journaltest.Disk, at func(written []byte) int) {
	for _, i := range d.Files {
		written := bytes.TrimRight(i.Data, "\x00")
		start := at(written) / journaltest.SectorSize * journaltest.SectorSize
		clear(i.Data[start:min(start+journaltest.SectorSize, len(i.Data))])
	}
}

func TestASectorThatLostItsContentIsDamageUnlessItWasTheLastWrite(t *testing.T) {
	d := journaltest.NewDisk(1)
	before, err := open(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 6 { // too little for a compaction, behind which there may be nothing but the last write
		before.raise()
		before.pending.Wait()
	}
	if err := before.journal.Close(); err != nil {
		t.Fatal(err)
	}
	emptied(d, func(written []byte) int { return len(written) / 3 })
	var damaged *journal.DamagedError
	if _, err := open(d, 1, 0); !errors.As(err, &damaged) || damaged.Offset == 0 {
		t.Errorf("%v", err)
	}
}

func TestTheRemainsOfATornWriteAreNotTakenForDamageLater(t *testing.T) {
	d := journaltest.NewDisk(1)
	before, err := open(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var start int
	d.Set(func() {
		for _, i := range d.Files {
			start = len(bytes.TrimRight(i.Data, "\x00"))
		}
	})
	done := make(chan error, 1)
	refused := before.journal.Append(record(1, 1, bytes.Repeat([]byte{7}, 3000)), func(err error) { done <- err })
	if err := errors.Join(refused, <-done, before.journal.Close()); err != nil {
		t.Fatal(err)
	}
	emptied(d, func([]byte) int { return start + journaltest.SectorSize })
	for life := range 3 {
		l, err := open(d, 1, 0)
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		if life > 0 && l.versions[2] == 0 {
			t.Errorf("life %d: what came after the torn write is gone", life)
		}
		done := make(chan error, 1)
		refused := l.journal.Append(record(2, 1, make([]byte, 1000)), func(err error) { done <- err })
		if err := errors.Join(refused, <-done, l.journal.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyOneProcessUsesADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	first, err := journal.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.OpenDir(path); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("the second one: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := journal.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestARealDirectoryIsReadAgainAndCompacted(t *testing.T) {
	path := t.TempDir()
	var before *ledger
	for seed := range uint64(5) {
		d, err := journal.OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		l, err := open(d, seed, 0)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil {
			check(t, before, l)
		}
		l.acked = l.versions
		for range 200 {
			l.raise()
		}
		l.pending.Wait()
		if l.acked != l.versions {
			t.Fatal("records are not done")
		}
		if err := errors.Join(l.journal.Close(), d.Close()); err != nil {
			t.Fatal(err)
		}
		before = l
		files, err := os.ReadDir(path)
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		if info, err := files[0].Info(); err != nil || info.Size() > 3<<20 {
			t.Errorf("%v, %v: it is not compacted", info, err)
		}
	}
}

func TestWhoWaitsTogetherSharesASync(t *testing.T) {
	d := journaltest.NewDisk(1)
	l, err := open(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var before int
	d.Set(func() { // the disk is busy
		before = d.Syncs
		for range 500 {
			l.raise()
		}
	})
	l.pending.Wait()
	if err := l.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if n := d.Syncs - before; n > 50 {
		t.Errorf("500 records took %d syncs", n)
	}
}

func TestALateRecordIsRefused(t *testing.T) {
	l, err := open(journaltest.NewDisk(1), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.journal.Close(); err != nil {
		t.Fatal(err)
	}
	told := func(error) { t.Error("who is refused is told twice") }
	if err := l.journal.Append([]byte("late"), told); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
}

// The caller holds a lock that its own done takes too, so done must not run inside of Append.
func TestARecordThatIsTooLongIsRefusedAtOnce(t *testing.T) {
	l, err := open(journaltest.NewDisk(1), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.journal.Append(make([]byte, journal.MaxRecord+1), func(error) { t.Error("told twice") }); err == nil {
		t.Error("it was taken")
	}
	if err := l.journal.Close(); err != nil {
		t.Error(err)
	}
}

// The process is killed between a write and its sync: the next one reads what only the kernel has, and must not take it
// for durable before it is.
func TestWhatAKilledProcessLeftInTheKernelIsDurableBeforeItIsReadAgain(t *testing.T) {
	for seed := range uint64(*seeds / 5) {
		d := journaltest.NewDisk(seed)
		killed, err := open(d, seed, 0)
		if err != nil {
			t.Fatal(err)
		}
		killed.raise()
		killed.pending.Wait()
		d.Set(func() { d.Left = 1 }) // the write happens, its sync does not
		killed.raise()
		killed.pending.Wait()
		_ = killed.journal.Close()
		d.Set(func() { d.Left = -1 })

		next, err := open(d, seed, 0)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		next.acked = next.versions
		d.Set(func() { d.Left = int(seed % 3) })
		next.raise()
		next.pending.Wait()
		_ = next.journal.Close()
		last, err := open(d.Restart(), seed, 0)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		check(t, next, last)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		_ = last.journal.Close()
	}
}

// Which file is the newest is told by the names, so a name that does not belong to its file would bring back an old one.
func TestARenamedFileIsRefused(t *testing.T) {
	d := journaltest.NewDisk(1)
	l, err := open(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.journal.Close(); err != nil {
		t.Fatal(err)
	}
	d.Set(func() {
		for name, i := range d.Files {
			delete(d.Files, name)
			d.Files["00000000000000ff.journal"] = i
		}
	})
	var damaged *journal.DamagedError
	if _, err := open(d, 1, 0); !errors.As(err, &damaged) {
		t.Errorf("%v", err)
	}
}
