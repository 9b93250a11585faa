package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// conn is where requests come from: a UDP socket, or a link source.
type conn struct {
	batched
	udp   net.PacketConn
	link  *linkSource // instead of udp
	six   bool
	local netip.AddrPort // as it is bound

	closed atomic.Bool
}

// batched reads and writes many datagrams by one system call.
type batched interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
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
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	c, err := prepare(fd, addr, six, shared)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if err := c.wrap(fd); err != nil {
		return nil, err
	}
	return c, nil
}

func prepare(fd int, addr net.UDPAddr, six, shared bool) (*conn, error) {
	c := &conn{six: six}
	var sa unix.Sockaddr
	a, _ := netip.AddrFromSlice(addr.IP)
	if six {
		if !a.IsValid() {
			a = netip.IPv6Unspecified()
		}
		s := &unix.SockaddrInet6{Port: addr.Port, Addr: a.As16()}
		if addr.Zone != "" && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast()) {
			ifi, err := net.InterfaceByName(addr.Zone)
			if err != nil {
				return nil, err
			}
			s.ZoneId = uint32(ifi.Index)
		}
		sa = s
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return nil, err
		}
	} else {
		if a = a.Unmap(); !a.IsValid() {
			a = netip.IPv4Unspecified()
		}
		sa = &unix.SockaddrInet4{Port: addr.Port, Addr: a.As4()}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
			return nil, err
		}
	}
	c.local = netip.AddrPortFrom(a, uint16(addr.Port))
	if shared {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return nil, err
		}
	}
	if addr.Zone != "" {
		if err := unix.BindToDevice(fd, addr.Zone); err != nil {
			return nil, err
		}
	}
	// Beyond net.core.rmem_max only root may go; less will do.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, kernelQueue) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, kernelQueue); err != nil {
			return nil, err
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return nil, err
	}
	return c, nil
}

// wrap hands the descriptor to the runtime's poller. It is closed also on an error: a file that was forgotten would be
// closed much later, when its number may be another one's.
func (c *conn) wrap(fd int) (err error) {
	f := os.NewFile(uintptr(fd), "udp")
	defer f.Close()
	if c.udp, err = net.FilePacketConn(f); err != nil { // it duplicates the descriptor
		return err
	}
	if c.six {
		p := ipv6.NewPacketConn(c.udp)
		c.batched, err = p, p.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true)
	} else {
		p := ipv4.NewPacketConn(c.udp)
		c.batched, err = p, p.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true)
	}
	if err != nil {
		return errors.Join(err, c.udp.Close())
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
		switch p := c.batched.(type) {
		case *ipv4.PacketConn:
			err = p.JoinGroup(ifi, &net.UDPAddr{IP: group})
		case *ipv6.PacketConn:
			err = p.JoinGroup(ifi, &net.UDPAddr{IP: group})
		}
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
	raw, err := c.udp.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	value := 0
	if on {
		value = 1
	}
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, value)
	}); cerr != nil {
		return cerr
	}
	return err
}

// stop ends reads; writes still work.
func (c *conn) stop() error {
	if c.link != nil {
		return c.link.file.SetReadDeadline(past)
	}
	return c.udp.SetReadDeadline(past)
}

//nolint:gochecknoglobals // a constant
var past = time.Unix(1, 0)

// close ends reads and writes.
func (c *conn) close() error {
	c.closed.Store(true)
	if c.link != nil {
		return errors.Join(c.link.close(), c.link.ip.close())
	}
	return c.udp.Close()
}
