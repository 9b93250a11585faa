// Package store opens the leases in a directory for a front end, with all that stands around a Book: the lock, the host's
// clock, the operator's socket, a hook, and a copy in dhcpd's format.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/control"
	"github.com/coredhcp-netboot/suite/internal/lease/dhcpdleases"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

// Settings are what an operator chooses. The zero value is the safe one.
type Settings struct {
	Durability  Durability
	DHCPDLeases string // path of a copy in dhcpd's format; empty: none
	Hook        hook.Config
}

// Durability is when a client may hear of its lease.
type Durability uint8

// The durabilities.
const (
	Strict  Durability = iota // when it is on stable storage
	Relaxed                   // when the kernel has it: a loss of power costs what is younger than a second
)

// relaxedEvery is the time between two syncs.
const relaxedEvery = time.Second

// ParseDurability reads strict or relaxed.
func ParseDurability(s string) (Durability, error) {
	switch s {
	case "strict":
		return Strict, nil
	case "relaxed":
		return Relaxed, nil
	}
	return Strict, fmt.Errorf("durability %q is unknown; use strict or relaxed", s)
}

// Config is what a Store needs. Log and Counts are required.
type Config struct {
	Settings
	Dir    string
	Clock  lease.Clock // nil: the host's
	Log    *logrus.Entry
	Counts *hook.Counts
	// Event, Wrote and Failed are as in lease.Config and journal.Config. They may be nil.
	Event  func(lease.Event)
	Wrote  func(records int, took time.Duration)
	Failed func(error)
}

// Store is an open directory of leases.
type Store struct {
	*lease.Book
	dir     *journal.Dir
	control *control.Server
	hook    *hook.Hook
	file    *dhcpdleases.File

	ending, ended chan struct{} // of sweep; nil: it does not run
}

// Open reads the leases of a directory, which is made if it is missing, and goes on with them. Errors say what to do.
// A process may end at any moment without Close, and loses nothing that a client was told.
func Open(c Config) (s *Store, err error) {
	if c.Clock == nil {
		if c.Clock, err = lease.HostClock(); err != nil {
			return nil, err
		}
	}
	s = new(Store)
	if s.dir, err = journal.OpenDir(c.Dir); err != nil {
		return nil, Explain(c.Dir, err)
	}
	defer func() {
		if err != nil {
			s, err = nil, errors.Join(err, s.Close())
		}
	}()
	// What follows the leases is there before the first event.
	followers := new(followers)
	config := lease.Config{Clock: c.Clock, Event: func(e lease.Event) { c.event(e); followers.tell(e) }}
	config.Journal = journal.Config{FS: s.dir, Wrote: c.Wrote, Failed: c.failed, Mended: c.mended, Grows: c.grows}
	if c.Durability == Relaxed {
		config.Journal.Every = relaxedEvery
	}
	if s.Book, err = lease.Open(config); err != nil {
		return s, Explain(c.Dir, err)
	}
	if err = s.follow(&c, followers); err != nil {
		return s, err
	}
	if s.control, err = control.Serve(c.Dir, byHand{s.Book, c.Log}); err != nil {
		c.Log.WithError(err).Warn("netbootctl cannot release leases while this runs: its socket cannot be made")
	}
	return s, nil
}

func (c *Config) event(e lease.Event) {
	if c.Event != nil {
		c.Event(e)
	}
}

func (c *Config) failed(err error) {
	c.Log.WithError(Explain(c.Dir, err)).Error("leases cannot be written: no client is told of a new one until they can")
	if c.Failed != nil {
		c.Failed(err)
	}
}

func (c *Config) mended() { c.Log.Warn("leases are written again") }

func (c *Config) grows(err error) {
	c.Log.WithError(Explain(c.Dir, err)).Warn("leases are written, but their file cannot be made smaller, and grows")
}

// follow starts what is told of events.
func (s *Store) follow(c *Config, f *followers) error {
	if c.Hook.On() {
		s.hook = hook.Start(c.Hook, s.Wall, c.Log, c.Counts)
		f.add(s.hook.Tell)
	}
	if c.DHCPDLeases != "" {
		failed := func(err error) {
			c.Log.WithError(err).Warn("the copy of the leases for other programs cannot be written, and is out of date")
		}
		file, err := dhcpdleases.Keep(c.DHCPDLeases, s.Book, failed)
		if err != nil {
			return fmt.Errorf("the copy of the leases for other programs: %w; name a file where the daemon's user can write", err)
		}
		s.file = file
		f.add(file.Tell)
	}
	if s.hook != nil || s.file != nil {
		s.ending, s.ended = make(chan struct{}), make(chan struct{})
		go s.sweep() // ends with Close
	}
	return nil
}

// sweep tells the followers of the end of leases when it comes, also where no request does.
func (s *Store) sweep() {
	defer close(s.ended)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.ending:
			return
		case <-tick.C:
			for s.Sweep() {
			}
		}
	}
}

// Close makes everything durable, tells the followers what waits, and unlocks the directory.
func (s *Store) Close() (err error) {
	if s.control != nil {
		err = s.control.Close()
	}
	if s.ending != nil {
		close(s.ending)
		<-s.ended
	}
	if s.Book != nil {
		err = errors.Join(err, s.Book.Close())
	}
	if s.hook != nil {
		s.hook.Close()
	}
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	return errors.Join(err, s.dir.Close())
}

// Mend opens the leases of a directory that no daemon has open, for a change by hand. The second result closes them. No new
// file is made, which would be the caller's and not the daemon's.
func Mend(path string) (*lease.Book, func() error, error) {
	clock, err := lease.HostClock()
	if err != nil {
		return nil, nil, err
	}
	dir, err := journal.OpenDir(path)
	if err != nil {
		return nil, nil, Explain(path, err)
	}
	book, err := lease.Open(lease.Config{Clock: clock, Journal: journal.Config{FS: dir, CompactAt: math.MaxInt64}})
	if err != nil {
		return nil, nil, errors.Join(Explain(path, err), dir.Close())
	}
	return book, func() error { return errors.Join(book.Close(), dir.Close()) }, nil
}

// Explain adds what to do to an error about the leases in a directory.
func Explain(dir string, err error) error {
	var damaged *journal.DamagedError
	var path *fs.PathError
	switch {
	case errors.As(err, &damaged):
		return fmt.Errorf("%s: %w; leases that machines have may be gone, so nothing is lent: restore the directory from a backup, or move it away to begin with none (an address in use may then be lent again until its lease would have ended)", dir, err)
	case errors.Is(err, journal.ErrNotRegular) && errors.As(err, &path):
		return fmt.Errorf("%s %w; put the leases' file back, or move the directory away to begin with none (an address in use may then be lent again until its lease would have ended)", path.Path, journal.ErrNotRegular)
	case errors.Is(err, journal.ErrLocked):
		return fmt.Errorf("%s: the leases are in use by another process; stop it, or name another file", dir)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the leases %s cannot be kept: there is no directory %s; create it", dir, filepath.Dir(dir))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		if errors.As(err, &path) {
			err = path.Err
		}
		return fmt.Errorf("%s: the leases cannot be written (%w); let the daemon's user write there", dir, err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%s: %w; make room, since a lease is written before its client is told", dir, err)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%s is no directory; move it away, or name another file", dir)
	}
	return fmt.Errorf("%s: %w", dir, err)
}
