package store_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/control"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// site is an open store with a pool.
type site struct {
	*store.Store
	t    *testing.T
	pool *lease.Pool
	dir  string
}

var addrs = lease.Range{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.109")}

func open(t *testing.T, dir string, set store.Settings) *site {
	t.Helper()
	log := logrus.New()
	log.SetOutput(new(bytes.Buffer))
	s, err := store.Open(store.Config{Dir: dir, Settings: set, Log: logrus.NewEntry(log), Counts: hook.NewCounts(nil)})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := s.NewPool(addrs)
	if err != nil {
		t.Fatal(err)
	}
	return &site{s, t, pool, dir}
}

// leases is a whole exchange.
func (s *site) leases(owner string, d time.Duration) netip.Addr {
	s.t.Helper()
	written := make(chan error, 1)
	a, err := s.Offer(owner, netip.Addr{}, s.pool)
	if err == nil {
		_, err = s.Commit(lease.Client{Owner: owner, MAC: owner}, a, d, func(err error) { written <- err }, s.pool)
	}
	if err == nil {
		err = <-written
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *site) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func dial(t *testing.T, dir string) *control.Client {
	t.Helper()
	c, err := control.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func listed(t *testing.T, c *control.Client) (all []view.Lease) {
	t.Helper()
	if err := c.Leases(func(l view.Lease) error { all = append(all, l); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

const dell, pi = "\x52\x54\x00\xaa\xbb\x01", "\x52\x54\x00\xaa\xbb\x02"

// The path of the directory is longer than a socket's may be.
func TestTheOperatorLooksAndReleasesBesideTheRunningDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	s := open(t, dir, store.Settings{})
	a := s.leases(dell, time.Hour)
	s.leases(pi, time.Hour)
	c := dial(t, dir)
	all := listed(t, c)
	if len(all) != 2 || all[0].Address != a || all[0].MAC != "52:54:00:aa:bb:01" || all[0].State != "active" {
		t.Fatalf("%+v", all)
	}
	if left := time.Until(all[0].Ends); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("it ends in %s", left)
	}
	if err := c.Release(a); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(a); err == nil || !strings.Contains(err.Error(), "has no lease") {
		t.Errorf("twice: %v", err)
	}
	if all = listed(t, c); all[0].State != "free" {
		t.Errorf("%+v", all)
	}
	info, err := os.Stat(filepath.Join(dir, "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s.close()
	if _, err := control.Dial(dir); !errors.Is(err, control.ErrNobody) {
		t.Errorf("%v", err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*.sock")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %s, %v", names, err)
	}
}

func TestWithoutADaemonTheFilesAreRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	s := open(t, dir, store.Settings{})
	a := s.leases(dell, time.Hour)
	clock, err := lease.HostClock()
	if err != nil {
		t.Fatal(err)
	}
	look := func() (all []lease.Lease) {
		t.Helper()
		snapshot, err := lease.Look(clock, dir)
		if err != nil {
			t.Fatal(err)
		}
		for l := range snapshot.Leases() {
			all = append(all, l)
			if left := time.Until(snapshot.Wall(l.End)); l.State == lease.Active && (left < 59*time.Minute || left > 61*time.Minute) {
				t.Errorf("it ends in %s", left)
			}
		}
		return all
	}
	if all := look(); len(all) != 1 || all[0].Addr != a {
		t.Errorf("beside the daemon: %+v", all)
	}
	if _, _, err := store.Mend(dir); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("beside the daemon: %v", err)
	}
	s.close()
	book, end, err := store.Mend(dir)
	if err != nil {
		t.Fatal(err)
	}
	if freed, err := control.Free(t.Context(), book, a); !freed || err != nil {
		t.Errorf("%v, %v", freed, err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if all := look(); len(all) != 1 || all[0].State != lease.Free {
		t.Errorf("%+v", all)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}

	damage(t, dir)
	var damaged *journal.DamagedError
	if _, err := lease.Look(clock, dir); !errors.As(err, &damaged) {
		t.Errorf("%v", err)
	}
	if _, err := lease.Look(clock, t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// damage changes a bit of the only journal in a directory.
func damage(t *testing.T, dir string) {
	t.Helper()
	name, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(name) != 1 {
		t.Fatal(name, err)
	}
	b, err := os.ReadFile(name[0])
	if err != nil {
		t.Fatal(err)
	}
	b[40] ^= 1
	if err := os.WriteFile(name[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// No request comes after the lease: its end is told all the same.
func TestTheCopyAndTheHookFollowALeaseFromItsBeginningToItsEnd(t *testing.T) {
	dir := t.TempDir()
	program, told, file := filepath.Join(dir, "on-lease"), filepath.Join(dir, "told"), filepath.Join(dir, "dhcpd.leases")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho $LEASE_EVENT $LEASE_ADDRESS >>"+told+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := hook.Parse(program)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "leases"), store.Settings{Hook: h, DHCPDLeases: file})
	s.leases(dell, time.Second)
	until(t, "the hook has heard of the end", func() bool {
		b, _ := os.ReadFile(told)
		return string(b) == "leased 192.0.2.100\nexpired 192.0.2.100\n"
	})
	until(t, "the copy has the end", func() bool {
		b, _ := os.ReadFile(file)
		last := string(b)[strings.LastIndex(string(b), "lease "):]
		return strings.Count(string(b), "lease 192.0.2.100 {") == 2 && strings.Contains(last, "binding state free;") && strings.HasSuffix(last, "}\n")
	})
	s.close()
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

// Many look while many lease.
func TestWhoLooksIsNotInTheWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	s := open(t, dir, store.Settings{Durability: store.Relaxed})
	c := dial(t, dir)
	var all sync.WaitGroup
	for n := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 50 {
				s.leases(string([]byte{0x52, 0x54, 0, 0, 0, byte(n)}), time.Hour)
				if err := c.Leases(func(view.Lease) error { return nil }); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	s.close()
}

func TestWordsOfDurability(t *testing.T) {
	for word, want := range map[string]store.Durability{"strict": store.Strict, "relaxed": store.Relaxed} {
		if d, err := store.ParseDurability(word); err != nil || d != want {
			t.Errorf("%s: %v, %v", word, d, err)
		}
	}
	if _, err := store.ParseDurability("none"); err == nil || !strings.Contains(err.Error(), "use strict or relaxed") {
		t.Error(err)
	}
}

// Nobody asked the server for it, so that nothing else tells why a lease ended.
func TestWhatTheToolTakesBackIsLogged(t *testing.T) {
	dir := t.TempDir()
	log, told := logtest.NewNullLogger()
	s, err := store.Open(store.Config{Dir: dir, Log: logrus.NewEntry(log), Counts: hook.NewCounts(nil)})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := s.NewPool(addrs)
	if err != nil {
		t.Fatal(err)
	}
	lab := &site{s, t, pool, dir}
	defer lab.close()
	a := lab.leases("lab-pi", time.Hour)
	c := dial(t, dir)
	for range 2 { // the second finds nothing
		_ = c.Release(a)
	}
	if all := told.AllEntries(); len(all) != 1 || all[0].Message != "released" || all[0].Data["ip"] != a || all[0].Data["because"] != "netbootctl took it back" {
		t.Errorf("%v", all)
	}
}
