package subnets_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// step4 is one thing that happens, whatever happened before.
type step4 struct {
	verb  string
	who   int
	net   int // the link: 10.1.<net+1>.0/24
	wants int // a last octet; 0: none
	stage string
	pxe   bool
	after time.Duration
	file  *file4
}

func (s step4) String() string {
	switch s.verb {
	case "time passes", "the clock is stepped":
		return fmt.Sprint(s.verb, ": ", s.after)
	case "restarts":
		return s.verb
	case "the file becomes":
		return s.verb + "\n" + s.file.yaml()
	}
	return fmt.Sprintf("machine %d on link %d %s (wants %d, stage %q, pxe %v)", s.who, s.net+1, s.verb, s.wants, s.stage, s.pxe)
}

var verbs4 = []string{
	"discovers", "boots", "boots", "boots", "boots", "chooses another", "selects", "reboots", "renews", "renews", "renews", "renews elsewhere", "releases", "declines",
	"time passes", "time passes", "the clock is stepped", "restarts", "the file becomes",
}

func randomStory4(r *rand.Rand, length int) (story []step4) {
	for range length {
		s := step4{verb: verbs4[r.IntN(len(verbs4))], who: r.IntN(7), net: r.IntN(2), stage: []string{"", "os"}[r.IntN(2)], pxe: r.IntN(3) == 0}
		if r.IntN(3) == 0 {
			s.wants = 99 + r.IntN(9)
		}
		switch s.verb {
		case "time passes":
			s.after = []time.Duration{5 * time.Second, 9 * time.Second, time.Minute, 118 * time.Second, 119 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 86399 * time.Second, 25 * time.Hour}[r.IntN(10)]
		case "the clock is stepped":
			s.after = time.Duration(r.IntN(49)-24) * time.Hour
		case "the file becomes":
			s.file = randomFile4(r)
		}
		story = append(story, s)
	}
	return story
}

func randomFile4(r *rand.Rand) *file4 {
	f := &file4{shared: r.IntN(2) == 0, authoritative: r.IntN(2) == 0, minutes: []int64{5, 10, 60}[r.IntN(3)]}
	for net := range 2 {
		f.strangersDenied[net] = r.IntN(8) == 0
		for next := 100 + r.IntN(3); next < 107 && r.IntN(4) > 0; {
			p := pool4{net: net, first: next, last: min(next+r.IntN(4), 107)}
			p.allow = []string{"", "", "", "pxe", "known", "unknown"}[r.IntN(6)]
			p.deny = []string{"", "", "", "pxe", "known", "unknown"}[r.IntN(6)]
			f.pools, next = append(f.pools, p), p.last+1+r.IntN(2)
		}
	}
	free := [2][]int{r.Perm(9), r.Perm(9)} // last octets are from 99 to 107
	for who := 0; who < 7; who++ {
		if r.IntN(4) > 0 {
			continue
		}
		k := known4{who: []int{who}}
		if r.IntN(3) == 0 && who < 6 {
			who++
			k.who = append(k.who, who)
		}
		for net := range 2 {
			if r.IntN(2) == 0 && (!f.shared || net == 0 || k.addrs[0] == 0) {
				k.addrs[net], free[net] = 99+free[net][0], free[net][1:]
			}
		}
		f.machines = append(f.machines, k)
	}
	return f
}

// story4 is a story on its way: the server, what foretells it, and what the machines remember.
type story4 struct {
	*lab
	foretold *server4
	offered  map[[2]int]netip.Addr // by machine and link
	has      map[[2]int]netip.Addr
}

func newStory4(t *testing.T) *story4 {
	f := &file4{minutes: 10, pools: []pool4{{net: 0, first: 100, last: 103}, {net: 1, first: 100, last: 101}}}
	l := newLab(t, f.yaml())
	s := &story4{l, &server4{f, newLedger(l.clock.Wall().Unix())}, map[[2]int]netip.Addr{}, map[[2]int]netip.Addr{}}
	s.foretold.ledger.networkOf = func(a netip.Addr) string { return s.foretold.file4.network(a) }
	return s
}

