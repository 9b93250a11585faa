package subnets_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

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
