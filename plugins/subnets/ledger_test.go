package subnets_test

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// ledger is what the lease engine does, the simple way: it looks at everything each time. Its time is in seconds, and each
// request comes in a second of its own.
type ledger struct {
	now       int64
	networkOf func(netip.Addr) string
	lent      map[netip.Addr]*binding
	offers    []offered // the newest last
}

// binding is what became of one address, or of a prefix by its first one.
type binding struct {
	owner, facts string
	state        lease.State
	start, end   int64
	last         bool  // the owner has had none since
	rests        int64 // found in use: the end that is written
}

type offered struct {
	owner        string
	addr         netip.Addr
	since, until int64
	idle         bool // nobody had it
}

func newLedger(now int64) *ledger { return &ledger{now: now, lent: map[netip.Addr]*binding{}} }

func (s *ledger) passes(seconds int64) {
	s.now += seconds
	for _, l := range s.lent {
		if l.end <= s.now {
			l.state = lease.Free
		}
	}
	s.offers = slices.DeleteFunc(s.offers, func(o offered) bool { return o.until <= s.now })
}

// restarts loses the offers, and that somebody was given an address before its rest was over.
func (s *ledger) restarts() {
	s.offers = nil
	for _, l := range s.lent {
		if l.rests > s.now {
			l.state, l.end = lease.Abandoned, l.rests
		}
	}
	s.remember()
}

// remember finds again what each owner had last in each network, as a start does and another file: what was lent last.
func (s *ledger) remember() {
	newest := map[[2]string]*binding{}
	for a, l := range s.lent {
		l.last = false
		k := [2]string{l.owner, s.networkOf(a)}
		if l.owner != "" && (newest[k] == nil || newest[k].start < l.start) {
			newest[k] = l
		}
	}
	for _, l := range newest {
		l.last = true
	}
	for i := len(s.offers) - 1; i >= 0; i-- { // of two offers in networks that are one now the later counts
		if o := s.offers[i]; s.offer(o.owner, s.networkOf(o.addr)) != o.addr {
			s.offers = slices.Delete(s.offers, i, i+1)
			continue
		}
		state, _ := s.state(s.offers[i].addr)
		s.offers[i].idle = state == lease.Free
	}
}

// last is what an owner had last in a network, and has or can have again; invalid: nothing.
func (s *ledger) last(owner, network string) netip.Addr {
	for a, l := range s.lent {
		if l.last && l.owner == owner && s.networkOf(a) == network {
			return a
		}
	}
	return netip.Addr{}
}

// offer is what an owner is offered in a network; invalid: nothing.
func (s *ledger) offer(owner, network string) netip.Addr {
	for i := len(s.offers) - 1; i >= 0; i-- {
		if o := s.offers[i]; o.owner == owner && s.networkOf(o.addr) == network {
			return o.addr
		}
	}
	return netip.Addr{}
}

// state of an address, and its owner.
func (s *ledger) state(a netip.Addr) (lease.State, string) {
	if l := s.lent[a]; l != nil {
		return l.state, l.owner
	}
	return lease.Free, ""
}

func (s *ledger) mayHave(owner string, a netip.Addr) bool {
	state, of := s.state(a)
	return !slices.ContainsFunc(s.offers, func(o offered) bool { return o.addr == a && o.owner != owner }) &&
		(state == lease.Free || state == lease.Active && of == owner)
}

func (s *ledger) isOffered(a netip.Addr) bool {
	return slices.ContainsFunc(s.offers, func(o offered) bool { return o.addr == a })
}

func (s *ledger) withdraw(owner, network string) {
	s.offers = slices.DeleteFunc(s.offers, func(o offered) bool { return o.owner == owner && s.networkOf(o.addr) == network })
}

// chooses is dhcpd's order: the last one, or what is offered already; the wanted one; the lowest that nobody has had, pool by
// pool; the one that has been free for the longest time. Then what others may never want.
func (s *ledger) chooses(owner, network string, want netip.Addr, pools [][]netip.Addr) netip.Addr {
	all := slices.Concat(pools...)
	for _, a := range []netip.Addr{s.last(owner, network), s.offer(owner, network), want} {
		if slices.Contains(all, a) && s.mayHave(owner, a) {
			return a
		}
	}
	for _, a := range all {
		if s.lent[a] == nil && !s.isOffered(a) {
			return a
		}
	}
	var oldest netip.Addr
	for _, a := range all {
		l := s.lent[a]
		if l == nil || l.state != lease.Free || s.isOffered(a) {
			continue
		}
		if !oldest.IsValid() || l.end < s.lent[oldest].end || l.end == s.lent[oldest].end && a.Less(oldest) {
			oldest = a
		}
	}
	if !oldest.IsValid() {
		oldest = s.scarce(all)
	}
	return oldest
}

