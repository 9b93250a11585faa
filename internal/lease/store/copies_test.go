package store_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// copies are made below a directory, and what was told of the last one.
func copies(t *testing.T) (store.Copies, *store.Copied) {
	told := new(store.Copied)
	return store.Copies{Scratch: t.TempDir(), Told: func(c store.Copied) { *told = c }}, told
}

func TestACopyMadeBesideTheDaemonHasAllThatClientsWereTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	s := open(t, dir, store.Settings{})
	defer s.close()
	var writing sync.WaitGroup
	defer writing.Wait()
	ended := make(chan struct{})
	defer close(ended)
	writing.Add(1)
	go func() { // until ended
		defer writing.Done()
		for {
			select {
			case <-ended:
				return
			default:
				s.leases(pi, time.Hour)
			}
		}
	}()
	looks, told := copies(t)
	for n := range 9 {
		owner := "machine-" + strconv.Itoa(n)
		a := s.leases(owner, time.Hour)
		copied, err := looks.Of(dir)
		if err != nil || told.Of != dir || told.Err != nil {
			t.Fatal(told, err)
		}
		other := open(t, copied, store.Settings{}) // it is no one's but ours
		if l, known := other.Lease(a); !known || l.Owner != owner || l.State != lease.Active {
			t.Errorf("%s: %+v", a, l)
		}
		other.close()
	}
}

func TestWhereThereAreNoLeasesTheCopyHasNone(t *testing.T) {
	looks, told := copies(t)
	dir := t.TempDir()
	for _, missing := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := looks.Of(missing); err != nil || !errors.Is(told.Err, fs.ErrNotExist) {
			t.Error(told, err)
		}
	}
	s := open(t, filepath.Join(dir, "leases"), store.Settings{})
	s.leases(dell, time.Hour)
	s.close()
	damage(t, filepath.Join(dir, "leases"))
	copied, err := looks.Of(filepath.Join(dir, "leases"))
	var damaged *journal.DamagedError
	if err != nil || !errors.As(told.Err, &damaged) {
		t.Error(told, err)
	}
	open(t, copied, store.Settings{}).close() // and what is damaged is not there
}
