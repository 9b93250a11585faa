package dhcpdleases

import (
	"bufio"
	"errors"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// Leases is what a File is a copy of; a *lease.Book is one.
type Leases interface {
	Leases() iter.Seq[lease.Lease]
	Wall(second int64) time.Time
}

// File keeps a copy of all leases in dhcpd's format up to date: each event is appended, and from time to time the whole
// file is replaced by a short one, as dhcpd does. Nothing waits for it, and it is not synced: the journal is the original.
type File struct {
	path   string
	of     Leases
	failed func(error)

	mu      sync.Mutex
	wake    sync.Cond
	waiting []lease.Lease
	whole   bool // it must be written anew
	closing bool
	ended   chan struct{}

	// Only the writer uses these.
	out            *os.File
	size, shortest int64 // now, and when it was written as a whole
	buffer         []byte
}

const (
	// maxWaiting is how many events wait for a slow disk; when more came, the file is written anew.
	maxWaiting = 4096
	// slack is how far the file grows beyond its shortest size, in bytes, and at least by that size, before it is written
	// anew.
	slack = 1 << 20
	// again is when writing is tried again after it failed.
	again = 10 * time.Second
)

// Keep writes the file at path, readable for everybody, and keeps it up to date until Close. Failed is told once of each
// trouble later on; then the file stays behind until it can be written again.
func Keep(path string, of Leases, failed func(error)) (*File, error) {
	f := &File{path: path, of: of, failed: failed, ended: make(chan struct{})}
	f.wake.L = &f.mu
	if err := f.rewrite(); err != nil {
		return nil, err
	}
	go f.run() // ends with Close
	return f, nil
}

// Tell takes an event of the leases. It never waits.
func (f *File) Tell(e lease.Event) {
	if e.Kind == lease.Offered {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == maxWaiting {
		f.waiting, f.whole = f.waiting[:0], true
	}
	f.waiting = append(f.waiting, e.Lease)
	f.wake.Signal()
}

// Close writes what waits, and ends.
func (f *File) Close() error {
	f.mu.Lock()
	f.closing = true
	f.wake.Signal()
	f.mu.Unlock()
	<-f.ended
	if f.out == nil {
		return nil
	}
	return f.out.Close()
}

func (f *File) run() {
	defer close(f.ended)
	var now []lease.Lease
	for {
		var whole, closing bool
		now, whole, closing = f.take(now)
		err := f.follow(now, whole)
		if err != nil {
			f.failed(err)
			f.mu.Lock()
			f.whole = true // once it can be
			f.mu.Unlock()
		}
		if closing {
			return
		}
		if err != nil {
			f.pause()
		}
	}
}

func (f *File) take(into []lease.Lease) (now []lease.Lease, whole, closing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) == 0 && !f.whole && !f.closing {
		f.wake.Wait()
	}
	now, f.waiting = f.waiting, into[:0]
	whole, f.whole = f.whole, false
	return now, whole, f.closing
}

// pause waits until a new try makes sense.
func (f *File) pause() {
	timer := time.AfterFunc(again, f.wake.Broadcast)
	defer timer.Stop()
	until := time.Now().Add(again)
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.closing && time.Now().Before(until) {
		f.wake.Wait()
	}
}

// follow brings the file up to date.
func (f *File) follow(news []lease.Lease, whole bool) error {
	if whole || f.size > f.shortest+max(slack, f.shortest) {
		return f.rewrite() // the leases are as new as the news, or newer
	}
	f.buffer = f.buffer[:0]
	for _, l := range news {
		f.buffer = Append(f.buffer, view.Of(l, f.of.Wall))
	}
	n, err := f.out.Write(f.buffer)
	f.size += int64(n)
	return err
}

// rewrite puts a file in place that has each lease once. The one before stays until then, also for who has it open.
func (f *File) rewrite() error {
	next := f.path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed
		return err
	}
	// In a directory where others may write, one of them could have made it a link to a file of ours.
	out, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 64<<10)
	_, err = w.WriteString(Head)
	var size int64
	for l := range f.of.Leases() {
		if err != nil {
			break
		}
		f.buffer = Append(f.buffer[:0], view.Of(l, f.of.Wall))
		_, err = w.Write(f.buffer)
		size += int64(len(f.buffer))
	}
	if err = errors.Join(err, w.Flush()); err == nil {
		err = os.Rename(next, f.path)
	}
	if err != nil {
		out.Close()
		_ = os.Remove(next)
		return err
	}
	if f.out != nil {
		f.out.Close()
	}
	f.out, f.size, f.shortest = out, size, size
	return nil
}
