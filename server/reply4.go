package server

import (
	"fmt"
	"net"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// reply is the reply before any plugin has seen it, as CoreDHCP makes it, and the kind of message that is replied to.
func (x *exchange4) reply(req *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, Messages, error) {
	if req.OpCode != dhcpv4.OpcodeBootRequest {
		return nil, 0, &dropError{dropNotRequest, "is a reply, not a request"}
	}
	if !usableHWAddr(req) {
		return nil, 0, &dropError{dropHLen, fmt.Sprintf("has hardware type %d and an address of %d bytes", req.HWType, len(req.ClientHWAddr))}
	}
	// dhcpv4.NewReplyFromRequest does the same, after it has made up a transaction id.
	x.told = emptied(x.told, usualTold)
	resp := &x.resp
	*resp = dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: req.HWType, TransactionID: req.TransactionID, Flags: req.Flags,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		GatewayIPAddr: req.GatewayIPAddr, ClientHWAddr: req.ClientHWAddr, Options: x.told,
	}
	for _, echoed := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier} {
		if v, ok := req.Options[echoed.Code()]; ok {
			resp.Options[echoed.Code()] = v
		}
	}
	kind := ordinary
	switch t := netboot.Type4(req); {
	case t == dhcpv4.MessageTypeDiscover:
		x.setType(dhcpv4.MessageTypeOffer)
	case t == dhcpv4.MessageTypeRequest, t == dhcpv4.MessageTypeInform:
		x.setType(dhcpv4.MessageTypeAck)
	case t == dhcpv4.MessageTypeRelease: // plugins free what is released
	case t == dhcpv4.MessageTypeDecline:
		kind = Decline
	case !req.Options.Has(dhcpv4.OptionDHCPMessageType):
		kind = BOOTP
	default:
		return nil, 0, &dropError{dropType, "has no message type that a server answers"}
	}
	if isGUID(req) {
		kind |= GUIDAddress
	}
	return resp, kind, nil
}

func (x *exchange4) setType(t dhcpv4.MessageType) {
	x.kind[0] = byte(t)
	x.resp.Options[dhcpv4.OptionDHCPMessageType.Code()] = x.kind[:]
}

// answerable tells a reply that may leave: a client that gives back or refuses an address waits for none (RFC 2131
// table 3), and an old BOOTP client takes the first reply for its own, so that one without an address is none.
func answerable(req, resp *dhcpv4.DHCPv4, kind Messages) bool {
	switch {
	case netboot.Type4(req) == dhcpv4.MessageTypeRelease, kind&Decline != 0:
		return false
	case kind&BOOTP != 0:
		return isSet(resp.YourIPAddr) || isSet(req.ClientIPAddr)
	}
	return true
}

func isSet(ip net.IP) bool { return len(ip) > 0 && !ip.IsUnspecified() }

// usableHWAddr tells a request whose hardware address stock code can handle: it stores it as a key, and cannot read a
// stored empty one at its next start.
func usableHWAddr(req *dhcpv4.DHCPv4) bool {
	if isEthernet(req) {
		return len(req.ClientHWAddr) == 6 || isGUID(req)
	}
	return len(req.ClientHWAddr) >= 6
}

// isGUID tells firmware that sends its machine's GUID for the address of its Ethernet card. Who has no address yet is
// reached by broadcast: nobody knows the card's own.
func isGUID(req *dhcpv4.DHCPv4) bool { return isEthernet(req) && len(req.ClientHWAddr) == 16 }

func isEthernet(req *dhcpv4.DHCPv4) bool {
	return req.HWType == iana.HWTypeEthernet || req.HWType == iana.HWTypeIEEE802
}
