package subnets_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/lease"
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

// server6 foretells the answers.
type server6 struct {
	*file6
	*ledger
}

// asked6 is one association of a message.
type asked6 struct {
	who   int
	net   int
	stage string // of the boot, which has a DUID of its own
	pd    bool
	wants netip.Addr
}

func (s *server6) owner(q asked6) string {
	owner := fmt.Sprintf("%v %d", q.pd, q.who)
	if s.byID {
		owner += " by " + q.stage
	}
	return owner
}

func unit6(a netip.Addr) string {
	if delegated(a) {
		return a.String() + "/56"
	}
	return a.String()
}

// extends serves SOLICIT, REQUEST, RENEW and REBIND: it is what is said of the association; empty: nothing.
func (s *server6) extends(verb string, lends bool, q asked6) string {
	ia, none := "na 1", " NoAddrsAvail"
	if q.pd {
		ia, none = "pd 1", " NoPrefixAvail"
	}
	owner, network := s.owner(q), s.link(q.net)
	known, addr, prefix := s.known(q.who, network)
	pools := s.open(network, known, q.pd)
	own := addr
	if q.pd {
		own = prefix
	}
	if state, of := s.state(own); state != lease.Free && (state != lease.Active || of != owner) {
		own = netip.Addr{} // for now
	}
	last := s.last(owner, network)
	has := last.IsValid() && s.lent[last].state == lease.Active
	foreign := q.wants.IsValid() && !q.pd && s.networkOf(q.wants) != network
	mine := slices.Contains(slices.Concat(pools...), q.wants)
	again := verb == "RENEW" || verb == "REBIND"
	switch {
	case verb == "REQUEST" && foreign:
		return ia + " NotOnLink"
	case !again && !own.IsValid() && len(pools) == 0:
		return ia + none
	case mine, !again, own.IsValid(), has, !q.wants.IsValid():
	case verb == "RENEW":
		return ia + " NoBinding"
	case foreign && s.authoritative:
		return ia + " " + unit6(q.wants) + " for 0/0"
	default:
		return ""
	}
	want := netip.Addr{}
	if mine {
		want = q.wants
	}
	var got netip.Addr
	if own.IsValid() {
		if got = s.offersOwn(owner, s.networkOf(own), own); got.IsValid() {
			pools, network = [][]netip.Addr{{own}}, s.networkOf(own)
		}
	}
	if !got.IsValid() {
		got = s.makesOffer(owner, network, want, pools...)
	}
	valid, err := s.minutes*60, error(nil)
	switch {
	case !got.IsValid() && (own.IsValid() || len(pools) > 0):
		return ia + none
	case got.IsValid() && lends:
		valid, err = s.lends(owner, q.stage, network, got, s.minutes*60, got == own, pools...)
	}
	if err != nil {
		return ia + none
	}
	if got.IsValid() {
		ia += fmt.Sprintf(" %s for %d/%d", unit6(got), min(s.minutes*60*5/8, valid), valid)
	}
	if again && q.wants.IsValid() && q.wants != got {
		ia += " " + unit6(q.wants) + " for 0/0"
	}
	return ia
}

// ends serves RELEASE and DECLINE, which count if they come by the DUID that the lease was given to.
func (s *server6) ends(declined bool, q asked6) string {
	if declined && q.pd {
		return ""
	}
	if l := s.lent[q.wants]; l != nil && l.state == lease.Active && l.facts == q.stage && strings.HasPrefix(l.owner, fmt.Sprintf("%v %d", q.pd, q.who)) {
		if declined {
			s.declines(l.owner, q.wants)
		} else {
			s.releases(l.owner, q.wants)
		}
		return ""
	}
	if q.pd {
		return "pd 1 NoBinding"
	}
	return "na 1 NoBinding"
}

// answers is the whole reply to a message.
func (s *server6) answers(verb string, rapidly bool, all []asked6) string {
	parts := []string{"REPLY"}
	lends := verb != "SOLICIT" || rapidly && s.rapid
	switch {
	case !lends:
		parts[0] = "ADVERTISE"
	case verb == "SOLICIT":
		parts = append(parts, "rapid")
	}
	switch verb {
	case "CONFIRM":
		any := false
		for _, q := range all {
			if q.wants.IsValid() && !q.pd {
				any = true
				if s.networkOf(q.wants) != s.link(q.net) {
					return "REPLY; NotOnLink"
				}
			}
		}
		if !any {
			return "silence"
		}
		return "REPLY; Success"
	case "RELEASE", "DECLINE":
		parts = append(parts, "Success")
		for _, q := range all {
			if said := s.ends(verb == "DECLINE", q); said != "" {
				parts = append(parts, said)
			}
		}
		return strings.Join(parts, "; ")
	}
	for _, q := range all {
		if said := s.extends(verb, lends, q); said != "" {
			parts = append(parts, said)
		}
	}
	if verb == "REBIND" && len(parts) == 1 {
		return "silence"
	}
	return strings.Join(parts, "; ")
}
