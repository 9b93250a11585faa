package subnets

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/lend"
	"github.com/coredhcp-netboot/suite/internal/live"
)

// site is one file at work: its leases and what the file says now. Both families share it.
type site struct {
	path   string
	book   *lease.Book
	store  *store.Store
	policy *live.Value[Policy]
	log    *logrus.Entry
	counts *lend.Counts
	lines  *seldom
	pings  pinger
	idle   bool // lends nothing

	noServerID sync.Once
}

// openSite loads a file and the leases that it names.
func (e *Env) openSite(path string, metrics *lend.Metrics) (*site, error) {
	p, err := Load(path)
	if err != nil {
		return nil, err
	}
	clock := e.Clock
	if clock == nil {
		if clock, err = lease.HostClock(); err != nil {
			return nil, err
		}
	}
	s := &site{path: path, log: e.Log, lines: newSeldom(clock), counts: metrics.Of(path), idle: e.OnlyFinds, pings: newEchoes()}
	if e.Looks != nil {
		if p.dir, err = e.Looks.Of(p.dir); err != nil {
			return nil, err
		}
		p.keeps, s.pings = store.Settings{}, noPings{} // nobody outside is told
	} else if err := p.missingHook().Err(); err != nil {
		return nil, err
	}
	s.store, err = store.Open(store.Config{
		Settings: p.keeps, Dir: p.dir, Clock: clock, Log: e.Log, Counts: hook.NewCounts(e.Metrics),
		Event: s.counts.Event, Wrote: s.counts.Wrote, Failed: s.counts.Failed,
	})
	if err != nil {
		return nil, err
	}
	s.book = s.store.Book
	if err := p.bind(s.book); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.policy = live.NewValue(p)
	metrics.Watch(path, s.book, func() uint64 { return s.policy.Load().size() })
	s.loaded(p)
	return s, nil
}

// reload takes the file as it is now, or keeps what was loaded before.
func (s *site) reload() error {
	return s.policy.Replace(func() (*Policy, error) {
		next, err := Load(s.path)
		if err != nil {
			return nil, err
		}
		if was := s.policy.Load().dir; next.dir != was {
			return nil, fmt.Errorf("%s: leases are kept in %s, and moving them to %s needs a restart; nothing of the file is taken until then", s.path, was, next.dir)
		}
		if was := s.policy.Load().keeps; !reflect.DeepEqual(next.keeps, was) {
			return nil, fmt.Errorf("%s: durability, hook and dhcpd-leases are taken at a start only; restart for them, nothing of the file is taken until then", s.path)
		}
		if err := next.bind(s.book); err != nil {
			return nil, err
		}
		s.loaded(next)
		return next, nil
	})
}

func (s *site) loaded(p *Policy) {
	s.log.WithFields(logrus.Fields{
		"file": s.path, "networks": len(p.networks), "addresses": p.size(), "reservations": p.reservations, "active": s.book.Stats().Active,
	}).Info("subnets loaded")
}

// close ends the use of the leases.
func (s *site) close() error { return s.store.Close() }

// sites are the files at work, by their names as the configuration has them.
type sites struct {
	mu   sync.Mutex
	open map[string]*site
}

// get is the site of a file, which is opened if it is not yet.
func (all *sites) get(path string, open func() (*site, error)) (s *site, fresh bool, err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if s = all.open[path]; s != nil {
		return s, false, nil
	}
	if s, err = open(); err != nil {
		return nil, false, err
	}
	all.open[path] = s
	return s, true, nil
}
