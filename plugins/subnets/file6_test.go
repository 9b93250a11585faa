package subnets_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// file6 is what a file says of DHCPv6, the simple way.
type file6 struct {
	shared, authoritative, rapid, byID bool
	minutes                            int64
	pools                              []pool4 // from ::first to ::last of 2001:db8:<net+1>::/64
	delegates                          [2]int  // how many prefixes of /56 each link has, 2 or 4; 0: none
	strangersDenied                    [2]bool
	machines                           []known6
}

// known6 is a machine's reservation: the last number of its address in each subnet, and which prefix it has; 0: none.
type known6 struct {
	who    int
	addrs  [2]int
	prefix int
}

func at6(net, last int) netip.Addr {
	a := netip.MustParseAddr("2001:db8::").As16()
	a[5], a[14], a[15] = byte(net+1), byte(last>>8), byte(last)
	return netip.AddrFrom16(a)
}

// part6 is the first address of the n-th prefix of /56 of a link, from 1 on; others are behind them.
func part6(net, n int) netip.Addr {
	a := netip.MustParseAddr("2001:db8:8000::").As16()
	a[4], a[6] = byte(0x80+net), byte(n-1)
	return netip.AddrFrom16(a)
}

func delegated(a netip.Addr) bool { return a.As16()[4] >= 0x80 }

func (f *file6) yaml() string {
	var b strings.Builder
	identity := "mac"
	if f.byID {
		identity = "client-id"
	}
	fmt.Fprintf(&b, "durability: relaxed\nidentity: %s\nauthoritative: %v\nrapid-commit: %v\nlease-time: %dm\nnetworks:\n", identity, f.authoritative, f.rapid, f.minutes)
	indent := "  "
	if f.shared {
		b.WriteString("  - name: both\n    subnets:\n")
		indent = "      "
	}
	for net := range 2 {
		fmt.Fprintf(&b, "%s- subnet: 2001:db8:%d::/64\n", indent, net+1)
		if f.strangersDenied[net] {
			fmt.Fprintf(&b, "%s  deny: unknown\n", indent)
		}
		fmt.Fprintf(&b, "%s  pools: [", indent)
		for _, p := range f.pools {
			if p.net == net {
				fmt.Fprintf(&b, "%q, ", at6(net, p.first).String()+"-"+at6(net, p.last).String())
			}
		}
		b.WriteString("]\n")
		if n := f.delegates[net]; n > 0 {
			fmt.Fprintf(&b, "%s  delegate: [{prefix: %s/%d, length: 56}]\n", indent, part6(net, 1), 56-n/2)
		}
	}
	if len(f.machines) > 0 {
		b.WriteString("reservations:\n")
	}
	for i, k := range f.machines {
		var more []string
		for net, last := range k.addrs {
			if last > 0 {
				more = append(more, at6(net, last).String())
			}
		}
		fmt.Fprintf(&b, "  - {name: r%d, mac: \"52:54:00:00:01:%02x\"", i, k.who)
		if len(more) > 0 {
			fmt.Fprintf(&b, ", address: [%q]", strings.Join(more, "\", \""))
		}
		if k.prefix > 0 {
			fmt.Fprintf(&b, ", prefix: %s/56", part6(0, k.prefix))
		}
		b.WriteString("}\n")
	}
	return strings.ReplaceAll(b.String(), `\"`, `"`)
}

// link is the name of one's network; a prefix is of the network that delegates it, or of none.
func (f *file6) link(net int) string {
	if f.shared {
		return "both"
	}
	return fmt.Sprint("link ", net)
}

func (f *file6) network(a netip.Addr) string {
	for net := range 2 {
		switch {
		case !delegated(a) && a.As16()[5] == byte(net+1):
			return f.link(net)
		case delegated(a) && slices.Contains(f.parts(net), a):
			return f.link(net)
		}
	}
	return "none"
}

// parts are the prefixes that a link delegates.
func (f *file6) parts(net int) (all []netip.Addr) {
	for n := 1; n <= f.delegates[net]; n++ {
		if a := part6(net, n); !slices.ContainsFunc(f.machines, func(k known6) bool { return k.prefix > 0 && part6(0, k.prefix) == a }) {
			all = append(all, a)
		}
	}
	return all
}

func (f *file6) known(who int, network string) (known bool, addr, prefix netip.Addr) {
	for _, k := range f.machines {
		if k.who != who {
			continue
		}
		known = k.addrs == [2]int{}
		for net, last := range k.addrs {
			if last > 0 && f.link(net) == network {
				known, addr = true, at6(net, last)
			}
		}
		if known && k.prefix > 0 {
			prefix = part6(0, k.prefix)
		}
	}
	return known, addr, prefix
}

func (f *file6) open(network string, known, pd bool) (pools [][]netip.Addr) {
	for net := range 2 {
		if f.link(net) != network || !known && f.strangersDenied[net] {
			continue
		}
		for _, p := range f.pools {
			if p.net != net || pd {
				continue
			}
			var all []netip.Addr
			for last := p.first; last <= p.last; last++ {
				if !slices.ContainsFunc(f.machines, func(k known6) bool { return k.addrs[net] == last }) {
					all = append(all, at6(net, last))
				}
			}
			pools = append(pools, all)
		}
		if pd && f.delegates[net] > 0 {
			pools = append(pools, f.parts(net))
		}
	}
	return pools
}
