package subnets

import (
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// plan6 is a decision about a DHCPv6 message. What the leases say to it may still turn it.
type plan6 struct {
	because string // of silence; empty: the message is answered
	quiet   bool   // nobody needs to know why

	status iana.StatusCode // of the whole message, if said is not empty
	said   string
	bare   bool // nothing but the status is told
	lends  bool // in a REPLY; otherwise the server only offers
	fates  []fate
}

// fate is what becomes of one association.
type fate struct {
	*association
	status iana.StatusCode // Success: see below
	said   string
	silent bool // nothing is said of it

	own   *lease.Pool   // of what is reserved; nil: nothing is, or somebody else still has it
	want  netip.Addr    // what it would like; invalid: anything
	from  []*lease.Pool // otherwise
	ended bool          // what it lists and does not get is told to end

	over []lease.Lease // of it, which end now
}

func silent6(because string) plan6 { return plan6{because: because} }

// What clients are told: short, fixed texts.
const (
	saidNoAddrs   = "no address is available"
	saidNoPrefix  = "no prefix is available"
	saidNoBinding = "no binding"
	saidNotOnLink = "not on this link"
	saidMulticast = "use multicast"
	saidSuccess   = "success"
)

// decide6 is what becomes of a message (RFC 8415 sections 16 and 18.3).
func (p *Policy) decide6(c *client6, b ledger6) plan6 {
	if because := c.invalid(); because != "" {
		return plan6{because: because, quiet: true}
	}
	switch c.kind {
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		if c.unicast { // section 18.4
			return plan6{status: iana.StatusUseMulticast, said: saidMulticast, bare: true}
		}
	}
	switch {
	case c.kind == dhcpv6.MessageTypeRelease: // by the leases alone, whatever became of the network
		return c.gives(b, false)
	case c.network == nil:
		return silent6("its network is none of those in the file")
	case c.kind == dhcpv6.MessageTypeDecline:
		return c.gives(b, true)
	case c.machine != nil && c.machine.ignore:
		return silent6("its reservation says ignore")
	case c.kind == dhcpv6.MessageTypeConfirm:
		return c.confirm()
	case c.kind == dhcpv6.MessageTypeInformationRequest:
		return plan6{}
	}
	c.own(!p.identity.clientID, b)
	plan := plan6{lends: c.kind != dhcpv6.MessageTypeSolicit || c.rapid && c.network.rapid}
	for i := range c.asks {
		if f := p.fate(&c.asks[i], c, b); !f.silent {
			plan.fates = append(plan.fates, f)
		}
	}
	if c.kind == dhcpv6.MessageTypeRebind && len(plan.fates) == 0 {
		return silent6("what it has may be another server's")
	}
	return plan
}

// invalid tells why a message must be discarded (section 16); empty: it need not.
func (c *client6) invalid() string {
	switch c.kind {
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRebind:
		switch {
		case c.server != "":
			return "it names a server, which such a message must not"
		case c.unicast: // section 18.3
			return "it was sent to a unicast address"
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		switch {
		case c.server == "":
			return "it names no server"
		case c.server != c.us:
			return "it chose another server"
		}
	case dhcpv6.MessageTypeInformationRequest:
		switch {
		case c.server != "" && c.server != c.us:
			return "it asks another server"
		case len(c.asks) > 0:
			return "it asks for addresses, which such a message must not"
		case c.unicast:
			return "it was sent to a unicast address"
		}
		return ""
	default:
		return "no server answers such a message"
	}
	if len(c.duid) < 3 || len(c.duid) > maxDUID {
		return "its client identifier has an impossible length"
	}
	return ""
}

// fate of an association in a SOLICIT, REQUEST, RENEW or REBIND.
func (p *Policy) fate(a *association, c *client6, b ledger6) fate {
	f := fate{association: a, from: c.network.lendable(&c.found, a.of)}
	extends := c.kind == dhcpv6.MessageTypeRenew || c.kind == dhcpv6.MessageTypeRebind
	none := f.refused(iana.StatusNoAddrsAvail, saidNoAddrs)
	if a.of == prefixes {
		none = f.refused(iana.StatusNoPrefixAvail, saidNoPrefix)
	}
	foreign := c.listsForeign(a)
	f.own = c.ownPool(a, b)
	switch mine := slices.IndexFunc(a.wants, func(w netip.Prefix) bool { return p.lends(f.from, w.Addr()) }); {
	case a.of == temporary && extends:
		return f.refused(iana.StatusNoBinding, saidNoBinding)
	case a.owner == "":
		return none
	case c.kind == dhcpv6.MessageTypeRequest && foreign: // section 18.3.2
		return f.refused(iana.StatusNotOnLink, saidNotOnLink)
	case f.own == nil && len(f.from) == 0 && !extends:
		return none
	case mine >= 0:
		f.want = a.wants[mine].Addr()
	case !extends, f.own != nil, a.has.State == lease.Active, len(a.wants) == 0: // and gets something else, or what is new
	case c.kind == dhcpv6.MessageTypeRenew: // section 18.3.4
		return f.refused(iana.StatusNoBinding, saidNoBinding)
	case foreign && c.network.authoritative: // section 18.3.5
		f.from, f.ended = nil, true
		return f
	default:
		f.silent = true
		return f
	}
	f.ended = extends
	return f
}

func (f fate) refused(code iana.StatusCode, said string) fate {
	f.status, f.said = code, said
	return f
}

// listsForeign tells whether an association lists an address that cannot be of the client's link. A delegated prefix is of no
// link.
func (c *client6) listsForeign(a *association) bool {
	return a.of == addresses && slices.ContainsFunc(a.wants, func(w netip.Prefix) bool { return !c.network.contains(w.Addr()) })
}

// ownPool is the pool of what is reserved for the machine; nil: nothing is, or somebody else still has it. The first
// association of a kind has it.
func (c *client6) ownPool(a *association, b ledger6) *lease.Pool {
	reserved, pool := c.fixed, lease.Fixed(c.fixed)
	switch {
	case a.of == prefixes && c.fixedPrefix.IsValid():
		reserved, pool = c.fixedPrefix.Addr(), lease.FixedPrefix(c.fixedPrefix)
	case a.of != addresses || !c.fixed.IsValid():
		return nil
	}
	for i := range c.asks {
		if other := &c.asks[i]; other.of == a.of {
			if other != a {
				return nil
			}
			break
		}
	}
	if l, known := b.Lease(reserved); known && l.State != lease.Free && (l.State != lease.Active || l.Owner != a.owner) {
		return nil
	}
	return pool
}

// confirm tells whether what the client had is of the link where it is now (section 18.3.3).
func (c *client6) confirm() plan6 {
	any := false
	for i := range c.asks {
		if c.listsForeign(&c.asks[i]) {
			return plan6{status: iana.StatusNotOnLink, said: saidNotOnLink, bare: true}
		}
		any = any || c.asks[i].of == addresses && len(c.asks[i].wants) > 0
	}
	if !any {
		return plan6{because: "it has no address to confirm", quiet: true}
	}
	return plan6{status: iana.StatusSuccess, said: saidSuccess, bare: true}
}

// gives is a RELEASE or a DECLINE (sections 18.3.7 and 18.3.8): only who has a lease by DUID and IAID can end it.
func (c *client6) gives(b ledger6, declined bool) plan6 {
	plan := plan6{status: iana.StatusSuccess, said: saidSuccess, bare: true}
	for i := range c.asks {
		a := &c.asks[i]
		if declined && a.of != addresses {
			continue
		}
		f := fate{association: a}
		for _, w := range a.wants {
			if l, known := b.Lease(w.Addr()); known && l.State == lease.Active && l.Prefix == w && l.ID == c.id(a) && l.Owner[0] == ownerKind(a.of) {
				f.over = append(f.over, l)
			}
		}
		if len(f.over) == 0 {
			f = f.refused(iana.StatusNoBinding, saidNoBinding)
		}
		plan.fates = append(plan.fates, f)
	}
	return plan
}
