package subnets_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// file4 is what a file says, the simple way.
type file4 struct {
	shared, authoritative bool // shared: both subnets are one network
	minutes               int64
	pools                 []pool4
	strangersDenied       [2]bool
	machines              []known4
}

// pool4 is addresses from first to last of 10.1.<net>.0/24.
type pool4 struct {
	net, first, last int
	allow, deny      string
}

// known4 is a reservation of one or more machines, and its last octet in each subnet; 0: none.
type known4 struct {
	who   []int
	addrs [2]int
}

func at4(net, last int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(net + 1), byte(last)}) }

func (f *file4) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "durability: relaxed\nauthoritative: %v\nlease-time: %dm\n", f.authoritative, f.minutes)
	b.WriteString("classes: [{name: pxe, when: exists vendor-class-identifier}]\nnetworks:\n")
	indent := "  "
	if f.shared {
		b.WriteString("  - name: both\n    subnets:\n")
		indent = "      "
	}
	for net := range 2 {
		fmt.Fprintf(&b, "%s- subnet: 10.1.%d.0/24\n", indent, net+1)
		if f.strangersDenied[net] {
			fmt.Fprintf(&b, "%s  deny: unknown\n", indent)
		}
		fmt.Fprintf(&b, "%s  pools: [", indent)
		for _, p := range f.pools {
			if p.net != net {
				continue
			}
			fmt.Fprintf(&b, "{range: %s-%s", at4(net, p.first), at4(net, p.last))
			for word, class := range map[string]string{"allow": p.allow, "deny": p.deny} {
				if class != "" {
					fmt.Fprintf(&b, ", %s: %s", word, class)
				}
			}
			b.WriteString("}, ")
		}
		b.WriteString("]\n")
	}
	if len(f.machines) > 0 {
		b.WriteString("reservations:\n")
	}
	for i, k := range f.machines {
		var macs, addrs []string
		for _, n := range k.who {
			macs = append(macs, fmt.Sprintf("\"52:54:00:aa:00:%02x\"", n))
		}
		for net, last := range k.addrs {
			if last > 0 {
				addrs = append(addrs, at4(net, last).String())
			}
		}
		fmt.Fprintf(&b, "  - {name: r%d, mac: [%s]", i, strings.Join(macs, ", "))
		if len(addrs) > 0 {
			fmt.Fprintf(&b, ", address: [%s]", strings.Join(addrs, ", "))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// network of an address, by name.
func (f *file4) network(a netip.Addr) string {
	if f.shared {
		return "both"
	}
	return netip.PrefixFrom(a, 24).Masked().String()
}

func (f *file4) reserves(a netip.Addr) bool {
	return slices.ContainsFunc(f.machines, func(k known4) bool {
		return k.addrs[0] > 0 && at4(0, k.addrs[0]) == a || k.addrs[1] > 0 && at4(1, k.addrs[1]) == a
	})
}

// known is a machine's reservation as far as it holds in a network, and its address there. One whose addresses are all
// elsewhere does not.
func (f *file4) known(who int, network string) (of *known4, own netip.Addr) {
	for i := range f.machines {
		k := &f.machines[i]
		if !slices.Contains(k.who, who) {
			continue
		}
		for net, last := range k.addrs {
			if a := at4(net, last); last > 0 && f.network(a) == network {
				return k, a
			}
		}
		if k.addrs == [2]int{} {
			return k, own
		}
	}
	return nil, own
}

// open are the addresses of each pool of a network that a machine may have.
func (f *file4) open(network string, known, pxe bool) (pools [][]netip.Addr) {
	is := map[string]bool{"pxe": pxe, "known": known, "unknown": !known}
	for net := range 2 {
		for _, p := range f.pools {
			if p.net != net || f.network(at4(net, 0)) != network || is[p.deny] || p.allow != "" && !is[p.allow] || !known && f.strangersDenied[net] {
				continue
			}
			var all []netip.Addr
			for last := p.first; last <= p.last; last++ {
				if a := at4(net, last); !f.reserves(a) {
					all = append(all, a)
				}
			}
			pools = append(pools, all)
		}
	}
	return pools
}

// server4 foretells the answers.
type server4 struct {
	*file4
	*ledger
}

// asked is a request.
type asked struct {
	who     int
	network string
	stage   string // the client identifier, which changes from ROM to system
	pxe     bool
	wants   netip.Addr
	other   bool // it has chosen another server
}

func owner4(who int) string { return fmt.Sprint("machine ", who) }

// own is the address that is reserved for a machine; mine: it may have it, since nobody has it or another of its cards has.
func (s *server4) own(q asked) (a netip.Addr, mine bool, holder string) {
	k, a := s.known(q.who, q.network)
	if !a.IsValid() {
		return a, false, ""
	}
	state, of := s.state(a)
	switch {
	case state == lease.Abandoned:
		return a, false, ""
	case state == lease.Active && of != owner4(q.who):
		for _, n := range k.who {
			if of == owner4(n) {
				return a, true, of
			}
		}
		return a, false, ""
	}
	return a, true, ""
}

func words(kind string, a netip.Addr, seconds int64) string {
	return fmt.Sprintf("%s %s for %d", kind, a, seconds)
}

func (s *server4) discover(q asked) (netip.Addr, string) {
	own, mine, holder := s.own(q)
	known, _ := s.known(q.who, q.network)
	a := own
	if holder == "" {
		a = netip.Addr{}
		if mine {
			a = s.offersOwn(owner4(q.who), q.network, own)
		}
		if !a.IsValid() {
			a = s.makesOffer(owner4(q.who), q.network, q.wants, s.open(q.network, known != nil, q.pxe)...)
		}
	}
	if !a.IsValid() {
		return a, "silence"
	}
	return a, words("OFFER", a, s.minutes*60)
}

func (s *server4) request(q asked) string {
	known, _ := s.known(q.who, q.network)
	own, mine, holder := s.own(q)
	pools := s.open(q.network, known != nil, q.pxe)
	reserved := mine && own == q.wants
	switch state, of := s.state(q.wants); {
	case q.other:
		s.withdraw(owner4(q.who), q.network)
		return "silence"
	case !q.wants.IsValid():
		return "silence"
	case s.network(q.wants) != q.network:
		if s.authoritative {
			return "NAK"
		}
		return "silence"
	case reserved:
		pools = [][]netip.Addr{{own}}
	case mine:
		return "NAK"
	case slices.Contains(slices.Concat(pools...), q.wants):
	case state == lease.Active && of == owner4(q.who): // the file has changed
		return "NAK"
	case state != lease.Free:
		return "NAK"
	default:
		return "silence"
	}
	if reserved && holder != "" {
		s.releases(holder, own)
	}
	granted, err := s.lends(owner4(q.who), owner4(q.who)+q.stage, q.network, q.wants, s.minutes*60, reserved, pools...)
	if err != nil {
		return "NAK"
	}
	return words("ACK", q.wants, granted)
}
