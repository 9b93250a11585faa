package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/dhcpdleases"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// leaseFilter is which leases are shown: those that all of it fits.
type leaseFilter struct {
	subnet, pool, state, mac, address, owner string

	prefix      netip.Prefix
	first, last netip.Addr
	only        netip.Addr
}

func (f *leaseFilter) add(fs *flag.FlagSet) {
	fs.StringVar(&f.subnet, "subnet", "", "only addresses of this network, like 192.0.2.0/24")
	fs.StringVar(&f.pool, "pool", "", "only addresses from the first to the last of these, like 192.0.2.100-192.0.2.199")
	fs.StringVar(&f.state, "state", "", "only active, free (was lent before) or abandoned (found in use)")
	fs.StringVar(&f.mac, "mac", "", "only this hardware address, in any notation")
	fs.StringVar(&f.address, "address", "", "only this address")
	fs.StringVar(&f.owner, "owner", "", "only this identity, as the list shows it in JSON")
}

// understand reads the words. Every wrong one is told.
func (f *leaseFilter) understand() error {
	var errs []error
	wrong := func(text string, args ...any) { errs = append(errs, fmt.Errorf(text, args...)) }
	var err error
	if f.subnet != "" {
		if f.prefix, err = netip.ParsePrefix(f.subnet); err != nil {
			wrong("--subnet %q is no network; write one like 192.0.2.0/24", f.subnet)
		}
	}
	if f.pool != "" {
		first, last, _ := strings.Cut(f.pool, "-")
		var err2 error
		f.first, err = netip.ParseAddr(first)
		if f.last, err2 = netip.ParseAddr(last); err != nil || err2 != nil {
			wrong("--pool %q is no range; write one like 192.0.2.100-192.0.2.199", f.pool)
		}
	}
	if f.address != "" {
		if f.only, err = netip.ParseAddr(f.address); err != nil {
			wrong("--address %q is no address; write one like 192.0.2.117", f.address)
		}
	}
	switch f.state {
	case "", lease.Active.String(), lease.Free.String(), lease.Abandoned.String():
	default:
		wrong("--state %q is unknown; use active, free or abandoned", f.state)
	}
	for _, word := range []struct {
		flag string
		text *string
	}{{"--mac", &f.mac}, {"--owner", &f.owner}} {
		b, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "", ".", "").Replace(*word.text))
		if err != nil {
			wrong("%s %q is not in hex; write it like 52:54:00:aa:bb:01", word.flag, *word.text)
		}
		*word.text = view.Hex(string(b))
	}
	return errors.Join(errs...)
}

func (f *leaseFilter) takes(l *view.Lease) bool {
	a := l.Address
	return (!f.prefix.IsValid() || f.prefix.Contains(a)) &&
		(!f.first.IsValid() || f.first.BitLen() == a.BitLen() && !a.Less(f.first) && !f.last.Less(a)) &&
		(!f.only.IsValid() || a == f.only) && (f.state == "" || l.State == f.state) &&
		(f.mac == "" || l.MAC == f.mac) && (f.owner == "" || l.Owner == f.owner)
}

func writeTable(out io.Writer, all []view.Lease) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tSTATE\tMAC\tENDS\tHOSTNAME")
	for _, l := range all {
		unit := l.Prefix
		if unit == "" {
			unit = l.Address.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", unit, l.State, dash(l.MAC), l.Ends.Local().Format(time.DateTime), dash(l.Hostname))
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func writeDHCPD(out io.Writer, all []view.Lease) error {
	b := []byte(dhcpdleases.Head)
	for _, l := range all {
		b = dhcpdleases.Append(b, l)
	}
	_, err := out.Write(b)
	return err
}
