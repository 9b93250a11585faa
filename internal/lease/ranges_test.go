package lease_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

func TestRangesAreCountedInTheirUnitsAndTheCountSaturates(t *testing.T) {
	at := netip.MustParseAddr
	for _, c := range []struct {
		r    lease.Range
		want uint64
	}{
		{lease.Range{First: at("192.0.2.1"), Last: at("192.0.2.1")}, 1},
		{lease.Range{First: at("10.0.0.0"), Last: at("10.255.255.255")}, 1 << 24},
		{lease.Range{First: at("2001:db8::ffff:ffff:ffff:fff0"), Last: at("2001:db8:0:1::f")}, 32},
		{lease.Range{First: at("2001:db8::"), Last: at("2001:db8::ffff:ffff:ffff:fffe")}, math.MaxUint64},
		{lease.Range{First: at("2001:db8::"), Last: at("2001:db8::ffff:ffff:ffff:ffff")}, math.MaxUint64},
		{lease.Range{First: at("::"), Last: at("ffff::")}, math.MaxUint64},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/40"), 56), 1 << 16},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/56"), 56), 1},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/40"), 80), 1 << 40},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/64"), 64), 1},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/32"), 120), math.MaxUint64},
		{lease.Prefixes(netip.MustParsePrefix("10.0.0.0/8"), 24), 1 << 16},
	} {
		if got := c.r.Size(); got != c.want {
			t.Errorf("%s has %d, want %d", c.r, got, c.want)
		}
	}
}

func TestAUnitIsFoundByItsNumberAndTheNextOneByAnyOfItsAddresses(t *testing.T) {
	at := netip.MustParseAddr
	for _, c := range []struct {
		of   string
		bits int
		n    uint64
		want string
		next string // invalid: there is none
	}{
		{"10.0.0.0/8", 0, 300, "10.0.1.44", "10.0.1.45"},
		{"10.0.0.0/8", 24, 300, "10.1.44.0", "10.1.45.0"},
		{"2001:db8::/64", 0, 1 << 63, "2001:db8::8000:0:0:0", "2001:db8::8000:0:0:1"},
		{"2001:db8::/64", 0, math.MaxUint64 - 1, "2001:db8::ffff:ffff:ffff:fffe", "2001:db8::ffff:ffff:ffff:ffff"},
		{"2001:db8::/48", 0, math.MaxUint64 - 1, "2001:db8::ffff:ffff:ffff:fffe", "2001:db8::ffff:ffff:ffff:ffff"},
		{"2001:db8::/40", 56, 0x102, "2001:db8:1:200::", "2001:db8:1:300::"},
		{"2001:db8::/40", 56, 0xffff, "2001:db8:ff:ff00::", ""},
		{"2001:db8::/40", 64, 0x10203, "2001:db8:1:203::", "2001:db8:1:204::"},
		{"2001:db8::/60", 72, 0xfff, "2001:db8:0:f:ff00::", ""},
		{"2001:db8::/60", 72, 0x102, "2001:db8:0:1:200::", "2001:db8:0:1:300::"},
		{"::/1", 1, 0, "::", ""},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", 0, 1, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
	} {
		r := lease.Prefixes(netip.MustParsePrefix(c.of), c.bits)
		if c.bits == 0 {
			r = lease.Addresses(netip.MustParsePrefix(c.of))
		}
		got := lease.At(r, c.n)
		if got != at(c.want) {
			t.Errorf("%s: number %d is %s, want %s", r, c.n, got, c.want)
		}
		next := lease.After(r, got)
		if next.IsValid() != (c.next != "") || next.IsValid() && next != at(c.next) {
			t.Errorf("%s: behind %s comes %s, want %s", r, got, next, c.next)
		}
		if c.bits > 0 {
			if within := lease.After(r, got.Next()); within != next {
				t.Errorf("%s: behind %s comes %s, want %s", r, got.Next(), within, next)
			}
		}
	}
}

func TestARangeWithoutAPrefixHasNoUnitThatOverlapsIt(t *testing.T) {
	for _, c := range []struct {
		r       lease.Range
		without string
		want    []string
	}{
		{lease.Addresses(netip.MustParsePrefix("2001:db8::/64")), "2001:db8::/128", []string{"2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"}},
		{lease.Addresses(netip.MustParsePrefix("2001:db8::/64")), "2001:db8::fdff:ffff:ffff:ff80/121",
			[]string{"2001:db8::-2001:db8::fdff:ffff:ffff:ff7f", "2001:db8:0:0:fe00::-2001:db8::ffff:ffff:ffff:ffff"}},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/40"), 56), "2001:db8:1::/48", []string{"2001:db8::-2001:db8:0:ff00::/56", "2001:db8:2::-2001:db8:ff:ff00::/56"}},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/40"), 56), "2001:db8:1:280::/60", []string{"2001:db8::-2001:db8:1:100::/56", "2001:db8:1:300::-2001:db8:ff:ff00::/56"}},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/55"), 56), "2001:db8:0:80::/60", []string{"2001:db8:0:100::-2001:db8:0:100::/56"}},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/55"), 56), "2001:db8:0:1ff::/64", []string{"2001:db8::-2001:db8::/56"}},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/55"), 56), "2001:db8::/40", nil},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/55"), 56), "2001:db9::/40", []string{"2001:db8::-2001:db8:0:100::/56"}},
		{lease.Prefixes(netip.MustParsePrefix("2001:db8::/55"), 56), "10.0.0.0/8", []string{"2001:db8::-2001:db8:0:100::/56"}},
	} {
		got := c.r.Without(netip.MustParsePrefix(c.without))
		var texts []string
		for _, r := range got {
			texts = append(texts, r.String())
		}
		if !slices.Equal(texts, c.want) {
			t.Errorf("%s without %s is %q, want %q", c.r, c.without, texts, c.want)
		}
	}
}
