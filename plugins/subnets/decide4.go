package subnets

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lend"
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
	same    string        // the owner that the same machine has it by now; empty: nobody has it, or this client
	from    []*lease.Pool // otherwise
	reason  string        // why not own
}

func silent(because string) plan { return plan{because: because} }

// decide is what becomes of a request.
func (p *Policy) decide(c *client4, b ledger) plan {
	switch {
	case c.MAC == "":
		return silent("the client has no hardware address")
	case len(c.ID) > lend.MaxEcho:
		return silent("its client identifier is too long to come back in a reply, as RFC 6842 demands")
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
	own := p.own(c, b)
	own.verb = v
	if own.own != nil {
		own.from = c.network.open(&c.found, true)
		return own
	}
	return p.dynamic(c, own)
}

// own is the part of a plan that the client's reserved address makes, if it has one.
func (p *Policy) own(c *client4, b ledger) (as plan) {
	if !c.fixed.IsValid() {
		return as
	}
	l, known := b.Lease(c.fixed)
	switch {
	case !known || l.State == lease.Free || l.State == lease.Active && l.Owner == c.Owner:
	case l.State == lease.Abandoned:
		return plan{reason: "its reserved address was found in use"}
	default:
		// Another of its cards, or another machine at the same port, is the same machine to the operator.
		if m, _ := p.reserved(c.network, &l.Client, true); m != c.machine || !p.vouched(c) {
			return plan{reason: "its reserved address is still lent to another machine"}
		}
		as.same = l.Owner
	}
	as.own = lease.Fixed(c.fixed)
	return as
}

// vouched tells whether more than the client's own word has it the machine that it says to be: a port that no relay speaks of
// anybody can name, and an address that is in use is not moved by that.
func (p *Policy) vouched(c *client4) bool {
	if c.relay.IsValid() || !c.fromPort {
		return true
	}
	itself := c.Client
	itself.CircuitID, itself.RemoteID = "", ""
	m, _ := p.reserved(c.network, &itself, true)
	return m == c.machine
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
	own := p.own(c, b)
	switch {
	case own.own != nil && c.asks == c.fixed:
		own.verb = grant
		return own
	case own.own != nil:
		return plan{verb: refuse, because: "its address is " + c.fixed.String()}
	}
	own.verb = grant
	as := p.dynamic(c, own)
	if as.verb == grant && p.lends(as.from, c.asks) {
		return as
	}
	switch l, known := b.Lease(c.asks); {
	case known && l.State == lease.Active && l.Owner == c.Owner:
		return plan{verb: refuse, because: "the address is not lent to it any more"} // the file has changed
	case known && l.State != lease.Free:
		return plan{verb: refuse, because: lease.ErrTaken.Error()}
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
