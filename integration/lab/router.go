package lab

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// ICMPv6's types for finding routers (RFC 4861).
const (
	routerSolicitation  = 133
	routerAdvertisement = 134
)

// advertisement says: here is a router, it offers no route, no prefix and no DHCPv6.
var advertisement = []byte{routerAdvertisement, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// managed says besides that addresses and all else are to be had by DHCPv6 (the flags M and O).
var managed = []byte{routerAdvertisement, 0, 0, 0, 64, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// router answers the IPv6 side of booting machines with a "nothing here". The iPXE of many distributions waits 13
// seconds for a router before it boots over IPv4; on most real networks one answers, so the lab has one too.
type router struct {
	says   []byte
	socket *os.File
	group  unix.SockaddrInet6
	done   chan struct{}
}

// AdvertiseDHCPv6 has a host tell, until the returned function is called, that there is DHCPv6 on an interface's wire.
func AdvertiseDHCPv6(s *nettest.Space, ifname string) (end func() error, err error) {
	r, err := startRouter(s, ifname, managed)
	if err != nil {
		return nil, err
	}
	return r.Close, nil
}

// startRouter runs a router on an interface of the namespace until Close.
func startRouter(s *nettest.Space, ifname string, says []byte) (*router, error) {
	r := &router{says: says, done: make(chan struct{})}
	if err := s.Do(func() error { return r.open(ifname) }); err != nil {
		return nil, fmt.Errorf("IPv6 router on %s: %w", ifname, err)
	}
	go func() { // ends at Close
		defer close(r.done)
		r.run()
	}()
	return r, nil
}

func (r *router) open(ifname string) error {
	intf, err := net.InterfaceByName(ifname)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	r.socket = os.NewFile(uintptr(fd), "router")
	allRouters := &unix.IPv6Mreq{Multiaddr: [16]byte{0: 0xff, 1: 2, 15: 2}, Interface: uint32(intf.Index)}
	r.group = unix.SockaddrInet6{Addr: [16]byte{0: 0xff, 1: 2, 15: 1}, ZoneId: uint32(intf.Index)}
	for _, set := range []error{
		// Anything but 255 may have come through a router, and is ignored.
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, intf.Index),
		unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, allRouters),
	} {
		if set != nil {
			r.socket.Close()
			return set
		}
	}
	return nil
}

// run answers solicitations, and advertises now and then without being asked: iPXE asks seldom.
func (r *router) run() {
	const interval = 3 * time.Second
	raw, err := r.socket.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 1500)
	for {
		// A failed transmission (an interface that is not up yet) is made good by the next.
		_ = raw.Control(func(fd uintptr) { _ = unix.Sendto(int(fd), r.says, 0, &r.group) })
		if err := r.socket.SetReadDeadline(time.Now().Add(interval)); err != nil {
			return // closed
		}
		for {
			n, err := r.socket.Read(buf)
			if os.IsTimeout(err) {
				break
			}
			if err != nil {
				return // closed
			}
			if n > 0 && buf[0] == routerSolicitation {
				break
			}
		}
	}
}

// Close ends the router.
func (r *router) Close() error {
	err := r.socket.Close()
	<-r.done
	return err
}
