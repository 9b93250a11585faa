package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// conn is where requests come from, and by what replies leave: a UDP socket, or a link source.
type conn struct {
	socket *rawSocket
	sends  sender      // the socket, where nobody listens in
	link   *linkSource // nil: a UDP socket
	six    bool
	local  netip.AddrPort // as it is bound
	device int            // the interface that it is bound to; 0: any
	// bundles: replies may leave as one message, which the kernel cuts up (UDP_SEGMENT).
	bundles bool
}

// kernelQueue is what the kernel keeps for us while we do not run, in bytes.
const kernelQueue = 4 << 20

// bind opens a UDP socket on addr, and on one interface if it names one. Nobody else can have that address and port then,
// except that shared lets sockets of this process overlap.
func bind(addr net.UDPAddr, six, shared bool) (*conn, error) {
	family := unix.AF_INET
	if six {
		family = unix.AF_INET6
	}
	s, err := openRaw(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	c := &conn{socket: s, sends: s, six: six}
	if err := c.prepare(addr, shared); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) prepare(addr net.UDPAddr, shared bool) error {
	fd := c.socket.fd // nobody closes it yet
	var sa unix.Sockaddr
	a, _ := netip.AddrFromSlice(addr.IP)
	if c.six {
		if !a.IsValid() {
			a = netip.IPv6Unspecified()
		}
		s := &unix.SockaddrInet6{Port: addr.Port, Addr: a.As16()}
		if addr.Zone != "" && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast()) {
			ifi, err := net.InterfaceByName(addr.Zone)
			if err != nil {
				return err
			}
			s.ZoneId = uint32(ifi.Index)
		}
		sa = s
	} else {
		if a = a.Unmap(); !a.IsValid() {
			a = netip.IPv4Unspecified()
		}
		sa = &unix.SockaddrInet4{Port: addr.Port, Addr: a.As4()}
	}
	c.local = netip.AddrPortFrom(a, uint16(addr.Port))
	if err := c.setOptions(fd, shared); err != nil {
		return err
	}
	if addr.Zone != "" {
		if err := unix.BindToDevice(fd, addr.Zone); err != nil {
			return err
		}
	}
	c.mayBundle(fd)
	return unix.Bind(fd, sa)
}

// mayBundle asks for what bundles need: the kernel must know the option, and we by which interface they leave. A kernel
// that does not tell (before Linux 5.0) gets none.
func (c *conn) mayBundle(fd int) {
	_, errCut := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	device, errDevice := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	c.device, c.bundles = device, errCut == nil && errDevice == nil
}

func (c *conn) setOptions(fd int, shared bool) error {
	on := [][2]int{{unix.SOL_SOCKET, unix.SO_BROADCAST}, {unix.IPPROTO_IP, unix.IP_PKTINFO}}
	if c.six {
		on = [][2]int{{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}}
	}
	if shared {
		on = append(on, [2]int{unix.SOL_SOCKET, unix.SO_REUSEADDR})
	}
	for _, option := range on {
		if err := unix.SetsockoptInt(fd, option[0], option[1], 1); err != nil {
			return err
		}
	}
	// Beyond net.core.rmem_max only root may go; less will do.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, kernelQueue) != nil {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, kernelQueue)
	}
	return nil
}

// join makes the socket hear a multicast group on the interfaces named; those that have gone are passed over.
func (c *conn) join(group net.IP, names []string) error {
	var errs []error
	joined := 0
	for _, name := range names {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			continue
		}
		err = c.socket.control(func(fd int) error {
			if c.six {
				return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
					&unix.IPv6Mreq{Multiaddr: [16]byte(group.To16()), Interface: uint32(ifi.Index)})
			}
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: [4]byte(group.To4()), Ifindex: int32(ifi.Index)})
		})
		if err == nil || errors.Is(err, unix.EADDRINUSE) { // it is a member already
			joined++
			continue
		}
		errs = append(errs, fmt.Errorf("join %s on %s: %w", group, name, err))
	}
	if joined > 0 {
		return nil
	}
	return errors.Join(errs...)
}

// share lets other sockets overlap with this one, or no more.
func (c *conn) share(on bool) error {
	value := 0
	if on {
		value = 1
	}
	return c.socket.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, value) })
}

// stop ends reads; writes still work.
func (c *conn) stop() error { return c.socket.stop() }

// close ends reads and writes.
func (c *conn) close() error {
	err := c.socket.close()
	if c.link != nil {
		err = errors.Join(err, c.link.ip.close())
	}
	return err
}
