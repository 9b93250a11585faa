package dhcp

import (
	"encoding/binary"
	"fmt"
)

// Firmware is what asks.
type Firmware int

// The clients that a load is made of. They send what the real ones do, by their sources and captures.
const (
	Plain Firmware = iota // an operating system, as busybox udhcpc: no boot options
	PXE                   // arch 0: a network card's ROM; any other: EDK2
	IPXE
)

// Profile is a kind of machine.
type Profile struct {
	Firmware Firmware
	Arch     uint16 // option 93
	// Unicast clears the broadcast flag that PXE firmware sets.
	Unicast bool
}

// String is how a profile is named in reports.
func (p Profile) String() string {
	switch p.Firmware {
	case Plain:
		return "plain"
	case IPXE:
		return fmt.Sprintf("ipxe-%d", p.Arch)
	}
	return fmt.Sprintf("pxe-%d", p.Arch)
}

// Broadcast is whether the machine asks for its answers to be broadcast: PXE firmware does, iPXE and udhcpc do not.
func (p Profile) Broadcast() bool { return p.Firmware == PXE && !p.Unicast }

// MAC is the hardware address of the n-th machine, n below 1<<24.
func MAC(n int) [6]byte {
	return [6]byte{0x52, 0x54, 0, byte(n >> 16), byte(n >> 8), byte(n)}
}

// Positions in the fixed part of a message (RFC 2131 section 2).
const (
	atHops      = 3
	atXID       = 4
	atSecs      = 8
	atFlags     = 10
	atYiaddr    = 16
	atSiaddr    = 20
	atGiaddr    = 24
	atChaddr    = 28
	atFile      = 108
	fileLength  = 128
	atCookie    = 236
	atOptions   = 240
	cookie      = 0x63825363
	bootRequest = 1
	bootReply   = 2
)

// Message types of option 53, and the options that the generator reads.
const (
	Discover = 1
	Offer    = 2
	Request  = 3
	ACK      = 5
	NAK      = 6

	optionAddress  = 50
	optionType     = 53
	optionServer   = 54
	optionBootFile = 67
	optionPad      = 0
	optionEnd      = 255
)

// template is a message of one kind of machine, with the places that differ from machine to machine.
type template struct {
	bytes             []byte
	identifier        int // of the MAC in option 61; 0: none
	uuid              int // of the MAC at the end of option 97; 0: none
	server, requested int // of the values of options 54 and 50; 0: a DISCOVER
}

// newTemplate encodes a message in the order of options that the firmware sends.
func newTemplate(p Profile, kind byte) template {
	t := template{bytes: make([]byte, atOptions, 600)}
	b := t.bytes
	b[0], b[1], b[2] = bootRequest, 1, 6
	if p.Broadcast() {
		b[atFlags] = 0x80
	}
	binary.BigEndian.PutUint32(b[atCookie:], cookie)
	t.option(optionType, kind)
	if kind == Request {
		t.server = t.option(optionServer, 0, 0, 0, 0)
		t.requested = t.option(optionAddress, 0, 0, 0, 0)
	}
	switch p.Firmware {
	case Plain:
		t.identifier = t.option(61, 1, 0, 0, 0, 0, 0, 0) + 1
		t.option(57, 2, 64)
		t.option(55, 1, 3, 6, 12, 15, 28, 42)
		t.option(60, []byte("udhcp 1.35.0")...)
	case IPXE:
		t.option(57, 1472>>8, 1472&0xff)
		t.option(93, byte(p.Arch>>8), byte(p.Arch))
		undi := []byte{1, 3, 10}
		if p.Arch == 0 {
			undi = []byte{1, 2, 1}
		}
		t.option(94, undi...)
		t.option(60, []byte(fmt.Sprintf("PXEClient:Arch:%05d:UNDI:%03d%03d", p.Arch, undi[1], undi[2]))...)
		t.option(77, []byte("iPXE")...)
		t.option(55, 1, 3, 6, 7, 12, 15, 17, 26, 42, 43, 60, 66, 67, 119, 121, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203)
		t.option(175, 0xb1, 5, 1, 0x1a, 0xf4, 0x10, 0, 0xeb, 3, 2, 0, 0, 0x13, 1, 1, 0x14, 1, 1, 0x15, 1, 1, 0x21, 1, 1,
			0x24, 1, 1, 0x27, 1, 1)
		t.identifier = t.option(61, 1, 0, 0, 0, 0, 0, 0) + 1
		t.option97()
	default:
		t.option(57, maxSize(p, kind)...)
		t.option(55, 1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
			128, 129, 130, 131, 132, 133, 134, 135)
		t.option97()
		undi := []byte{1, 3, 16}
		if p.Arch == 0 {
			undi = []byte{1, 2, 1}
		}
		t.option(94, undi...)
		t.option(93, byte(p.Arch>>8), byte(p.Arch))
		t.option(60, []byte(fmt.Sprintf("PXEClient:Arch:%05d:UNDI:%03d%03d", p.Arch, undi[1], undi[2]))...)
	}
	t.bytes = append(t.bytes, optionEnd)
	if pad := 300 - len(t.bytes); pad > 0 { // the least that BOOTP relays pass on (RFC 1542 section 2.1)
		t.bytes = append(t.bytes, make([]byte, pad)...)
	}
	return t
}

