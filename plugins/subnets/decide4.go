package subnets

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// verb is what is to be done about a request.
type verb uint8

const (
	silence verb = iota
	offer        // offer an address
	lendNow      // offer one and lend it at once, since no REQUEST follows
	grant        // lend the address that is asked for
	refuse       // tell the client to begin anew
	inform       // tell a client that has an address the rest
	release
	decline
)

// plan is a decision. What the leases say to it may still turn it.
type plan struct {
	verb    verb
	because string        // of silence and refuse
	quiet   bool          // nobody needs to know
	own     *lease.Pool   // of the reserved address; nil: there is none, or somebody else still has it
	from    []*lease.Pool // otherwise
	reason  string        // why not own
}

func silent(because string) plan { return plan{because: because} }

// decide is what becomes of a request.
func (p *Policy) decide(c *client4, b ledger) plan {
	switch {
	case c.MAC == "":
		return silent("the client has no hardware address")
	case c.network == nil && c.kind == dhcpv4.MessageTypeRequest && !c.meansUs:
		return plan{because: "it chose another server", quiet: true}
	case c.network == nil && c.kind == dhcpv4.MessageTypeRelease:
		return plan{verb: release} // by the address alone
	case c.network == nil:
		return silent("its network is none of those in the file")
	case c.machine != nil && c.machine.ignore:
		return silent("its reservation says ignore")
	}
	switch c.kind {
	case dhcpv4.MessageTypeDiscover:
		return p.discover(c, b, offer)
	case dhcpv4.MessageTypeRequest:
		return p.request(c, b)
	case dhcpv4.MessageTypeInform:
		return p.inform(c)
	case dhcpv4.MessageTypeRelease:
		return plan{verb: release}
	case dhcpv4.MessageTypeDecline:
		return plan{verb: decline}
	}
	if c.fixed.IsValid() && !p.bootp {
		return silent("it asks by BOOTP, which the file does not allow")
	}
	return p.discover(c, b, lendNow)
}

func (p *Policy) discover(c *client4, b ledger, v verb) plan {
	if own, taken := c.own(b); own != nil {
		return plan{verb: v, own: own, from: c.network.open(&c.found, true)}
	} else if taken != "" {
		return p.dynamic(c, plan{verb: v, reason: taken})
	}
	return p.dynamic(c, plan{verb: v})
}

// own is the pool of the client's reserved address; nil: it has none, or somebody else still has it.
func (c *client4) own(b ledger) (own *lease.Pool, taken string) {
	if !c.fixed.IsValid() {
		return nil, ""
	}
	l, known := b.Lease(c.fixed)
	switch {
	case !known || l.State == lease.Free || l.State == lease.Active && l.Owner == c.Owner:
	case l.State == lease.Abandoned:
		return nil, "its reserved address was found in use"
	default:
		return nil, "its reserved address is still lent to another machine"
	}
	return lease.Fixed(c.fixed), ""
}

// dynamic adds the pools that the client may have an address of.
func (p *Policy) dynamic(c *client4, as plan) plan {
	if as.from = c.network.open(&c.found, true); len(as.from) > 0 {
		return as
	}
	switch {
	case c.bootp:
		return silent("it asks by BOOTP, and there is no address for that")
	case !c.known && c.network.denies():
		return silent("it is unknown, which the file denies")
	}
	return silent("no pool of its network is for it")
}

func (n *network) denies() bool {
	for _, s := range n.subnets {
		if s.denyUnknown && s.Addr().Is4() {
			return true
		}
	}
	return false
}

// request serves the four states that a client asks in (RFC 2131 section 4.3.2). A client that asks for what we cannot know
// to be ours hears nothing, since it may be another server's.
func (p *Policy) request(c *client4, b ledger) plan {
	wrong := func(because string) plan {
		if c.network.authoritative {
			return plan{verb: refuse, because: because}
		}
		return silent(because)
	}
	switch {
	case !c.meansUs:
		return plan{because: "it chose another server", quiet: true}
	case !c.asks.IsValid():
		return silent("it asks for no address")
	case !c.network.contains(c.asks):
		return wrong("the address is of another network")
	}
	own, taken := c.own(b)
	switch {
	case own != nil && c.asks == c.fixed:
		return plan{verb: grant, own: own}
	case own != nil:
		return plan{verb: refuse, because: "its address is " + c.fixed.String()}
	}
	as := p.dynamic(c, plan{verb: grant, reason: taken})
	if as.verb == grant && p.lends(as.from, c.asks) {
		return as
	}
	switch l, known := b.Lease(c.asks); {
	case known && l.State == lease.Active && l.Owner == c.Owner:
		return plan{verb: refuse, because: "the address is not lent to it any more"} // the file has changed
	case c.asks == c.fixed:
		return plan{verb: refuse, because: taken}
	case as.verb != grant:
		return as
	}
	return silent("the address is in no pool of its")
}

// lends tells whether an address is in one of the pools.
func (p *Policy) lends(from []*lease.Pool, a netip.Addr) bool {
	pool := p.pool(a)
	if pool == nil {
		return false
	}
	for _, f := range from {
		if f == pool.lent {
			return true
		}
	}
	return false
}

// inform serves a client that has an address and wants to know the rest.
func (p *Policy) inform(c *client4) plan {
	switch s := p.subnet(c.ciaddr); {
	case !c.network.authoritative:
		return silent("INFORM is answered where the server is authoritative")
	case s == nil || s.network != c.network:
		return silent("its address is in none of the subnets")
	}
	return plan{verb: inform}
}
