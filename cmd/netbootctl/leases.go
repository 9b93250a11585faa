package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/control"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
	rangeplugin "github.com/coredhcp-netboot/suite/plugins/pool"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
)

const leasesUsage = `netbootctl leases lists the leases of netboot-dhcpd, and takes back one of them. A running daemon is asked by the socket in
the leases' directory; without one the files are read, which needs no more than the right to read them.

Usage: netbootctl leases [flags]
       netbootctl leases release ADDRESS [flags]

Examples:
  netbootctl leases -c /etc/netboot/config.yml
  netbootctl leases --state active --subnet 192.0.2.0/24
  netbootctl leases --mac 52:54:00:aa:bb:01 --json
  netbootctl leases --format dhcpd > dhcpd.leases
  netbootctl leases --dir /var/lib/netboot/leases.leases
  sudo netbootctl leases release 192.0.2.117

release ends a lease, or the quarantine of an address that a client found in use. The client is not told: it goes on
using the address until it asks again, so look that it is off.

Exit status: 0, 1 if no lease is there to release, 2 for a wrong command line or leases that cannot be read. Flags:
`

// leasesFlags is what the verb leases is asked.
type leasesFlags struct {
	config, dir, format string
	asJSON              bool
	filter              leaseFilter
}

func leases(args []string, out, help io.Writer) error {
	var f leasesFlags
	fset := flag.NewFlagSet("leases", flag.ContinueOnError)
	fset.SetNormalizeFunc(daemon.FlagName)
	fset.StringVarP(&f.config, "config", "c", "", "configuration file that says where leases are (default: where netboot-dhcpd looks)")
	fset.StringVar(&f.dir, "dir", "", "directory of leases, instead of the configuration")
	f.filter.add(fset)
	fset.StringVar(&f.format, "format", "table", "table, json (an object in each line) or dhcpd (as the file dhcpd.leases, which has IPv4 alone)")
	fset.BoolVar(&f.asJSON, "json", false, "short for --format json")
	fset.SortFlags = false
	fset.Usage = func() { fmt.Fprint(help, leasesUsage+fset.FlagUsages()) }
	if err := fset.Parse(args); err != nil {
		return err
	}
	if f.asJSON {
		f.format = "json"
	}
	if !slices.Contains([]string{"table", "json", "dhcpd"}, f.format) {
		return fmt.Errorf("--format %q is unknown; use table, json or dhcpd", f.format)
	}
	if err := f.filter.understand(); err != nil {
		return err
	}
	dirs, err := f.dirs()
	if err != nil {
		return err
	}
	switch {
	case fset.NArg() == 0:
		return f.list(dirs, out)
	case fset.Arg(0) == "release" && fset.NArg() == 2:
		return release(dirs, fset.Arg(1), out, help)
	}
	return fmt.Errorf("%q is no flag; use leases, or leases release ADDRESS", fset.Arg(0))
}

// dirs are the directories that the configuration names.
func (f *leasesFlags) dirs() (dirs []string, err error) {
	if f.dir != "" {
		return []string{f.dir}, nil
	}
	path, err := server.Find(f.config)
	if err != nil {
		return nil, err
	}
	server.Quiet()
	names := []string{"boot", "subnets"}
	for _, p := range server.Stock() {
		names = append(names, p.Name)
	}
	c, err := server.Load(path, names)
	if c == nil {
		return nil, err
	}
	for _, s := range c.Sections() {
		for _, p := range s.Plugins {
			dir, err := dirOf(p.Name, p.Args, filepath.Dir(path))
			if err != nil {
				return nil, err
			}
			if dir != "" && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s: no plugin in it lends addresses; name their directory with --dir", path)
	}
	return dirs, nil
}

// dirOf is where a plugin of a configuration in base keeps leases; empty: it keeps none.
func dirOf(plugin string, args []string, base string) (string, error) {
	from := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(base, name)
	}
	switch {
	case plugin == "range" && len(args) > 0:
		return from(rangeplugin.Dir(args)), nil
	case plugin == "subnets" && len(args) == 1:
		p, err := subnets.Load(from(args[0]))
		if err != nil {
			return "", err
		}
		return p.Dir(), nil
	}
	return "", nil
}

// list shows the leases of all directories, by address.
func (f *leasesFlags) list(dirs []string, out io.Writer) error {
	var all []view.Lease
	for _, dir := range dirs {
		err := eachLease(dir, func(l view.Lease) error {
			if f.filter.takes(&l) {
				all = append(all, l)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b view.Lease) int { return a.Address.Compare(b.Address) })
	switch f.format {
	case "json":
		enc := json.NewEncoder(out)
		for _, l := range all {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return nil
	case "dhcpd":
		return writeDHCPD(out, all)
	}
	return writeTable(out, all)
}

// eachLease asks the daemon, or else reads the files.
func eachLease(dir string, each func(view.Lease) error) error {
	client, err := control.Dial(dir)
	if err == nil {
		defer client.Close()
		return client.Leases(each)
	}
	if !errors.Is(err, control.ErrNobody) {
		return unreadable(dir, err)
	}
	clock, err := lease.HostClock()
	if err != nil {
		return err
	}
	snapshot, err := lease.Look(clock, dir)
	if err != nil {
		return unreadable(dir, err)
	}
	for l := range snapshot.Leases() {
		if err := each(view.Of(l, snapshot.Wall)); err != nil {
			return err
		}
	}
	return nil
}

func unreadable(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: only the daemon's user can look at the leases; run this as that user, or as root", dir)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there are no leases yet; correct the name if the daemon ran here before", dir)
	}
	return fmt.Errorf("%s: %w", dir, err)
}

var errNothingToRelease = errors.New("no lease to release")

// release ends the lease of an address in whichever of the directories has it.
func release(dirs []string, word string, out, help io.Writer) error {
	a, err := netip.ParseAddr(word)
	if err != nil {
		return fmt.Errorf("release: %q is no address; write one like 192.0.2.117", word)
	}
	for _, dir := range dirs {
		err := releaseIn(dir, a)
		if errors.Is(err, errNothingToRelease) {
			continue
		}
		if err == nil {
			fmt.Fprintf(out, "%s is free\n", a)
		}
		return err
	}
	fmt.Fprintf(help, "%s has no lease, and is in no quarantine\n", a)
	return errFound
}

func releaseIn(dir string, a netip.Addr) error {
	var has bool
	if err := eachLease(dir, func(l view.Lease) error {
		has = has || l.Address == a && l.State != lease.Free.String()
		return nil
	}); err != nil {
		return err
	}
	if !has {
		return errNothingToRelease
	}
	client, err := control.Dial(dir)
	switch {
	case err == nil:
		defer client.Close()
		return client.Release(a)
	case !errors.Is(err, control.ErrNobody):
		return unreadable(dir, err)
	}
	book, closeBook, err := store.Mend(dir)
	if err != nil {
		return err
	}
	freed, err := control.Free(context.Background(), book, a)
	if err = errors.Join(err, closeBook()); err == nil && !freed {
		err = errNothingToRelease
	}
	return err
}
