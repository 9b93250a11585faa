package pool

import (
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// open reads the leases that s names. Nothing closes them: a process may end at any moment, and loses nothing that a client
// was told.
func open(s *settings, log *logrus.Entry, counts *counts) (*chain, error) {
	c := &chain{settings: *s, log: log, counts: counts.of(s.addrs)}
	opened, err := store.Open(store.Config{
		Settings: s.store, Dir: s.dir(), Log: log, Counts: counts.hook,
		Event: func(e lease.Event) { c.counts.events[e.Kind].Inc() },
		Wrote: func(records int, took time.Duration) {
			c.counts.commits.Add(float64(records))
			c.counts.commit.Observe(took.Seconds())
		},
		Failed: func(error) { c.counts.failures.Inc() },
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
	counts.add(c)
	stats := c.book.Stats()
	log.WithFields(logrus.Fields{"dir": s.dir(), "active": stats.Active, "imported": imported}).Info("leases loaded")
	return c, nil
}
