package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

// open reads the leases that s names. Nothing closes them: a process may end at any moment, and loses nothing that a client
// was told.
func open(s *settings, log *logrus.Entry, counts *counts) (*chain, error) {
	clock, err := lease.HostClock()
	if err != nil {
		return nil, err
	}
	dir, err := journal.OpenDir(s.dir())
	if err != nil {
		return nil, explain(s.dir(), err)
	}
	c := &chain{settings: *s, log: log, counts: counts.of(s.addrs)}
	c.book, err = lease.Open(lease.Config{
		Clock: clock,
		Event: func(e lease.Event) { c.counts.events[e.Kind].Inc() },
		Journal: journal.Config{
			FS: dir,
			Wrote: func(records int, took time.Duration) {
				c.counts.commits.Add(float64(records))
				c.counts.commit.Observe(took.Seconds())
			},
			Failed: func(err error) {
				c.counts.failures.Inc()
				log.WithError(err).Error("leases cannot be written: no client is told of a new one until they can")
			},
		},
	})
	if err != nil {
		return nil, errors.Join(explain(s.dir(), err), dir.Close())
	}
	imported, err := importStock(c.book, s.file)
	if err == nil {
		c.pool, err = c.book.NewPool(s.addrs)
	}
	if err != nil {
		return nil, errors.Join(err, c.book.Close(), dir.Close())
	}
	counts.add(c)
	stats := c.book.Stats()
	log.WithFields(logrus.Fields{"dir": s.dir(), "active": stats.Active, "imported": imported}).Info("leases loaded")
	return c, nil
}

// explain adds what to do.
func explain(dir string, err error) error {
	var damaged *journal.DamagedError
	var path *fs.PathError
	switch {
	case errors.As(err, &damaged):
		return fmt.Errorf("%s: %w; leases that machines have may be gone, so nothing is lent: restore the directory from a backup, or move it away to begin with none (an address in use may then be lent again until its lease would have ended)", dir, err)
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
