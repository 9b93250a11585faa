package server

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// class is how dear a request is: under a flood the lower ones are shed first.
type class uint8

const (
	first   class = iota // DISCOVER, SOLICIT: the client asks again, and nothing is lost
	middle               // INFORM, CONFIRM and the like
	dearest              // REQUEST, RENEW, RELEASE: an exchange that would be finished
	classes
)

// glance is what the engine must know of a datagram before anybody reads it: whose it is, and how dear.
type glance struct {
	client uint64 // a hash of the client's identity: its requests are served in order, by one worker
	class  class
}

const (
	header4 = 240 // up to the options, with the magic cookie
	header6 = 4
	relay6  = 34
	// hopLimit bounds the relays of a message: RFC 8415 allows 8, RFC 3315 allowed 32.
	hopLimit = 32
)

// glance4 looks at a DHCPv4 datagram. The reason tells why it is none that a server answers; empty: it may be one.
func glance4(b []byte, seed maphash.Seed) (g glance, why reason) {
	if len(b) < header4 || binary.BigEndian.Uint32(b[236:]) != 0x63825363 {
		return g, dropMalformed
	}
	if dhcpv4.OpcodeType(b[0]) != dhcpv4.OpcodeBootRequest {
		return g, dropNotRequest
	}
	g.class = middle
	identity := b[28 : 28+min(int(b[2]), 16)]
	for o := b[header4:]; len(o) > 2 && o[0] != dhcpv4.OptionEnd.Code(); {
		if o[0] == dhcpv4.OptionPad.Code() {
			o = o[1:]
			continue
		}
		length := int(o[1])
		if length > len(o)-2 {
			return g, dropMalformed
		}
		switch value := o[2 : 2+length]; {
		case o[0] == dhcpv4.OptionDHCPMessageType.Code() && length == 1:
			g.class = class4(dhcpv4.MessageType(value[0]))
		case o[0] == dhcpv4.OptionClientIdentifier.Code() && b[2] == 0: // RFC 4390: no address, but an identifier
			identity = value
		}
		o = o[2+length:]
	}
	g.client = maphash.Bytes(seed, identity)
	return g, ""
}

func class4(t dhcpv4.MessageType) class {
	switch t {
	case dhcpv4.MessageTypeDiscover:
		return first
	case dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline:
		return dearest
	}
	return middle
}

// glance6 looks at a DHCPv6 datagram, through its relays.
func glance6(b []byte, seed maphash.Seed) (g glance, why reason) {
	for range hopLimit + 1 {
		switch {
		case len(b) < header6:
			return g, dropMalformed
		case dhcpv6.MessageType(b[0]) == dhcpv6.MessageTypeRelayReply:
			return g, dropNotRequest
		case dhcpv6.MessageType(b[0]) != dhcpv6.MessageTypeRelayForward:
			g.class = class6(dhcpv6.MessageType(b[0]))
			id, ok := option6(b[header6:], dhcpv6.OptionClientID)
			if !ok {
				return g, dropMalformed
			}
			g.client = maphash.Bytes(seed, id) // an INFORMATION-REQUEST may have none
			return g, ""
		case len(b) < relay6:
			return g, dropMalformed
		}
		inner, ok := option6(b[relay6:], dhcpv6.OptionRelayMsg)
		if !ok {
			return g, dropMalformed
		}
		b = inner
	}
	return g, dropHops
}

// option6 is the first option with this code, nil if there is none; not ok: the options are malformed.
func option6(b []byte, code dhcpv6.OptionCode) (value []byte, ok bool) {
	for len(b) >= 4 {
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length > len(b)-4 {
			return nil, false
		}
		if binary.BigEndian.Uint16(b) == uint16(code) {
			return b[4 : 4+length], true
		}
		b = b[4+length:]
	}
	return nil, len(b) == 0
}

func class6(t dhcpv6.MessageType) class {
	switch t {
	case dhcpv6.MessageTypeSolicit:
		return first
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind, dhcpv6.MessageTypeRelease,
		dhcpv6.MessageTypeDecline:
		return dearest
	}
	return middle
}
