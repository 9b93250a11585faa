package tftpd

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ethernet   = 1500 // MTU in bytes
	udpHeader  = 8
	ipv4Header = 20
	ipv6Header = 40
	loopback   = 65535 // or more
)

// longestBlock is the largest block, in bytes, that reaches a client in one piece: the kernel knows the MTU of the route.
// The loopback interface counts as Ethernet, because what is delivered there was often forwarded by a proxy (containers,
// emulators), and goes on by Ethernet.
func longestBlock(p *peer) int {
	mtu, headers := pathMTU(p), ipv4Header+udpHeader+headerSize
	if mtu <= 0 || mtu >= loopback {
		mtu = ethernet
	}
	if p.name.Family == unix.AF_INET6 {
		headers = ipv6Header + udpHeader + headerSize
	}
	return mtu - headers
}

// pathMTU is that of the route to a client, in bytes; 0 if it is not known.
func pathMTU(p *peer) int {
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if p.name.Family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(int(p.name.Family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&p.name)), uintptr(p.nameLen)); errno != 0 {
		return 0
	}
	mtu, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		return 0
	}
	return mtu
}
