package boot

import "github.com/coredhcp-netboot/suite/internal/netboot"

// Counting decides for clients as a handler does, and counts.
func Counting(p *Policy) func(*netboot.Client) {
	counts := newCounts(nil)
	h := &chain{counts: counts}
	now := &loaded{Policy: p, hosts: hostsOf("boot.yml"), tallies: counts.tallied("boot.yml", p, nil)}
	return func(c *netboot.Client) {
		a, _ := p.Decide(c)
		h.tally(now, c, a.Because)
	}
}
