package subnets

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/server/request"
)

// client6 is all that one DHCPv6 request tells: who asks, for what, and from where.
type client6 struct {
	lease.Client // without Owner and ID, which each association has of its own
	kind         dhcpv6.MessageType
	duid         string // as on the wire
	mac          netboot.MAC
	asks         []association
	link         netip.Addr // of the relay on the client's link; invalid: the link is our own
	relayed      bool
	unicast      bool         // it was sent to an address of ours
	ours         []netip.Addr // of the receiving interface
	server, us   string       // the DUID of the server that it names, and ours; empty: none
	rapid        bool         // it would take a REPLY to its SOLICIT

	found
	fixedPrefix netip.Prefix // that is reserved for the machine; invalid: none
}

// association is what the client has or wants under one IAID (RFC 8415 section 12).
type association struct {
	of    resource
	iaid  [4]byte
	wants []netip.Prefix // that it has, or hints at; an address is a prefix of full length
	owner string         // for the leases; empty: it may have none
	has   lease.Lease    // its lease, if it is active
}

// resource is what associations are of.
type resource uint8

const (
	addresses resource = iota // IA_NA
	prefixes                  // IA_PD
	temporary                 // IA_TA, which nobody is given
)

// Bounds of one message: clients have one association of a kind, or a few.
const (
	maxAssociations = 8
	maxWants        = 8
	maxDUID         = 130 // RFC 8415 section 11.1
)

// read6 tells who asks.
func read6(req dhcpv6.DHCPv6, msg, resp *dhcpv6.Message, r *request.Request) (*client6, error) {
	known, err := netboot.Client6(req)
	if err != nil {
		return nil, err
	}
	c := &client6{
		kind: msg.MessageType, duid: rawOption(msg, dhcpv6.OptionClientID), server: rawOption(msg, dhcpv6.OptionServerID),
		us: rawOption(resp, dhcpv6.OptionServerID), mac: known.MAC, link: known.Relay.Addr, relayed: req.IsRelay(),
		rapid: msg.GetOneOption(dhcpv6.OptionRapidCommit) != nil,
	}
	if !c.mac.Known() && !c.relayed {
		c.mac = netboot.MACFromEUI64(r.Peer().Addr())
	}
	c.Client = lease.Client{MAC: string(c.mac.Bytes()), Hostname: known.Hostname, CircuitID: known.Relay.CircuitID, RemoteID: known.Relay.RemoteID}
	for _, a := range r.Interface().Addresses {
		if a.Addr().Is6() {
			c.ours = append(c.ours, a.Addr())
		}
	}
	local := r.Local().Addr()
	c.unicast = !c.relayed && local.Is6() && !local.IsMulticast() && !local.IsUnspecified()
	c.readAssociations(msg)
	return c, nil
}

// rawOption is an option's value as on the wire; empty: it is not there.
func rawOption(m *dhcpv6.Message, code dhcpv6.OptionCode) string {
	if o := m.GetOneOption(code); o != nil {
		return string(o.ToBytes())
	}
	return ""
}

func (c *client6) readAssociations(msg *dhcpv6.Message) {
	for _, ia := range msg.Options.IANA() {
		c.associate(addresses, ia.IaId, wantsOf(ia.Options.Options, dhcpv6.OptionIAAddr))
	}
	for _, ia := range msg.Options.IAPD() {
		c.associate(prefixes, ia.IaId, wantsOf(ia.Options.Options, dhcpv6.OptionIAPrefix))
	}
	for _, ia := range msg.Options.IATA() {
		c.associate(temporary, ia.IaId, nil)
	}
}

// associate takes an association in, the first of a kind and IAID.
func (c *client6) associate(of resource, iaid [4]byte, wants []netip.Prefix) {
	n := 0
	for _, a := range c.asks {
		if a.of == of {
			n++
		}
		if a.of == of && a.iaid == iaid {
			return
		}
	}
	if n < maxAssociations {
		c.asks = append(c.asks, association{of: of, iaid: iaid, wants: wants})
	}
}

// wantsOf are the addresses or prefixes inside of an association. What is none is passed over.
func wantsOf(inside dhcpv6.Options, code dhcpv6.OptionCode) (wants []netip.Prefix) {
	for _, o := range inside.Get(code) {
		var want netip.Prefix
		switch o := o.(type) {
		case *dhcpv6.OptIAAddress:
			want = prefixOf(o.IPv6Addr, 128)
		case *dhcpv6.OptIAPrefix:
			if o.Prefix != nil {
				bits, _ := o.Prefix.Mask.Size()
				want = prefixOf(o.Prefix.IP, bits)
			}
		}
		if want.IsValid() && !want.Addr().IsUnspecified() && len(wants) < maxWants {
			wants = append(wants, want)
		}
	}
	return wants
}

func prefixOf(ip net.IP, bits int) netip.Prefix {
	a, ok := netip.AddrFromSlice(ip)
	if !ok || !a.Is6() || a.Is4In6() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// locate6 finds the client's network: by the relay on its link, or by the interface that it was heard on (RFC 8415 section
// 13.1).
func (p *Policy) locate6(c *client6) *network {
	if c.link.IsValid() {
		return p.network(c.link)
	}
	for _, a := range c.ours {
		if n := p.network(a); n != nil {
			return n
		}
	}
	return nil
}

// reserved6 is the reservation of a client that applies in a network, with what it has there.
func (p *Policy) reserved6(n *network, c *client6) (r *reservation, addr netip.Addr, prefix netip.Prefix) {
	if len(p.machines) == 0 || n == nil {
		return nil, addr, prefix
	}
	for _, k := range []key{
		{byDUID, c.duid, ""}, {byMAC, c.MAC, ""}, {byPort, c.CircuitID, c.RemoteID}, {byPort, c.CircuitID, ""}, {byPort, "", c.RemoteID},
	} {
		if k.a == "" && k.b == "" {
			continue
		}
		if r := p.machines[k]; r != nil {
			if a, ok := r.in(n, false); ok {
				return r, a, r.prefix
			}
		}
	}
	return nil, addr, prefix
}