// maxSize is option 57: 1260 from a card's ROM; EDK2 asks for 1472, and for 65280 in its REQUEST.
func maxSize(p Profile, kind byte) []byte {
	switch {
	case p.Arch == 0:
		return []byte{1260 >> 8, 1260 & 0xff}
	case kind == Request:
		return []byte{0xff, 0}
	}
	return []byte{1472 >> 8, 1472 & 0xff}
}

// option appends an option and returns where its value lies.
func (t *template) option(code byte, value ...byte) int {
	t.bytes = append(t.bytes, code, byte(len(value)))
	at := len(t.bytes)
	t.bytes = append(t.bytes, value...)
	return at
}

// option97 is a machine's UUID: type 0, then 16 bytes whose last six are the MAC.
func (t *template) option97() {
	at := t.option(97, 0, 0x44, 0x45, 0x4c, 0x4c, 0x42, 0, 0x10, 0x35, 0x80, 0x54, 0, 0, 0, 0, 0, 0)
	t.uuid = at + 11
}

// fill copies the template into b and makes it the message of one machine.
func (t *template) fill(b []byte, mac [6]byte, xid uint32, relay [4]byte) {
	copy(b, t.bytes)
	binary.BigEndian.PutUint32(b[atXID:], xid)
	copy(b[atChaddr:], mac[:])
	if t.identifier != 0 {
		copy(b[t.identifier:], mac[:])
	}
	if t.uuid != 0 {
		copy(b[t.uuid:], mac[:])
	}
	if relay != ([4]byte{}) {
		b[atHops] = 1
		copy(b[atGiaddr:], relay[:])
	}
}

// Speaker makes the messages of one kind of machine.
type Speaker struct{ discover, request template }

// NewSpeaker prepares the messages of a profile.
func NewSpeaker(p Profile) *Speaker {
	return &Speaker{discover: newTemplate(p, Discover), request: newTemplate(p, Request)}
}

// Discover queues a machine's DHCPDISCOVER; secs is as firmware counts it.
func (s *Speaker) Discover(port *Port, mac [6]byte, xid uint32, secs uint16) error {
	b := port.next(len(s.discover.bytes))
	s.discover.fill(b, mac, xid, port.relay)
	binary.BigEndian.PutUint16(b[atSecs:], secs)
	return port.commit()
}

// Request queues a machine's DHCPREQUEST for the address that a server offered.
func (s *Speaker) Request(port *Port, mac [6]byte, xid uint32, address, server [4]byte) error {
	b := port.next(len(s.request.bytes))
	s.request.fill(b, mac, xid, port.relay)
	copy(b[s.request.server:], server[:])
	copy(b[s.request.requested:], address[:])
	return port.commit()
}
