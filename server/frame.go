package server

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const (
	ipHeader  = 20
	udpHeader = 8
	ttl       = 64
	protoUDP  = 17
)

// appendDatagram appends an IPv4 packet with a UDP datagram to dst. It is not fragmented on the way: a frame is made for
// a link whose size is known, and a client without an address puts no fragments together.
func appendDatagram(dst []byte, from, to netip.AddrPort, payload []byte) []byte {
	var head [ipHeader + udpHeader]byte
	udp := head[ipHeader:]
	source, target := from.Addr().As4(), to.Addr().As4()
	head[0] = 4<<4 | ipHeader/4
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(payload)))
	head[6] = 0x40 // don't fragment
	head[8] = ttl
	head[9] = protoUDP
	copy(head[12:], source[:])
	copy(head[16:], target[:])
	binary.BigEndian.PutUint16(head[10:], ^fold(sum(head[:ipHeader], 0)))

	length := uint16(udpHeader + len(payload))
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], length)
	pseudo := sum(head[12:20], uint64(protoUDP)+uint64(length))
	check := ^fold(sum(payload, sum(udp, pseudo)))
	switch {
	case from.Addr().IsUnspecified():
		check = 0 // none: the kernel may fill in the source
	case check == 0:
		check = 0xffff // RFC 768: 0 says that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return append(append(dst, head[:]...), payload...)
}

// sum adds the 16-bit words of b to acc (RFC 1071), eight bytes at a time.
func sum(b []byte, acc uint64) uint64 {
	var carry uint64
	for ; len(b) >= 8; b = b[8:] {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc += carry
	}
	var rest [8]byte
	copy(rest[:], b)
	acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(rest[:]), 0)
	return acc + carry
}

// fold makes 16 bits of a sum, carries added.
func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

// datagram is the UDP datagram in an IPv4 packet, as far as the packet is whole; ok is false for anything else.
func datagram(packet []byte) (from, to netip.AddrPort, payload []byte, ok bool) {
	if len(packet) < ipHeader || packet[0]>>4 != 4 || packet[9] != protoUDP {
		return from, to, nil, false
	}
	head, total := int(packet[0]&15)*4, int(binary.BigEndian.Uint16(packet[2:]))
	fragment := binary.BigEndian.Uint16(packet[6:])&0x3fff != 0
	if head < ipHeader || total < head+udpHeader || total > len(packet) || fragment || fold(sum(packet[:head], 0)) != 0xffff {
		return from, to, nil, false
	}
	udp := packet[head:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpHeader || length > len(udp) {
		return from, to, nil, false
	}
	port := binary.BigEndian.Uint16
	from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(packet[12:16])), port(udp))
	to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(packet[16:20])), port(udp[2:]))
	return from, to, udp[udpHeader:length], true
}
