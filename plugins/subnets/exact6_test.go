package subnets_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// step6 is one thing that happens.
type step6 struct {
	verb   string
	who    int
	net    int
	stage  string
	na, pd bool
	wants  int // a last number, or a prefix's; 0: what the machine remembers
	fresh  bool
	after  time.Duration
	file   *file6
}

func (s step6) String() string {
	switch {
	case s.file != nil:
		return s.verb + "\n" + s.file.yaml()
	case s.after != 0:
		return fmt.Sprint(s.verb, ": ", s.after)
	}
	return fmt.Sprintf("machine %d on link %d: %s (na %v, pd %v, wants %d, fresh %v, stage %q)", s.who, s.net+1, s.verb, s.na, s.pd, s.wants, s.fresh, s.stage)
}

var verbs6 = []string{
	"SOLICIT", "SOLICIT", "rapid SOLICIT", "REQUEST", "REQUEST", "REQUEST", "REQUEST", "RENEW", "RENEW", "REBIND", "REBIND", "RELEASE", "DECLINE", "CONFIRM",
	"time passes", "time passes", "restarts", "the file becomes",
}

func randomStory6(r *rand.Rand, length int) (story []step6) {
	for range length {
		s := step6{verb: verbs6[r.IntN(len(verbs6))], who: r.IntN(6), net: r.IntN(2), stage: []string{"rom", "os"}[r.IntN(2)], na: r.IntN(4) > 0, pd: r.IntN(3) == 0, fresh: r.IntN(4) == 0}
		if r.IntN(3) == 0 {
			s.wants = 1 + r.IntN(9)
		}
		switch s.verb {
		case "time passes":
			s.after = []time.Duration{5 * time.Second, time.Minute, 119 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 25 * time.Hour}[r.IntN(7)]
		case "the file becomes":
			s.file = randomFile6(r)
		}
		story = append(story, s)
	}
	return story
}

func randomFile6(r *rand.Rand) *file6 {
	f := &file6{shared: r.IntN(2) == 0, authoritative: r.IntN(2) == 0, rapid: r.IntN(2) == 0, byID: r.IntN(4) == 0, minutes: []int64{5, 10, 60}[r.IntN(3)]}
	for net := range 2 {
		f.strangersDenied[net] = r.IntN(8) == 0
		f.delegates[net] = []int{0, 2, 4}[r.IntN(3)]
		for next := 2 + r.IntN(3); next < 9 && r.IntN(4) > 0; {
			p := pool4{net: net, first: next, last: min(next+r.IntN(4), 9)}
			f.pools, next = append(f.pools, p), p.last+1+r.IntN(2)
		}
	}
	free, prefixes := [2][]int{r.Perm(9), r.Perm(9)}, r.Perm(6)
	for who := range 6 {
		if r.IntN(4) > 0 {
			continue
		}
		k := known6{who: who}
		for net := range 2 {
			if r.IntN(2) == 0 && (!f.shared || net == 0 || k.addrs[0] == 0) {
				k.addrs[net], free[net] = 1+free[net][0], free[net][1:]
			}
		}
		if r.IntN(2) == 0 {
			k.prefix, prefixes = 1+prefixes[0], prefixes[1:]
		}
		f.machines = append(f.machines, k)
	}
	return f
}

// story6 is a story on its way.
type story6 struct {
	*lab6
	foretold *server6
	has      map[asked6]netip.Addr // by machine, link and kind: what it was told last
}

func newStory6(t *testing.T) *story6 {
	f := &file6{minutes: 10, pools: []pool4{{net: 0, first: 2, last: 4}, {net: 1, first: 2, last: 3}}, delegates: [2]int{4, 2}}
	l := newLab6(t, f.yaml())
	s := &story6{l, &server6{f, newLedger(l.clock.Wall().Unix())}, map[asked6]netip.Addr{}}
	s.foretold.networkOf = func(a netip.Addr) string { return s.foretold.file6.network(a) }
	return s
}

