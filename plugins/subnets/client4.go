package subnets

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lend"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/server/request"
)

// client4 is all that one request tells: who asks, for what, and from where.
type client4 struct {
	lease.Client
	kind dhcpv4.MessageType // None: BOOTP
	// asks is the address that the client has or wants; ciaddr the one that it is reached at.
	asks, ciaddr netip.Addr
	// link is an address of the client's link, by the relay or by what the client says; invalid: it is on our own.
	link     netip.Addr
	relay    netip.Addr
	unicast  bool         // it was sent to an address of ours
	ours     []netip.Addr // of the receiving interface, or else the server identifier
	meansUs  bool         // the server that it names is us, or it names none
	fromPort bool         // CircuitID or RemoteID are set

	found
}

// found is what the policy knows of a client.
type found struct {
	network *network // nil: its link is none of ours
	machine *reservation
	fixed   netip.Addr // of the machine's here; invalid: none
	known   bool
	bootp   bool
	classes []*class
}

// leave tells later plugins where a client with the address is.
func (f *found) leave(r *request.Request, p *Policy, a netip.Addr) {
	if f.network == nil {
		return
	}
	place := netboot.Place{Network: f.network.name}
	if s := p.subnet(a); s != nil {
		place.Subnet = s.text
	}
	for _, c := range f.classes {
		place.Classes = append(place.Classes, c.Name)
	}
	request.Leave(r, place)
}

// maxID bounds a client identifier that is an owner.
const maxID = lease.MaxField - 1

// Kinds of owners. A hardware type takes the place of the kind, and 0 is none.
const ownerByID = "\x00"

// read4 tells who asks, in c.
func (p *Policy) read4(c *client4, req, resp *dhcpv4.DHCPv4, r *request.Request) {
	*c = client4{
		kind: netboot.Type4(req), ciaddr: lend.Addr(req.ClientIPAddr), relay: lend.Addr(req.GatewayIPAddr),
		meansUs: lend.MeansUs(req, resp),
	}
	owner := lend.Owner(uint8(req.HWType), req.ClientHWAddr)
	c.Client = lease.Client{
		Owner: owner, MAC: owner[1:],
		ID: string(req.Options[dhcpv4.OptionClientIdentifier.Code()]), Hostname: string(req.Options[dhcpv4.OptionHostName.Code()]),
	}
	if req.HWType == 0 { // reserved by RFC 5494 section 2, and a client that says it would be one known by its identifier
		c.MAC = ""
	}
	if id := c.ID; p.identity.clientID && id != "" && len(id) <= maxID {
		c.Owner = ownerByID + id
	}
	c.link = c.relay
	if a := lend.Addr(req.Options[optSubnetSelection]); a.IsValid() {
		c.link = a // RFC 3011
	}
	if agent := req.RelayAgentInfo(); agent != nil {
		c.CircuitID = string(agent.Get(dhcpv4.AgentCircuitIDSubOption))
		c.RemoteID = string(agent.Get(dhcpv4.AgentRemoteIDSubOption))
		if a := lend.Addr(agent.Get(dhcpv4.LinkSelectionSubOption)); a.IsValid() && c.relay.IsValid() {
			c.link = a // RFC 3527; only a relay can say it, and without one the client made it up
		}
	}
	c.fromPort = c.CircuitID != "" || c.RemoteID != ""
	if c.asks = c.ciaddr; !c.asks.IsValid() || c.kind == dhcpv4.MessageTypeDecline {
		c.asks = lend.Addr(req.Options[dhcpv4.OptionRequestedIPAddress.Code()])
	}
	for _, a := range r.Interface().Addresses {
		if a.Addr().Is4() {
			c.ours = append(c.ours, a.Addr())
		}
	}
	if local := r.Local().Addr(); local.Is4() {
		c.unicast = local == r.Source()
	}
	if len(c.ours) == 0 {
		c.unicast = true // nothing is known of it
		if id := netboot.Server4(resp); id.IsValid() {
			c.ours = []netip.Addr{id}
		}
	}
}

const optSubnetSelection = 118

// remember takes what a relay once told of a client that now asks without one, to renew.
func (c *client4) remember(b ledger) {
	if c.fromPort || c.relay.IsValid() || !c.ciaddr.IsValid() {
		return
	}
	if l, known := b.Lease(c.ciaddr); known && l.State == lease.Active && l.MAC == c.MAC {
		c.CircuitID, c.RemoteID = l.CircuitID, l.RemoteID
	}
}

// ledger is what decisions ask of the leases.
type ledger interface {
	Lease(netip.Addr) (lease.Lease, bool)
}

// locate finds the client's network: by the relay or what the client selects; by its own address, if that is how it
// reached us; or by the interface that it was heard on.
func (p *Policy) locate(c *client4) *network {
	if c.link.IsValid() {
		return p.network(c.link)
	}
	if c.ciaddr.IsValid() && (c.unicast || c.kind == dhcpv4.MessageTypeInform) {
		if n := p.network(c.ciaddr); n != nil {
			return n
		}
	}
	for _, a := range c.ours {
		if n := p.network(a); n != nil {
			return n
		}
	}
	return nil
}

func (p *Policy) network(a netip.Addr) *network {
	if s := p.subnet(a); s != nil {
		return s.network
	}
	return nil
}
