package server

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// longest is what a request may have. A DHCPv6 message through many relays is the longest there is.
	longest = 8192
	// controlSize has room for what the kernel tells of a datagram: an in6_pktinfo.
	controlSize = 40
)

// inbox is the memory for datagrams that one system call takes from a socket. It is used again.
type inbox struct {
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // room for each kind of address
	control  [batchSize][controlSize]byte
	data     []byte // longest bytes for each
}

func newInbox() *inbox {
	in := &inbox{data: make([]byte, batchSize*longest)}
	for i := range in.messages {
		in.vectors[i].Base = &in.data[i*longest]
		in.vectors[i].SetLen(longest)
		m := &in.messages[i].msg
		m.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		m.Iov = &in.vectors[i]
		m.SetIovlen(1)
		m.Control = &in.control[i][0]
	}
	return in
}

// prepare undoes what the last call wrote over.
func (in *inbox) prepare() {
	for i := range in.messages {
		m := &in.messages[i].msg
		m.Namelen = unix.SizeofSockaddrInet6
		m.SetControllen(controlSize)
	}
}

// bytes are those of the i-th datagram, until the next call.
func (in *inbox) bytes(i int) []byte { return in.data[i*longest:][:in.messages[i].length] }

func (in *inbox) truncated(i int) bool { return in.messages[i].msg.Flags&unix.MSG_TRUNC != 0 }

// peer is who sent the i-th datagram, and by which interface a link-local address is meant. Invalid: the kernel does not
// tell.
func (in *inbox) peer(i int) (from netip.AddrPort, scope int) {
	name := &in.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	switch name.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port), 0
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), port), int(name.Scope_id)
	}
	return from, 0
}

// link is the interface that the i-th packet of a packet socket came in on, and how it was addressed (packet(7)).
func (in *inbox) link(i int) (index int, kind uint8) {
	name := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&in.names[i]))
	return int(name.Ifindex), name.Pkttype
}

// packetInfo is the interface that the i-th datagram came in on, and the address that was asked.
func (in *inbox) packetInfo(i int) (index int, local netip.Addr) {
	for b := in.control[i][:in.messages[i].msg.Controllen]; len(b) >= unix.SizeofCmsghdr; {
		header, data, rest, err := unix.ParseOneSocketControlMessage(b)
		switch {
		case err != nil:
			return 0, local
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			return int(info.Ifindex), netip.AddrFrom4(info.Addr)
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			return int(info.Ifindex), netip.AddrFrom16(info.Addr)
		}
		b = rest
	}
	return 0, local
}
