package subnets_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var seeds = flag.Int("seeds", 20, "how many random stories to play")

// believer is a machine as it sees itself: the address that it was told of in each network, and until when.
type believer struct {
	*machine
	links map[string]*belief // by the relay's address
}

type belief struct {
	addr  netip.Addr
	until time.Duration // from which follows when it was lent: all leases are for one time
}

// forgets ends what the machine believes of an address, by whichever relay it was told.
func (m *believer) forgets(a netip.Addr) {
	for _, b := range m.links {
		if b.addr == a {
			b.until = 0
		}
	}
}

// keepsOther tells a machine that had an address on each link when they became one network, and has the later of them still.
func (m *believer) keepsOther(b *belief, now time.Duration, kept func(netip.Addr) bool) bool {
	for _, other := range m.links {
		if other.addr != b.addr && other.until > now && other.until >= b.until && kept(other.addr) {
			return true
		}
	}
	return false
}

// A site is what the file says, the simple way.
type site struct {
	shared   bool              // both subnets are one network
	pools    map[string][2]int // last octets, by the subnet's first three
	reserved map[int]string    // addresses by machine
	renamed  int
}

func (s *site) yaml() string {
	var b strings.Builder
	b.WriteString("authoritative: true\nlease-time: 10m\nnetworks:\n")
	indent := "  "
	if s.shared {
		fmt.Fprintf(&b, "  - name: both-%d\n    subnets:\n", s.renamed)
		indent = "      "
	}
	for _, net := range []string{"10.1.1", "10.2.0"} {
		fmt.Fprintf(&b, "%s- subnet: %s.0/24\n", indent, net)
		if p, has := s.pools[net]; has {
			fmt.Fprintf(&b, "%s  pools: [%s.%d-%s.%d]\n", indent, net, p[0], net, p[1])
		}
	}
	if len(s.reserved) > 0 {
		b.WriteString("reservations:\n")
	}
	for n, a := range s.reserved {
		fmt.Fprintf(&b, "  - {mac: \"52:54:00:aa:00:%02x\", address: %s}\n", n, a)
	}
	return b.String()
}

// allows tells whether the file lets a machine have an address now.
func (s *site) allows(n int, a netip.Addr) bool {
	text := a.String()
	for other, reserved := range s.reserved {
		if reserved == text {
			return other == n
		}
	}
	net, last := text[:strings.LastIndexByte(text, '.')], int(a.As4()[3])
	p, has := s.pools[net]
	return has && p[0] <= last && last <= p[1]
}

// together tells whether two addresses are of one network now.
func (s *site) together(a, b netip.Addr) bool {
	return s.shared || netip.PrefixFrom(a, 24).Masked().Contains(b)
}

func (s *site) change(r *rand.Rand) {
	for _, net := range []string{"10.1.1", "10.2.0"} {
		switch first := 100 + r.IntN(6); r.IntN(4) {
		case 0:
			delete(s.pools, net)
		case 1, 2:
			s.pools[net] = [2]int{first, first + r.IntN(6)}
		}
	}
	s.shared, s.renamed = r.IntN(2) == 0, r.IntN(100)
	s.reserved = map[int]string{}
	for range r.IntN(3) {
		s.reserved[r.IntN(8)] = fmt.Sprintf("10.1.1.%d", 100+r.IntN(8))
	}
	taken := map[string]bool{}
	for n, a := range s.reserved {
		if taken[a] {
			delete(s.reserved, n)
		}
		taken[a] = true
	}
}

