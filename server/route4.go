package server

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/server/request"
)

const (
	serverPort4 = dhcpv4.ServerPort
	clientPort4 = dhcpv4.ClientPort
	pxePort     = 4011 // of a PXE boot server, which is asked by unicast
)

// route is the way of a reply.
type route struct {
	to   netip.AddrPort
	from netip.Addr // invalid: the kernel chooses
	// link is the interface that the reply must leave by; 0: the routing table decides.
	link int
	// mac is set for a frame to this address: its owner has no IP address yet that would answer ARP.
	mac    [6]byte
	framed bool
}

// route4 decides where a reply goes (RFC 2131 section 4.1), and from which of our addresses. A NAK through a relay gets
// the broadcast flag (RFC 2131 section 4.3.2): the client's address is wrong.
//
//	giaddr set                           its relay, port 67 or the one that it wants (RFC 8357)
//	NAK                                  broadcast: the client has no address that is right
//	ciaddr set                           that address, the port that the request came from
//	asked at 4011                        the sender likewise
//	broadcast flag, no address for it,
//	or no Ethernet                       broadcast
//	else                                 a frame to chaddr
func route4(req, resp *dhcpv4.DHCPv4, f *request.Facts, ours map[netip.Addr]bool) route {
	r := route{link: f.Interface.Index}
	giaddr, ciaddr, yiaddr := addr4(req.GatewayIPAddr), addr4(req.ClientIPAddr), addr4(resp.YourIPAddr)
	nak := netboot.Type4(resp) == dhcpv4.MessageTypeNak
	switch {
	case isHost(giaddr):
		r.to, r.link = netip.AddrPortFrom(giaddr, relayPort(req, f, ours[giaddr])), 0
		if nak {
			resp.SetBroadcast()
		}
	case nak:
		r.to = broadcast4
	case isHost(ciaddr):
		r.to, r.link = netip.AddrPortFrom(ciaddr, sourcePort(f)), 0
	case f.Local.Port() == pxePort && isHost(f.Peer.Addr()):
		r.to, r.link = f.Peer, 0
	case req.IsBroadcast() || !isHost(yiaddr) || !ethernet(req):
		r.to = broadcast4
	default:
		r.to = netip.AddrPortFrom(yiaddr, clientPort4)
		r.mac, r.framed = [6]byte(req.ClientHWAddr), true
	}
	if r.to.Addr().IsLinkLocalUnicast() {
		r.link = f.Interface.Index
	}
	r.from = source4(resp, f, ours, r.link != 0)
	return r
}

//nolint:gochecknoglobals // a constant
var broadcast4 = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort4)

// source4 is the address that was asked; or else the one that the reply says is the server's, if it is one of this
// host's; or else one of the interface, where the reply leaves by that. It is never siaddr, which may be another host's.
func source4(resp *dhcpv4.DHCPv4, f *request.Facts, ours map[netip.Addr]bool, onLink bool) netip.Addr {
	if asked := f.Local.Addr(); ours[asked] {
		return asked
	}
	if id := addr4(resp.Options[dhcpv4.OptionServerIdentifier.Code()]); ours[id] {
		return id
	}
	if !onLink {
		return netip.Addr{}
	}
	return f.Source()
}

// relayPort is the port of the relay: 67, or the one that it sent from if it says so (RFC 8357 section 4). Where its address is
// one of ours, that is believed only of a relay on this host: others would have us talk to any service of it.
func relayPort(req *dhcpv4.DHCPv4, f *request.Facts, ours bool) uint16 {
	if ours && f.Peer.Addr() != addr4(req.GatewayIPAddr) {
		return serverPort4
	}
	if agentOption(req.Options[agent], agentSourcePort) && f.Peer.Port() != 0 {
		return f.Peer.Port()
	}
	return serverPort4
}

const agentSourcePort = 19 // RFC 8357 section 4.2

func agentOption(info []byte, code uint8) bool {
	for len(info) >= 2 && int(info[1]) <= len(info)-2 {
		if info[0] == code {
			return true
		}
		info = info[2+int(info[1]):]
	}
	return false
}

// sourcePort is where the request came from: 68, or with EDK2's PXE client 4011.
func sourcePort(f *request.Facts) uint16 {
	if p := f.Peer.Port(); p != 0 {
		return p
	}
	return clientPort4
}

func ethernet(req *dhcpv4.DHCPv4) bool {
	return len(req.ClientHWAddr) == 6 && isEthernet(req)
}

func addr4(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// isHost tells an address that one host can have.
func isHost(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != broadcast4.Addr()
}

// source is where a packet that we write ourselves comes from.
func (r *route) source(port uint16) netip.AddrPort {
	if !r.from.Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	}
	return netip.AddrPortFrom(r.from, port)
}

// override is the route as a plugin wants it.
func (r route) override(d request.Delivery, link int) route {
	if d.To.IsValid() {
		r.to, r.framed, r.link = d.To, false, 0
		if d.To.Addr().IsLinkLocalUnicast() || !isHost(d.To.Addr()) {
			r.link = link
		}
	}
	if d.From.IsValid() {
		r.from = d.From
	}
	if len(d.MAC) == 6 {
		r.mac, r.framed, r.link = [6]byte(d.MAC), true, link
	}
	return r
}
