package server

import (
	"fmt"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// NewReply6 is the reply before any plugin has seen it, to the innermost message of req.
func NewReply6(req dhcpv6.DHCPv6) (dhcpv6.DHCPv6, error) {
	msg, err := req.GetInnerMessage()
	if err != nil {
		return nil, &dropError{dropMalformed, fmt.Sprintf("has no client message inside: %v", err)}
	}
	reply := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: msg.TransactionID}
	switch msg.Type() {
	case dhcpv6.MessageTypeSolicit:
		if rapid := msg.GetOneOption(dhcpv6.OptionRapidCommit); rapid != nil {
			reply.AddOption(rapid) // RFC 8415 section 18.3.1
		} else {
			reply.MessageType = dhcpv6.MessageTypeAdvertise
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind,
		dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline, dhcpv6.MessageTypeInformationRequest:
	default:
		return nil, &dropError{dropType, "has no message type that a server answers"}
	}
	id := msg.GetOneOption(dhcpv6.OptionClientID)
	if id == nil && msg.Type() != dhcpv6.MessageTypeInformationRequest {
		return nil, &dropError{dropMalformed, "has no client identifier"} // RFC 8415 section 16
	}
	if id != nil {
		reply.AddOption(id)
	}
	return reply, nil
}

// wrap6 is the reply as the relays of req want it: each one's own level with its addresses, hop count, interface-id and
// what else it wants back (RFC 8415 section 19.3).
func wrap6(req dhcpv6.DHCPv6, reply dhcpv6.DHCPv6) dhcpv6.DHCPv6 {
	forward, relayed := req.(*dhcpv6.RelayMessage)
	if !relayed {
		return reply
	}
	out := &dhcpv6.RelayMessage{
		MessageType: dhcpv6.MessageTypeRelayReply, HopCount: forward.HopCount,
		LinkAddr: forward.LinkAddr, PeerAddr: forward.PeerAddr,
	}
	out.AddOption(dhcpv6.OptRelayMessage(wrap6(forward.Options.RelayMessage(), reply)))
	for _, wanted := range []dhcpv6.OptionCode{dhcpv6.OptionInterfaceID, dhcpv6.OptionRemoteID, dhcpv6.OptionRelayPort} {
		if o := forward.GetOneOption(wanted); o != nil {
			out.AddOption(o)
		}
	}
	return out
}
