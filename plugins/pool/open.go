package pool

import (
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/lend"
)

// open reads the leases that s names. Nothing closes them: a process may end at any moment, and loses nothing that a client
// was told.
func open(s *settings, log *logrus.Entry, metrics *lend.Metrics, hooks *hook.Counts) (*chain, error) {
	c := &chain{settings: *s, log: log, counts: metrics.Of(label(s.addrs))}
	opened, err := store.Open(store.Config{
		Settings: s.store, Dir: s.dir(), Log: log, Counts: hooks, Event: c.counts.Event, Wrote: c.counts.Wrote, Failed: c.counts.Failed,
	})
	if err != nil {
		return nil, err
	}
	c.book = opened.Book
	imported, err := importStock(c.book, s.file)
	if err == nil {
		c.pool, err = c.book.NewPool(s.addrs)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	metrics.Watch(label(s.addrs), c.book, c.pool.Size)
	stats := c.book.Stats()
	log.WithFields(logrus.Fields{"dir": s.dir(), "active": stats.Active, "imported": imported}).Info("leases loaded")
	return c, nil
}

// label is what metrics call a pool.
func label(r lease.Range) string { return r.First.String() + "-" + r.Last.String() }
