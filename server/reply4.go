package server

import (
	"fmt"
	"net"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// NewReply4 is the reply before any plugin has seen it, as CoreDHCP makes it, and the kind of message that is replied to.
func NewReply4(req *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, Messages, error) {
	if req.OpCode != dhcpv4.OpcodeBootRequest {
		return nil, 0, &dropError{dropNotRequest, "is a reply, not a request"}
	}
	if !usableHWAddr(req) {
		return nil, 0, &dropError{dropHLen, fmt.Sprintf("has hardware type %d and an address of %d bytes", req.HWType, len(req.ClientHWAddr))}
	}
	// dhcpv4.NewReplyFromRequest does the same, after it has made up a transaction id.
	resp := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: req.HWType, TransactionID: req.TransactionID, Flags: req.Flags,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		GatewayIPAddr: req.GatewayIPAddr, ClientHWAddr: req.ClientHWAddr, Options: make(dhcpv4.Options, 14),
	}
	for _, echoed := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier} {
		if v, ok := req.Options[echoed.Code()]; ok {
			resp.Options[echoed.Code()] = v
		}
	}
	kind := ordinary
	switch t := netboot.Type4(req); {
	case t == dhcpv4.MessageTypeDiscover:
		setType(resp, dhcpv4.MessageTypeOffer)
	case t == dhcpv4.MessageTypeRequest, t == dhcpv4.MessageTypeInform:
		setType(resp, dhcpv4.MessageTypeAck)
	case t == dhcpv4.MessageTypeRelease: // plugins free what is released
	case t == dhcpv4.MessageTypeDecline:
		kind = Decline
	case !req.Options.Has(dhcpv4.OptionDHCPMessageType):
		kind = BOOTP
	default:
		return nil, 0, &dropError{dropType, "has no message type that a server answers"}
	}
	return resp, kind, nil
}

func setType(resp *dhcpv4.DHCPv4, t dhcpv4.MessageType) {
	resp.Options[dhcpv4.OptionDHCPMessageType.Code()] = []byte{byte(t)}
}

// answerable tells a reply that may leave: a client that gives back or refuses an address waits for none (RFC 2131
// table 3), and an old BOOTP client takes the first reply for its own, so that one without an address is none.
func answerable(req, resp *dhcpv4.DHCPv4, kind Messages) bool {
	switch {
	case netboot.Type4(req) == dhcpv4.MessageTypeRelease, kind == Decline:
		return false
	case kind == BOOTP:
		return isSet(resp.YourIPAddr) || isSet(req.ClientIPAddr)
	}
	return true
}

func isSet(ip net.IP) bool { return len(ip) > 0 && !ip.IsUnspecified() }

// usableHWAddr tells a request whose hardware address stock code can handle: it slices 6 bytes off it for a unicast
// frame, stores it as a key, and cannot read a stored empty one at its next start. A firmware that sends its GUID as a
// 16-byte address of an Ethernet card (EDK2 with SendGUID) is no Ethernet client to it either.
func usableHWAddr(req *dhcpv4.DHCPv4) bool {
	switch req.HWType {
	case iana.HWTypeEthernet, iana.HWTypeIEEE802:
		return len(req.ClientHWAddr) == 6
	}
	return len(req.ClientHWAddr) >= 6
}
