package boot

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
)

// loaded is a policy with what it needs of this host.
type loaded struct {
	*Policy
	local6 netip.Addr // ours, for DHCPv6 clients on our own links; invalid where the map does not need it
	fixed6 bool       // local6 holds for relayed clients too

	tallies tallies
	hosts   string // the key of theirs in tallies
}

// sources are the maps of one plugin. Each is read once for all chains that name it, so that a change reaches both
// families in one step, or neither.
type sources struct {
	env    Env
	counts *counts

	mu     sync.Mutex
	byPath map[string]*source
}

// source is one map.
type source struct {
	env    Env
	counts *counts
	path   string
	value  *live.Value[loaded]
	six    bool // DHCPv6 is served by it; written and read only while a value is built
}

// open is the map at path, read now if no chain has named it yet.
func (ss *sources) open(path string, six bool) (*live.Value[loaded], error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	key, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if s := ss.byPath[key]; s != nil {
		return s.value, s.serve(six)
	}
	s := &source{env: ss.env, counts: ss.counts, path: path, six: six, value: live.NewValue(new(loaded))}
	if err := s.value.Replace(s.read); err != nil {
		return nil, err
	}
	ss.byPath[key] = s
	ss.counts.add(s.value)
	if ss.env.Reload != nil {
		ss.env.Reload.Add(path, func() error { return s.value.Replace(s.read) })
	}
	return s.value, nil
}

// read reads the map, and shows what it is warned about.
func (s *source) read() (*loaded, error) {
	policy, err := Load(s.path)
	if err != nil {
		return nil, err
	}
	l := &loaded{Policy: policy, hosts: hostsOf(s.path), tallies: s.counts.tallied(s.path, policy, s.value.Load().tallies)}
	if err := s.find6(l); err != nil {
		return nil, err
	}
	for _, w := range policy.Warnings {
		s.env.Log.Warn(w.Error())
	}
	s.env.Log.WithFields(logrus.Fields{"file": s.path, "rules": len(policy.rules), "hosts": len(policy.byMAC) + len(policy.byUUID)}).Info("boot map loaded")
	return l, nil
}

// serve has a map that was read for DHCPv4 alone serve DHCPv6 too.
func (s *source) serve(six bool) error {
	if !six {
		return nil
	}
	return s.value.Replace(func() (*loaded, error) {
		s.six = true
		next := *s.value.Load()
		err := s.find6(&next)
		s.six = err == nil
		return &next, err
	})
}

// find6 finds the address of our own that a map may need for DHCPv6 on this host.
func (s *source) find6(l *loaded) (err error) {
	switch {
	case !s.six || l.auto6 == "":
		return nil
	case s.env.Local6.IsValid():
		l.local6, l.fixed6 = s.env.Local6, true
		return nil
	}
	if l.local6, err = onlyGlobal6(s.env.Listen6); err != nil {
		return fmt.Errorf("%s: next-server is auto for DHCPv6, but %w", l.auto6, err)
	}
	return nil
}
