package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// maxFrame is more than any frame of an Ethernet has, jumbo frames included.
const maxFrame = 16 << 10

// Link is a network card that the machine plays on an interface of this host: whole frames, under an address of its own.
// The host's own network stack takes no part in it, so the interface needs no address and other DHCP clients go on.
type Link struct {
	Interface *net.Interface
	socket    *os.File
	buf       []byte
}

// OpenLink opens the interface. It needs the right to raw sockets (CAP_NET_RAW).
func OpenLink(name string) (*Link, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %q does not exist here; ip link lists those that do", name)
	}
	switch {
	case len(ifi.HardwareAddr) != 6:
		return nil, fmt.Errorf("interface %s is no Ethernet; network boot needs one", name)
	case ifi.Flags&net.FlagUp == 0:
		return nil, fmt.Errorf("interface %s is down; run: ip link set %s up", name, name)
	case ifi.Flags&net.FlagRunning == 0:
		return nil, fmt.Errorf("interface %s has no carrier; plug its cable in, or take another", name)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, errors.New("no right to send raw frames; run with sudo, or give the program the right once: setcap cap_net_raw+ep netbootctl")
	}
	if err != nil {
		return nil, fmt.Errorf("raw socket: %w", err)
	}
	l := &Link{Interface: ifi, socket: os.NewFile(uintptr(fd), "packet:"+name), buf: make([]byte, maxFrame)}
	if err := l.attach(fd); err != nil {
		l.Close()
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return l, nil
}

func (l *Link) attach(fd int) error {
	filter, err := assembled()
	if err != nil {
		return err
	}
	return errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		// Answers may be unicast to the machine's MAC, which is not the interface's.
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(l.Interface.Index), Type: unix.PACKET_MR_PROMISC}),
		// Bound last: from here on frames come in, all of them through the filter. ALL sees a frame before a macvlan
		// with the same address takes it.
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: l.Interface.Index}),
	)
}

// htons is v as the kernel wants it: its bytes in network order.
func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }

// wanted lets in ARP, UDP to the ports of DHCP clients and of PXE (68, 546, 4011), and IPv6's neighbour solicitations: on
// a busy interface nothing else is worth copying.
var wanted = []bpf.Instruction{
	/* 0*/ bpf.LoadAbsolute{Off: 12, Size: 2},
	/* 1*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_ARP, SkipTrue: 15},
	/* 2*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: 8},
	/* 3*/ bpf.LoadAbsolute{Off: 23, Size: 1},
	/* 4*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_UDP, SkipFalse: 13},
	/* 5*/ bpf.LoadAbsolute{Off: 20, Size: 2},
	/* 6*/ bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 11}, // not a first fragment
	/* 7*/ bpf.LoadMemShift{Off: 14},
	/* 8*/ bpf.LoadIndirect{Off: 16, Size: 2},
	/* 9*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: 68, SkipTrue: 7},
	/*10*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4011, SkipTrue: 6},
	/*11*/ bpf.LoadAbsolute{Off: 12, Size: 2},
	/*12*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipFalse: 5},
	/*13*/ bpf.LoadAbsolute{Off: 20, Size: 1},
	/*14*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 2},
	/*15*/ bpf.LoadAbsolute{Off: 56, Size: 2},
	/*16*/ bpf.JumpIf{Cond: bpf.JumpEqual, Val: 546, SkipFalse: 1},
	/*17*/ bpf.RetConstant{Val: maxFrame},
	/*18*/ bpf.RetConstant{Val: 0},
}

func assembled() ([]unix.SockFilter, error) {
	raw, err := bpf.Assemble(wanted)
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return filter, nil
}

// Send puts a frame on the wire.
func (l *Link) Send(frame []byte) error {
	if _, err := l.socket.Write(frame); err != nil {
		return fmt.Errorf("send on %s: %w", l.Interface.Name, err)
	}
	return nil
}

// Receive gives the next frame, valid until the next call. It ends with os.ErrDeadlineExceeded at the deadline, and with
// the context's error where that ends first.
func (l *Link) Receive(ctx context.Context, deadline time.Time) ([]byte, error) {
	if err := l.socket.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.socket.SetReadDeadline(time.Unix(1, 0)) }) // the read below ends
	defer stop()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := l.socket.Read(l.buf)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("receive on %s: %w", l.Interface.Name, err)
	}
	return l.buf[:n], nil
}

// Close ends it. The interface leaves promiscuous mode with it.
func (l *Link) Close() { l.socket.Close() }

// Addresses are the host's own on the interface.
func (l *Link) Addresses() ([]netip.Prefix, error) {
	all, err := l.Interface.Addrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out, nil
}
