package firmware

import (
	"encoding/binary"
	"net/netip"
)

// Types of DHCPv6 messages.
const (
	request6 = 3
	release6 = 8
)

// Solicit is the SOLICIT that begins an exchange.
func (m Machine) Solicit(xid [3]byte) []byte {
	m.V6 = true
	b := m.Request()
	copy(b[1:4], xid[:])
	return b
}

// Select6 is the REQUEST for the address that a server advertised; the server is named by its DUID.
func (m Machine) Select6(xid [3]byte, server []byte, address netip.Addr) []byte {
	return m.follow6(xid, request6, server, address, true)
}

// Release6 gives an address back to the server that leased it.
func (m Machine) Release6(xid [3]byte, server []byte, address netip.Addr) []byte {
	return m.follow6(xid, release6, server, address, false)
}

func (m Machine) follow6(xid [3]byte, kind byte, server []byte, address netip.Addr, all bool) []byte {
	first := m.Solicit(xid)
	out := message6(first[:4:4])
	out[0] = kind
	for b := first[4:]; len(b) >= 4; {
		code, n := binary.BigEndian.Uint16(b), 4+int(binary.BigEndian.Uint16(b[2:]))
		switch {
		case code == 3:
			var lease message6
			lease.option(5, append(address.AsSlice(), make([]byte, 8)...)...)
			out.option(3, append(append([]byte{}, b[4:n]...), lease...)...)
		case code == 1 || all:
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	out.option(2, server...)
	if !all {
		out.option(8, 0, 0)
	}
	return out
}
