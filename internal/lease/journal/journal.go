package journal

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"time"
)

// Config is what a journal needs. FS, Replay and Snapshot are required.
type Config struct {
	FS FS
	// Replay is given each record when the journal is opened, oldest first; it keeps what it needs of the bytes, which
	// are its own. An error ends Open.
	Replay func(record []byte) error
	// Snapshot yields records that stand for all that the records so far said. It runs beside Append, and what is
	// appended meanwhile is replayed behind it, so the same news may come twice. The bytes are only read until the next.
	Snapshot func() iter.Seq[[]byte]
	// Every is the time between two syncs; 0: each record is on stable storage before it is done. Otherwise a record is
	// done when the kernel has it, and a loss of power costs what is younger.
	Every time.Duration
	// CompactAt is how far a file grows beyond its snapshot, in bytes, before it is compacted; 0: 16 MiB.
	CompactAt int64
	// Ahead is how far a file is filled with zeros before they are needed, in bytes; 0: 1 MiB. A write inside of it changes
	// no metadata, which makes its sync about twice as fast on ext4.
	Ahead int64
	// Wrote, if set, is told of each write: how many records it made durable, how long it took.
	Wrote func(records int, took time.Duration)
	// Failed, if set, is told why the journal cannot make records durable, once for each failure; Mended when it can again.
	Failed func(error)
	Mended func()
	// Grows, if set, is told why a file could not be compacted. Records are durable all the same, and it is tried again.
	Grows func(error)
}

// ErrClosed is what a record gets that comes too late.
var ErrClosed = errors.New("the journal is closed")

// maxWaiting bounds what waits for the disk, in bytes.
const maxWaiting = 64 << 20

var errBusy = errors.New("too much waits for the disk")

// Journal appends records. One goroutine writes them all.
type Journal struct {
	Config
	queue  queue
	closed chan struct{} // the writer has ended

	// Only the writer uses these.
	file       current
	generation uint64 // the last that was given to a file
	compacting int    // compactions under way
}

// queue is what waits for the writer.
type queue struct {
	mu      sync.Mutex
	wake    sync.Cond
	next    batch
	news    []*compaction // that ended
	due     bool          // time to sync
	closing bool
}

// batch is what is written at once: frames, whose headers and ends are still missing.
type batch struct {
	frames  [][]byte
	records int
	done    []func(error)
}

func (b *batch) add(record []byte, done func(error)) {
	n := len(b.frames)
	if n == 0 || len(b.frames[n-1]) > maxPayload {
		if n < cap(b.frames) { // its memory is still there
			b.frames = b.frames[:n+1]
		} else {
			b.frames = append(b.frames, nil)
		}
		b.frames[n] = beginFrame(b.frames[n][:0])
		n++
	}
	b.frames[n-1] = appendRecord(b.frames[n-1], record)
	b.records++
	if done != nil {
		b.done = append(b.done, done)
	}
}

func (b *batch) empty() bool { return b.records == 0 }

// full tells that much waits for the disk already.
func (b *batch) full() bool { return len(b.frames) > maxWaiting/maxPayload }

func (b *batch) reset() {
	clear(b.done)
	*b = batch{frames: b.frames[:0], done: b.done[:0]}
}

// Open reads the newest journal in c.FS, or begins one, and starts its writer. A file that lost a durable record is a
// *DamagedError.
func Open(c Config) (*Journal, error) {
	if c.CompactAt == 0 {
		c.CompactAt = 16 << 20
	}
	if c.Ahead == 0 {
		c.Ahead = 1 << 20
	}
	j := &Journal{Config: c, closed: make(chan struct{})}
	j.queue.wake.L = &j.queue.mu
	if err := j.recover(); err != nil {
		return nil, err
	}
	go j.write()
	return j, nil
}

// Append adds a record, and has done called with nil when it is on stable storage (or, with Every, in the kernel), or
// with why it is not. Records become durable in the order of Append. Done is called by the writer, which it must not
// keep, and never by Append itself, so that both may take a lock of the caller's. A record that is refused, with the
// error of Append, has no effect, and its done is not called. A nil done is allowed.
func (j *Journal) Append(record []byte, done func(error)) error {
	j.queue.mu.Lock()
	defer j.queue.mu.Unlock()
	switch {
	case j.queue.closing:
		return ErrClosed
	case len(record) > MaxRecord:
		return fmt.Errorf("a record of %d bytes; the journal takes %d", len(record), MaxRecord)
	case j.queue.next.full():
		return errBusy
	}
	j.queue.next.add(record, done)
	j.queue.wake.Signal()
	return nil
}

// Close makes durable what was appended, and ends the writer. Later records get ErrClosed.
func (j *Journal) Close() error {
	j.queue.mu.Lock()
	j.queue.closing = true
	j.queue.wake.Signal()
	j.queue.mu.Unlock()
	<-j.closed
	return j.file.close()
}

// write is the writer.
func (j *Journal) write() {
	defer close(j.closed)
	var now batch
	for {
		news, due, closing := j.wait(&now)
		j.commit(&now, due || closing)
		for _, k := range news {
			j.adopt(k)
		}
		now.reset()
		if closing {
			j.settle()
			return
		}
		j.maybeCompact()
	}
}

// wait takes what there is to do.
func (j *Journal) wait(b *batch) (news []*compaction, due, closing bool) {
	q := &j.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.next.empty() && len(q.news) == 0 && !q.due && !q.closing {
		q.wake.Wait()
	}
	// Who is about to append may do so first, which makes fewer syncs: of 64 clients at a time 24 leases share one, and 21
	// without this (integration/bench, case dora; five pairs of runs). More leases a second were not seen.
	q.mu.Unlock()
	runtime.Gosched()
	q.mu.Lock()
	*b, q.next = q.next, *b
	news, due, closing = q.news, q.due, q.closing
	q.news, q.due = nil, false
	return news, due, closing
}

// renewEvery is how often a new file is tried where the old one failed, which a full disk makes fail again.
const renewEvery = 200 * time.Millisecond

// commit writes a batch and tells everybody. After a failed write or sync nobody knows what the file holds (the kernel
// forgets a page that it could not write), so the next records go into a new file.
func (j *Journal) commit(b *batch, sync bool) {
	if b.empty() && (!sync || !j.file.unsynced) {
		return
	}
	began := time.Now()
	err := j.file.failure
	failed := err != nil
	if failed && began.After(j.file.renewAt) {
		if j.renew() == nil {
			err = nil
		} else { // who waits hears the first cause: it names one file, and not a new one each time
			j.file.renewAt = began.Add(renewEvery)
		}
	}
	if err == nil {
		err = j.file.append(b)
	}
	if err == nil && (sync || j.Every == 0) {
		err = j.file.sync()
	} else if err == nil {
		j.syncLater()
	}
	if err != nil && j.file.failure == nil {
		j.file.failure = err
		if j.Failed != nil {
			j.Failed(err)
		}
	}
	if failed && err == nil && j.Mended != nil {
		j.Mended()
	}
	if j.Wrote != nil && err == nil {
		j.Wrote(b.records, time.Since(began))
	}
	for _, done := range b.done {
		done(err)
	}
}

// syncLater has the writer woken when the next sync is due.
func (j *Journal) syncLater() {
	if j.file.unsynced {
		return // it is on its way
	}
	j.file.unsynced = true
	time.AfterFunc(j.Every, func() {
		j.queue.mu.Lock()
		j.queue.due = true
		j.queue.wake.Signal()
		j.queue.mu.Unlock()
	})
}