func (s *story6) passes(d time.Duration) {
	s.clock.passes(d)
	s.foretold.passes(int64(d / time.Second))
}

func (s *story6) plays(step step6) (got, want string) {
	s.passes(time.Second)
	switch step.verb {
	case "time passes":
		s.passes(step.after)
		return "", ""
	case "restarts":
		s.restarts()
		s.foretold.restarts()
		return "", ""
	case "the file becomes":
		s.becomes(step.file.yaml())
		s.foretold.file6 = step.file
		s.foretold.remember()
		return "", ""
	}
	return s.sent(step)
}

// sent is one message, with an association of each kind that the step has.
func (s *story6) sent(step step6) (got, want string) {
	verb, rapidly := strings.CutPrefix(step.verb, "rapid ")
	var with []any
	var all []asked6
	for _, pd := range []bool{false, true} {
		q := asked6{who: step.who, net: step.net, pd: pd}
		if pd && !step.pd || !pd && !step.na {
			continue
		}
		q.wants = s.has[q]
		switch {
		case step.fresh:
			q.wants = netip.Addr{}
		case step.wants > 0 && pd:
			q.wants = part6(0, step.wants)
		case step.wants > 0:
			q.wants = at6(step.net, step.wants)
		}
		ia := "na 1"
		if pd {
			ia = "pd 1"
		}
		if q.wants.IsValid() {
			ia += " " + unit6(q.wants)
		}
		q.stage = step.stage
		all, with = append(all, q), append(with, ia)
	}
	switch verb {
	case "REQUEST", "RENEW", "RELEASE", "DECLINE":
		with = append(with, names(ours))
	}
	if rapidly {
		with = append(with, rapid())
	}
	c := s.client(byte(step.who))
	if step.stage == "os" { // a DUID-LLT
		c.duid = "\x00\x01\x00\x01\x00\x00\x00\x01" + c.duid[4:]
	}
	c.from = relayed(at6(step.net, 1).String())
	reply := c.reply(c.message(kinds6[verb], with...))
	want = s.foretold.answers(verb, rapidly, all)
	if reply == nil {
		return "silence", want
	}
	s.remember(step, reply)
	return told(reply), want
}

var kinds6 = map[string]dhcpv6.MessageType{
	"SOLICIT": dhcpv6.MessageTypeSolicit, "REQUEST": dhcpv6.MessageTypeRequest, "RENEW": dhcpv6.MessageTypeRenew, "REBIND": dhcpv6.MessageTypeRebind,
	"RELEASE": dhcpv6.MessageTypeRelease, "DECLINE": dhcpv6.MessageTypeDecline, "CONFIRM": dhcpv6.MessageTypeConfirm,
}

// remember has a machine keep what it is told of.
func (s *story6) remember(step step6, reply *dhcpv6.Message) {
	keep := func(pd bool, a netip.Addr, ok bool, valid time.Duration) {
		if ok && valid > 0 {
			s.has[asked6{who: step.who, net: step.net, pd: pd}] = a
		}
	}
	for _, ia := range reply.Options.IANA() {
		for _, o := range ia.Options.Addresses() {
			a, ok := netip.AddrFromSlice(o.IPv6Addr)
			keep(false, a, ok, o.ValidLifetime)
		}
	}
	for _, ia := range reply.Options.IAPD() {
		for _, o := range ia.Options.Prefixes() {
			a, ok := netip.AddrFromSlice(o.Prefix.IP)
			keep(true, a, ok, o.ValidLifetime)
		}
	}
}

// Likewise in DHCPv6, with addresses and prefixes, and two stages of a boot that have a DUID each.
func TestEachDHCPv6AnswerIsForetold(t *testing.T) {
	for seed := range uint64(*seeds / 4) {
		r := rand.New(rand.NewPCG(seed, 6))
		tellsAsForetold(t, seed, randomStory6(r, 600), func() teller[step6] { return newStory6(t) })
	}
}