// plays tells what is answered, and what should be.
func (s *story4) plays(step step4) (got, want string) {
	s.passes(time.Second)
	link := [2]int{step.who, step.net}
	q := asked{who: step.who, network: s.foretold.file4.network(at4(step.net, 1)), stage: step.stage, pxe: step.pxe}
	if step.wants > 0 {
		q.wants = at4(step.net, step.wants)
	}
	switch step.verb {
	case "time passes":
		s.passes(step.after)
	case "the clock is stepped":
		s.clock.steps(step.after)
	case "restarts":
		s.restarts()
		s.foretold.restarts()
	case "the file becomes":
		s.becomes(step.file.yaml())
		s.foretold.file4 = step.file
		s.foretold.remember()
	case "discovers", "boots":
		got = s.hears(step, dhcpv4.MessageTypeDiscover, wanting(q.wants)...)
		s.offered[link], want = s.foretold.discover(q)
		if step.verb == "boots" && s.offered[link].IsValid() && got == want {
			return s.selects(step, q, link)
		}
	case "selects": // what it was offered some time ago
		return s.selects(step, q, link)
	case "chooses another":
		q.wants, q.other = s.offered[link], true
		got, want = s.hears(step, dhcpv4.MessageTypeRequest, append(wanting(q.wants), chooses("10.1.1.9"))...), s.foretold.request(q)
	case "reboots":
		if step.wants == 0 {
			q.wants = s.has[link]
		}
		got, want = s.hears(step, dhcpv4.MessageTypeRequest, wanting(q.wants)...), s.foretold.request(q)
	case "renews", "renews elsewhere":
		if step.verb == "renews elsewhere" {
			link[1] = 1 - link[1]
		}
		if q.wants = s.has[link]; q.wants.IsValid() {
			got, want = s.hears(step, dhcpv4.MessageTypeRequest, having(q.wants)), s.foretold.request(q)
		}
	case "releases":
		if q.wants = s.has[link]; q.wants.IsValid() {
			s.foretold.releases(owner4(q.who), q.wants)
			got, want = s.hears(step, dhcpv4.MessageTypeRelease, having(q.wants)), "silence"
		}
	case "declines":
		if step.wants == 0 {
			q.wants = s.has[link]
		}
		s.foretold.declines(owner4(q.who), q.wants)
		got, want = s.hears(step, dhcpv4.MessageTypeDecline, wanting(q.wants)...), "silence"
	}
	return got, want
}

func (s *story4) selects(step step4, q asked, link [2]int) (got, want string) {
	q.wants = s.offered[link]
	s.has[link] = q.wants
	return s.hears(step, dhcpv4.MessageTypeRequest, append(wanting(q.wants), chooses("10.1.1.1"))...), s.foretold.request(q)
}

func (s *story4) passes(d time.Duration) {
	s.clock.passes(d)
	s.foretold.passes(int64(d / time.Second))
}

func wanting(a netip.Addr) []dhcpv4.Modifier {
	if !a.IsValid() {
		return nil
	}
	return []dhcpv4.Modifier{asks(a.String())}
}

func having(a netip.Addr) dhcpv4.Modifier { return dhcpv4.WithClientIP(a.AsSlice()) }

// hears is what a machine is answered, in a few words.
func (s *story4) hears(step step4, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) string {
	s.t.Helper()
	more = append(more, via(at4(step.net, 1).String()))
	if step.stage != "" {
		more = append(more, option(clientID, step.stage))
	}
	if step.pxe {
		more = append(more, option(vendorClass, "PXEClient"))
	}
	reply := s.machine(step.who).sends(kind, more...)
	switch {
	case reply == nil:
		return "silence"
	case reply.MessageType() == dhcpv4.MessageTypeNak:
		return "NAK"
	}
	a, _ := netip.AddrFromSlice(reply.YourIPAddr.To4())
	return words(reply.MessageType().String(), a, int64(reply.IPAddressLeaseTime(0)/time.Second))
}

// Machines that do as they like, time, clocks that are stepped, restarts, and files that change: each answer is the one that
// dhcpd's rules foretell, with its address and its seconds.
func TestEachAnswerIsForetold(t *testing.T) {
	for seed := range uint64(*seeds / 4) {
		r := rand.New(rand.NewPCG(seed, 4))
		tellsAsForetold(t, seed, randomStory4(r, 600), func() teller[step4] { return newStory4(t) })
	}
}