// Machines that do as they like, restarts, time that passes and files that change: nobody is ever told of an address that
// another machine still believes to have, or that the file does not give it; who renews what the file still gives it has it.
func TestNoAddressIsLentToTwoWhateverBecomesOfTheFile(t *testing.T) {
	for seed := range uint64(*seeds) {
		r := rand.New(rand.NewPCG(seed, 6))
		s := &site{pools: map[string][2]int{"10.1.1": {100, 104}, "10.2.0": {100, 102}}}
		l := newLab(t, s.yaml())
		all := make([]*believer, 8)
		for i := range all {
			all[i] = &believer{l.machine(i), map[string]*belief{"10.1.1.1": {}, "10.2.0.1": {}}}
		}
		for step := range 150 {
			where := fmt.Sprintf("seed %d, step %d", seed, step)
			n := r.IntN(len(all))
			relay := []string{"10.1.1.1", "10.2.0.1"}[r.IntN(2)]
			switch r.IntN(20) {
			case 0:
				s.change(r)
				l.becomes(s.yaml())
			case 1:
				l.restarts()
				for _, m := range all {
					m.lab = l
				}
			case 2, 3:
				l.clock.passes([]time.Duration{time.Second, time.Minute, 4 * time.Minute, 11 * time.Minute, 25 * time.Hour}[r.IntN(5)])
			default:
				lives(t, where, s, all, n, relay, r)
			}
			if t.Failed() {
				t.Fatalf("%s\n%s", s.yaml(), l.log.String())
			}
		}
		l.stop()
	}
}

// lives lets a machine do something on a link.
func lives(t *testing.T, where string, s *site, all []*believer, n int, relay string, r *rand.Rand) {
	m := all[n]
	b, now := m.links[relay], m.clock.Since()
	has := b.until > now
	believes := func(reply *dhcpv4.DHCPv4) {
		if reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
			return
		}
		a, _ := netip.AddrFromSlice(reply.YourIPAddr.To4())
		if !s.allows(n, a) {
			t.Errorf("%s: machine %d is told of %s, which the file does not give it", where, n, a)
		}
		for i, o := range all {
			for _, other := range o.links {
				if i != n && other.addr == a && other.until > now {
					t.Errorf("%s: machine %d is told of %s, which machine %d has until %s; it is %s", where, n, a, i, other.until, now)
				}
			}
		}
		for _, other := range m.links {
			if other != b && other.until > now && other.addr != a && s.together(a, other.addr) {
				other.until = now // one address in a network
			}
		}
		b.addr, b.until = a, now+reply.IPAddressLeaseTime(0)
	}
	switch act := r.IntN(10); {
	case has && act < 4:
		renewed := m.sends(dhcpv4.MessageTypeRequest, via(relay), dhcpv4.WithClientIP(b.addr.AsSlice()))
		switch {
		case renewed == nil:
			t.Errorf("%s: machine %d hears nothing of %s", where, n, b.addr)
		case renewed.MessageType() == dhcpv4.MessageTypeNak:
			own, here := s.reserved[n], s.shared || strings.HasPrefix(b.addr.String(), relay[:len(relay)-1])
			kept := func(a netip.Addr) bool { return s.allows(n, a) && s.together(a, b.addr) }
			if here && !m.keepsOther(b, now, kept) && s.allows(n, b.addr) && (own == "" || own == b.addr.String()) {
				t.Errorf("%s: machine %d is refused its %s", where, n, b.addr)
			}
			m.forgets(b.addr)
		}
		believes(renewed)
	case has && act == 4:
		m.sends(dhcpv4.MessageTypeRelease, via(relay), dhcpv4.WithClientIP(b.addr.AsSlice()))
		m.forgets(b.addr)
	case has && act == 5 && r.IntN(4) == 0:
		m.sends(dhcpv4.MessageTypeDecline, via(relay), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(b.addr.AsSlice())))
		m.forgets(b.addr)
	case act == 6: // it remembers an address from long ago, or makes one up
		a := fmt.Sprintf("%s%d", relay[:len(relay)-1], 98+r.IntN(12))
		believes(m.sends(dhcpv4.MessageTypeRequest, via(relay), asks(a)))
	default:
		offer := m.sends(dhcpv4.MessageTypeDiscover, via(relay))
		if offer == nil || r.IntN(5) == 0 {
			return
		}
		believes(m.sends(dhcpv4.MessageTypeRequest, via(relay), asks(offer.YourIPAddr.String()), chooses("10.1.1.1")))
	}
}
