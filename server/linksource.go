package server

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/server/request"
)

// linkSource hears the datagrams for a port that another process has, before they reach it. Nothing is taken away from
// the other one.
type linkSource struct {
	ip   *rawSocket // sends what must be routed
	addr netip.Addr // only requests to this address, or broadcast; unspecified: all
}

// hearLink opens a link source on the interface with this index; 0: on all.
func hearLink(addr net.UDPAddr, index int) (*conn, error) {
	// Protocol 0 receives nothing until bind, so that nothing passes the filter by.
	heard, err := openPacket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	program, err := filter(uint16(addr.Port))
	if err == nil {
		err = heard.control(func(fd int) error {
			return errors.Join(
				os.NewSyscallError("filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program)),
				os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: index})))
		})
	}
	var ip *rawSocket
	if err == nil {
		ip, err = openPacket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	}
	if err != nil {
		return nil, errors.Join(err, heard.close())
	}
	a, _ := netip.AddrFromSlice(addr.IP)
	if a = a.Unmap(); !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	return &conn{socket: heard, sends: heard, link: &linkSource{ip, a}, local: netip.AddrPortFrom(a, uint16(addr.Port))}, nil
}

// filter passes unfragmented UDP to one port; the packet begins with its IP header.
func filter(port uint16) (*unix.SockFprog, error) {
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoUDP, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: 3},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: longest},
	})
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}, nil
}

// hand gives the engine a packet that came in on the interface with this index, if it is a request to this host. Its kind
// is how it was addressed (packet(7)).
func (s *linkSource) hand(e *Engine, c *conn, packet []byte, index int, kind uint8, arrived time.Time) {
	if kind == unix.PACKET_OUTGOING || kind == unix.PACKET_OTHERHOST {
		return
	}
	peer, local, payload, ok := datagram(packet)
	if !ok {
		e.drops.count(dropMalformed)
		return
	}
	now := e.interfaces.now.Load()
	ifi := now.byIndex[index]
	if !s.takes(local.Addr(), now.ours, ifi.Addresses) {
		return
	}
	f := request.Facts{Interface: ifi, Peer: peer, Local: local, Arrived: arrived}
	e.accept(payload, c, &f)
}

// takes tells a destination that a socket would hear: one of this host's addresses, or a broadcast on the link. What
// this host only forwards, such as a relay's requests to a server behind it, passes by here too.
func (s *linkSource) takes(to netip.Addr, ours map[netip.Addr]bool, link []netip.Prefix) bool {
	switch {
	case to == broadcast4.Addr():
		return true
	case !s.addr.IsUnspecified():
		return to == s.addr
	case ours[to]:
		return true
	}
	return slices.ContainsFunc(link, func(p netip.Prefix) bool { return p.Bits() < 31 && to == lastOf(p) })
}

// lastOf is the address of a network's broadcast; invalid for IPv6.
func lastOf(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() {
		return netip.Addr{}
	}
	a := p.Addr().As4()
	host := uint32(uint64(1)<<(32-p.Bits()) - 1)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(a[:])|host)))
}