// scarce takes back the oldest offer that was not asked for within 10 seconds, or else ends the rest of the address that was
// declined first, if that is 10 minutes ago.
func (s *ledger) scarce(all []netip.Addr) (a netip.Addr) {
	since := s.now - 9
	for _, o := range s.offers {
		if slices.Contains(all, o.addr) && o.idle && o.since < since {
			a, since = o.addr, o.since
		}
	}
	if a.IsValid() {
		s.offers = slices.DeleteFunc(s.offers, func(o offered) bool { return o.addr == a })
		return a
	}
	start := s.now - 599
	for _, b := range all {
		if l := s.lent[b]; l != nil && l.state == lease.Abandoned && l.start < start {
			a, start = b, l.start
		}
	}
	if a.IsValid() {
		s.lent[a].state, s.lent[a].end = lease.Free, s.now
	}
	return a
}

// makesOffer keeps an address for 120 seconds; invalid: none is free.
func (s *ledger) makesOffer(owner, network string, want netip.Addr, pools ...[]netip.Addr) netip.Addr {
	a := s.chooses(owner, network, want, pools)
	if a.IsValid() {
		s.keeps(owner, network, a)
	}
	return a
}

// offersOwn does so for an address that is reserved for the owner, and never takes that back from another.
func (s *ledger) offersOwn(owner, network string, own netip.Addr) netip.Addr {
	if !s.mayHave(owner, own) {
		return netip.Addr{}
	}
	s.keeps(owner, network, own)
	return own
}

func (s *ledger) keeps(owner, network string, a netip.Addr) {
	state, _ := s.state(a)
	o := offered{owner, a, s.now, s.now + 120, state == lease.Free}
	for _, before := range s.offers {
		if before.owner == owner && before.addr == a {
			o.since, o.idle = before.since, before.idle
		}
	}
	s.withdraw(owner, network)
	s.offers = append(s.offers, o)
}

var errNotYours = errors.New("not lent")

// lends an address for some seconds, or tells for how many more it is lent: while less than a quarter of a lease has passed,
// and the client says the same of itself, nothing is written. A client has one address in a network, unless it was offered
// another, or one is reserved for it.
func (s *ledger) lends(owner, facts, network string, a netip.Addr, seconds int64, reserved bool, pools ...[]netip.Addr) (int64, error) {
	l, last := s.lent[a], s.last(owner, network)
	has := last.IsValid() && last != a && s.lent[last].state == lease.Active
	mine := l != nil && l.state == lease.Active && l.owner == owner
	switch back := mine && !slices.Contains(slices.Concat(pools...), last); {
	case !s.mayHave(owner, a):
		return 0, errNotYours
	case has && !reserved && !back && s.offer(owner, network) != a:
		return 0, errNotYours
	}
	if rest := int64(0); mine && l.facts == facts && (s.now-l.start)*4 < l.end-l.start {
		if rest = l.end - s.now - 1; rest > 0 && rest <= seconds {
			s.offers = slices.DeleteFunc(s.offers, func(o offered) bool { return o.addr == a })
			return rest, nil
		}
	}
	end := s.now + seconds + 1
	if mine {
		end = max(end, l.end)
	}
	if last.IsValid() {
		s.lent[last].last = false
		if has {
			s.lent[last].state, s.lent[last].end = lease.Free, s.now
		}
	}
	s.withdraw(owner, network)
	s.lent[a] = &binding{owner: owner, facts: facts, state: lease.Active, start: s.now, end: end, last: true}
	return seconds, nil
}

func (s *ledger) releases(owner string, a netip.Addr) bool {
	if state, of := s.state(a); state != lease.Active || of != owner {
		return false
	}
	if last := s.last(owner, s.networkOf(a)); last.IsValid() {
		s.lent[last].last = false
	}
	l := s.lent[a]
	l.state, l.end, l.last = lease.Free, s.now, true
	s.offers = slices.DeleteFunc(s.offers, func(o offered) bool { return o.addr == a })
	return true
}

// declines has an address rest for a day.
func (s *ledger) declines(owner string, a netip.Addr) bool {
	state, of := s.state(a)
	held := slices.ContainsFunc(s.offers, func(o offered) bool { return o.addr == a && o.owner == owner })
	if !held && (state != lease.Active || of != owner) {
		return false
	}
	s.offers = slices.DeleteFunc(s.offers, func(o offered) bool { return o.addr == a })
	s.lent[a] = &binding{state: lease.Abandoned, start: s.now, end: s.now + 86401, rests: s.now + 86401}
	return true
}
