package dhcp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	ethernetHeader = 14
	ipHeader       = 20
	headers        = ethernetHeader + ipHeader + 8
)

// end is one of the two ends of a datagram.
type end struct {
	mac  [6]byte
	ip   [4]byte
	port uint16
}

// everybody is where firmware without an address sends to.
func everybody() end {
	return end{mac: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ip: [4]byte{255, 255, 255, 255}, port: serverPort}
}

// frame writes the Ethernet, IP and UDP headers before a message that begins at b[headers:].
func frame(b []byte, from, to end) {
	copy(b, to.mac[:])
	copy(b[6:], from.mac[:])
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IP)

	ip := b[ethernetHeader:][:ipHeader]
	copy(ip, "\x45\x00\x00\x00\x00\x00\x00\x00\x40\x11\x00\x00")
	copy(ip[12:], from.ip[:])
	copy(ip[16:], to.ip[:])
	binary.BigEndian.PutUint16(ip[2:], uint16(len(b)-ethernetHeader))
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip)))

	udp := b[ethernetHeader+ipHeader:]
	length := uint16(len(udp))
	binary.BigEndian.PutUint16(udp, from.port)
	binary.BigEndian.PutUint16(udp[2:], to.port)
	binary.BigEndian.PutUint16(udp[4:], length)
	udp[6], udp[7] = 0, 0
	checksum := ^fold(sum(udp) + sum(ip[12:]) + unix.IPPROTO_UDP + uint64(length))
	if checksum == 0 {
		checksum = 0xffff // 0 would mean none (RFC 768)
	}
	binary.BigEndian.PutUint16(udp[6:], checksum)
}

// sum adds up 16-bit words for an Internet checksum (RFC 1071), eight bytes at a time.
func sum(b []byte) (s uint64) {
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(binary.BigEndian.Uint32(b))
	}
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
