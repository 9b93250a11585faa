package subnets

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// The leaves of the file. Each reads itself from text; conf adds where it stood.

// identity is by what one machine is known.
type identity struct{ clientID bool }

func (i *identity) UnmarshalText(b []byte) error {
	switch string(b) {
	case "mac":
	case "client-id":
		i.clientID = true
	default:
		return fmt.Errorf("identity %q is unknown; use mac (one machine has one address), or client-id", b)
	}
	return nil
}

// text may be empty.
type text struct{ string }

func (t *text) UnmarshalText(b []byte) error { t.string = string(b); return nil }

// ip is an address that one host can have.
type ip struct{ netip.Addr }

func (a *ip) UnmarshalText(b []byte) (err error) {
	if a.Addr, err = netip.ParseAddr(string(b)); err != nil {
		return fmt.Errorf("%q is not an IP address; write it like 192.0.2.9", b)
	}
	if a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
		a.Addr = netip.Addr{}
		return fmt.Errorf("%s is no address that a machine can have", b)
	}
	return nil
}

type address4 struct{ netip.Addr }

func (a *address4) UnmarshalText(b []byte) (err error) {
	if a.Addr, err = netip.ParseAddr(string(b)); err != nil || !a.Is4() {
		return fmt.Errorf("%q is not an IPv4 address; write it like 192.0.2.9 (clients get no names here)", b)
	}
	return nil
}

// prefix is a subnet.
type prefix struct{ netip.Prefix }

func (p *prefix) UnmarshalText(b []byte) (err error) {
	if p.Prefix, err = netip.ParsePrefix(string(b)); err != nil {
		return fmt.Errorf("%q is not a subnet; write it like 192.0.2.0/24", b)
	}
	if p.Addr().Is4In6() {
		return fmt.Errorf("%s is an IPv4 subnet in the form of IPv6; write it like 192.0.2.0/24", p.Prefix)
	}
	if p.Addr().IsMulticast() || p.Addr().IsLoopback() {
		return fmt.Errorf("no machine has an address of %s; write the subnet of a link, like 192.0.2.0/24", p.Prefix)
	}
	if p.Prefix != p.Masked() {
		return fmt.Errorf("%s has bits set behind its /%d; did you mean %s?", p.Prefix, p.Bits(), p.Masked())
	}
	return nil
}

// addrs is a range of addresses: "192.0.2.100-192.0.2.199", "192.0.2.100 - 192.0.2.199", or a single one.
type addrs struct{ lease.Range }

func (r *addrs) UnmarshalText(b []byte) error {
	if p, err := netip.ParsePrefix(string(b)); err == nil && p.Addr().Is6() && p == p.Masked() {
		r.Range = lease.Addresses(p)
		return nil
	}
	first, last, several := strings.Cut(string(b), "-")
	if !several {
		last = first
	}
	var errFirst, errLast error
	r.First, errFirst = netip.ParseAddr(strings.TrimSpace(first))
	r.Last, errLast = netip.ParseAddr(strings.TrimSpace(last))
	switch {
	case errFirst != nil || errLast != nil || r.First.Zone()+r.Last.Zone() != "" || r.First.Is4In6() || r.Last.Is4In6():
		*r = addrs{}
		return fmt.Errorf("%q is not a range; write it like 192.0.2.100-192.0.2.199", b)
	case r.First.BitLen() != r.Last.BitLen():
		*r = addrs{}
		return fmt.Errorf("%q begins in one family and ends in the other; write it like 192.0.2.100-192.0.2.199", b)
	case r.Last.Less(r.First):
		wrong := r.Range
		*r = addrs{} // what else is wrong with it is a consequence
		return fmt.Errorf("the first address, %s, comes after the last, %s; exchange them", wrong.First, wrong.Last)
	}
	return nil
}

type mac struct{ netboot.MAC }

func (m *mac) UnmarshalText(b []byte) (err error) {
	m.MAC, err = netboot.ParseMAC(string(b))
	if err == nil && !m.Known() {
		return fmt.Errorf("%s is no machine's address, but what firmware without one sends; write the machine's own", b)
	}
	return err
}

// octets are any bytes: hex like 01:52:54:00 or 0x0152, or else the text itself.
type octets struct{ string }

func (o *octets) UnmarshalText(b []byte) error {
	s := string(b)
	digits, isHex := strings.CutPrefix(s, "0x")
	if !isHex && strings.Contains(s, ":") {
		isHex = true
		var parts []string
		for _, part := range strings.Split(s, ":") {
			if len(part) == 1 {
				part = "0" + part
			}
			isHex = isHex && len(part) == 2
			parts = append(parts, part)
		}
		digits = strings.Join(parts, "")
	}
	raw, err := hex.DecodeString(digits)
	switch {
	case isHex && err == nil:
		o.string = string(raw)
	case strings.HasPrefix(s, "0x"):
		return fmt.Errorf("%q begins like hex bytes but is none; write an even number of hex digits behind 0x", s)
	default:
		o.string = s
	}
	if n := len(o.string); n == 0 || n > lease.MaxField {
		return fmt.Errorf("must have 1 to %d bytes, not %d", lease.MaxField, n)
	}
	return nil
}

// duid is a client's DUID: a type of two bytes, and up to 128 more (RFC 8415 section 11.1).
type duid struct{ octets }

func (d *duid) UnmarshalText(b []byte) error {
	if err := d.octets.UnmarshalText(b); err != nil {
		return err
	}
	if n := len(d.string); d.string == string(b) || n < 3 || n > 130 {
		d.string = ""
		return fmt.Errorf("%q is no DUID; write its 3 to 130 bytes like 00:03:00:01:52:54:00:aa:bb:02", b)
	}
	return nil
}

// forever is a lease without an end (RFC 2131 section 3.3).
const forever = (1<<32 - 1) * time.Second

// duration is for how long something is lent.
type duration struct{ time.Duration }

func (d *duration) UnmarshalText(b []byte) (err error) {
	s := string(b)
	if s == "forever" {
		d.Duration = forever
		return nil
	}
	if days, isDays := strings.CutSuffix(s, "d"); isDays {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil && n > 0 {
			d.Duration = time.Duration(n) * 24 * time.Hour
			return nil
		}
	}
	if d.Duration, err = time.ParseDuration(s); err != nil || d.Duration < time.Second || d.Duration >= forever {
		return fmt.Errorf("%q is no lease time; write one like 10m, 12h, 7d or forever", s)
	}
	d.Duration = d.Truncate(time.Second)
	return nil
}
