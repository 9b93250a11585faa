package tftpd

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peer is the other end of a datagram, in the kernel's form too, so that an answer costs no conversion.
type peer struct {
	client  netip.AddrPort
	name    unix.RawSockaddrInet6 // or an Inet4, which is shorter
	nameLen uint32
	from    [40]byte // ancillary data that makes an answer leave from the address that was asked
	fromLen int
	alone   bool // the path takes no bundles (UDP_SEGMENT)
}

// controlSpace holds the ancillary data of one received datagram: a packet info of either family, and room for what
// else the kernel may send.
const controlSpace = 128

func (p *peer) readName() {
	var addr netip.Addr
	switch p.name.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&p.name))
		addr = netip.AddrFrom4(in.Addr)
		p.nameLen = unix.SizeofSockaddrInet4
	case unix.AF_INET6:
		addr = netip.AddrFrom16(p.name.Addr)
		if addr.IsLinkLocalUnicast() {
			addr = addr.WithZone(strconv.FormatUint(uint64(p.name.Scope_id), 10))
		}
		p.nameLen = unix.SizeofSockaddrInet6
	}
	port := (*[2]byte)(unsafe.Pointer(&p.name.Port)) // at the same place in both families
	p.client = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port[:]))
}

// readControl keeps the address that was asked. For a broadcast that is the interface's own (ip(7): ipi_spec_dst).
func (p *peer) readControl(control []byte) {
	p.fromLen = 0
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		if h.Len < unix.SizeofCmsghdr || int(h.Len) > len(control) {
			return
		}
		data := control[unix.CmsgLen(0):h.Len]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			in := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			out := (*unix.Inet4Pktinfo)(p.putFrom(h.Level, h.Type, unix.SizeofInet4Pktinfo))
			*out = unix.Inet4Pktinfo{Spec_dst: in.Spec_dst}
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			in := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			if netip.AddrFrom16(in.Addr).IsMulticast() {
				return
			}
			out := (*unix.Inet6Pktinfo)(p.putFrom(h.Level, h.Type, unix.SizeofInet6Pktinfo))
			*out = unix.Inet6Pktinfo{Addr: in.Addr}
			if netip.AddrFrom16(in.Addr).IsLinkLocalUnicast() {
				out.Ifindex = in.Ifindex
			}
		}
		control = control[min(unix.CmsgSpace(int(h.Len)-unix.CmsgLen(0)), len(control)):]
	}
}

func (p *peer) putFrom(level, kind int32, size int) unsafe.Pointer {
	p.fromLen = unix.CmsgSpace(size)
	return putControl(p.from[:], level, kind, size)
}

// putControl begins an ancillary message in b and returns where its data goes.
func putControl(b []byte, level, kind int32, size int) unsafe.Pointer {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	return unsafe.Pointer(&b[unix.CmsgLen(0)])
}
