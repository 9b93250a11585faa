package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// settings are the plugin's arguments.
type settings struct {
	file  string // of stock range; leases are kept beside it
	addrs lease.Range
	time  time.Duration // of a lease
	store store.Settings
}

// dir is where the leases are kept.
func (s *settings) dir() string { return s.file + ".leases" }

// Dir is the directory in which the plugin keeps the leases, by its arguments; empty: they name none.
func Dir(args []string) string {
	if len(args) == 0 {
		return ""
	}
	s := settings{file: fileOf(args[0])}
	return s.dir()
}

// Private is the plugin's arguments without what reaches beyond the leases' directory: no hook runs, and no copy is written.
// Mistakes in what is left out are told.
func Private(args []string) ([]string, error) {
	var kept []string
	var errs []error
	for i, word := range args {
		if i < 4 || !strings.HasPrefix(word, "hook=") && !strings.HasPrefix(word, "dhcpd-leases=") {
			kept = append(kept, word)
			continue
		}
		errs = append(errs, new(settings).option(word))
	}
	return kept, errors.Join(errs...)
}

// fileOf is the file's name as SQLite reads it, to which the stock plugin gives it.
func fileOf(word string) string {
	file, _, _ := strings.Cut(strings.TrimPrefix(word, "file:"), "?")
	return file
}

// maxAddrs bounds a pool: its offers and leases are kept in memory.
const maxAddrs = 1 << 24

// maxTime is the longest lease that option 51 can tell and that has an end.
const maxTime = (1<<32 - 2) * time.Second

// parse reads FILE START END LEASETIME, and what may follow. All mistakes are told at once.
func parse(args []string) (*settings, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("takes 4 words, but has %d; write a file, the first and the last address, and the lease time, like `- range: leases.sqlite3 192.0.2.100 192.0.2.199 1h`", len(args))
	}
	var errs []error
	fail := func(format string, v ...any) { errs = append(errs, fmt.Errorf(format, v...)) }
	s := new(settings)
	s.file = fileOf(args[0])
	if s.file == "" || s.file == ":memory:" {
		fail("%q names no file; name one for the leases", args[0])
	}
	var err error
	for i, a := range []*netip.Addr{&s.addrs.First, &s.addrs.Last} {
		if *a, err = netip.ParseAddr(args[1+i]); err != nil || !a.Is4() {
			fail("%q is no IPv4 address; write one like 192.0.2.100", args[1+i])
			*a = netip.Addr{}
		}
	}
	if s.addrs.First.IsValid() && s.addrs.Last.IsValid() {
		if s.addrs.Last.Less(s.addrs.First) {
			fail("the first address, %s, comes after the last, %s; exchange them", s.addrs.First, s.addrs.Last)
		} else if n := s.addrs.Size(); n > maxAddrs {
			fail("%s to %s are %d addresses; a pool can have %d", s.addrs.First, s.addrs.Last, n, maxAddrs)
		}
	}
	if s.time, err = time.ParseDuration(args[3]); err != nil || s.time < time.Second || s.time > maxTime {
		fail("%q is no lease time; write one like 1h or 10m", args[3])
	}
	for _, word := range args[4:] {
		if err := s.option(word); err != nil {
			errs = append(errs, err)
		}
	}
	return s, errors.Join(errs...)
}

// option reads a word that stock range does not have.
func (s *settings) option(word string) (err error) {
	name, value, found := strings.Cut(word, "=")
	switch {
	case !found || value == "":
		return fmt.Errorf("%q is too much; behind the lease time can stand durability=relaxed, hook=PROGRAM and dhcpd-leases=PATH", word)
	case name == "durability":
		s.store.Durability, err = store.ParseDurability(value)
	case name == "hook":
		s.store.Hook, err = hook.Parse(value)
	case name == "dhcpd-leases":
		s.store.DHCPDLeases = value
	default:
		err = fmt.Errorf("%q is unknown; use durability, hook or dhcpd-leases", name)
	}
	return err
}
