package lease

import (
	"net/netip"
	"slices"
)

// cover is a set of prefixes that finds those which another one overlaps. Of two prefixes that overlap one contains the
// other.
type cover struct {
	all     map[netip.Prefix]bool
	lengths []int          // that any of them has
	sorted  []netip.Prefix // by first address
}

func coverOf(prefixes []netip.Prefix) (c cover) {
	c.all = make(map[netip.Prefix]bool, len(prefixes))
	c.sorted = prefixes
	slices.SortFunc(c.sorted, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	for _, p := range prefixes {
		c.all[p] = true
		if !slices.Contains(c.lengths, p.Bits()) {
			c.lengths = append(c.lengths, p.Bits())
		}
	}
	return c
}

// add puts one more in, which takes a time that grows with the set.
func (c *cover) add(p netip.Prefix) {
	if !c.all[p] {
		*c = coverOf(append(c.sorted, p))
	}
}

// over finds a prefix that overlaps u and counts.
func (c *cover) over(u netip.Prefix, counts func(netip.Prefix) bool) (netip.Prefix, bool) {
	for _, n := range c.lengths {
		if n > u.Bits() {
			continue
		}
		if around := netip.PrefixFrom(u.Addr(), n).Masked(); c.all[around] && counts(around) {
			return around, true
		}
	}
	from, _ := slices.BinarySearchFunc(c.sorted, u.Addr(), func(p netip.Prefix, a netip.Addr) int { return p.Addr().Compare(a) })
	for _, p := range c.sorted[from:] {
		if !u.Contains(p.Addr()) {
			break
		}
		if p.Bits() > u.Bits() && counts(p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
