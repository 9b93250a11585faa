package tftpd

import (
	"context"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketBuffer is the size of both buffers of a socket, in bytes: the kernel's default holds some 270 requests, too few
// for a rack that powers on at once. What the kernel does not grant is not worth an error.
const socketBuffer = 4 << 20

// ListenTFTP opens addr ("host:port") for NewTFTP. IPv4 and IPv6 get a socket each, because a reply must leave from
// the address that was asked and fit the family's MTU; an address without host, like ":69", gives both.
func ListenTFTP(addr string) ([]*net.UDPConn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host != "" {
		conn, err := listenUDP(addr)
		if err != nil {
			return nil, err
		}
		return []*net.UDPConn{conn}, nil
	}
	v4, err := listenNetwork("udp4", addr)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(v4.LocalAddr().String()) // for ":0", the port that IPv4 got
	v6, err := listenNetwork("udp6", net.JoinHostPort("::", port))
	if errors.Is(err, syscall.EAFNOSUPPORT) { // a kernel without IPv6
		return []*net.UDPConn{v4}, nil
	}
	if err != nil {
		v4.Close()
		return nil, err
	}
	return []*net.UDPConn{v4, v6}, nil
}

// listenUDP keeps the families apart where the host names one: "udp" would open [::] for IPv4 too.
func listenUDP(addr string) (*net.UDPConn, error) {
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	if a.IP.To4() != nil {
		return listenNetwork("udp4", a.String())
	}
	return listenNetwork("udp6", a.String())
}

func listenNetwork(network, addr string) (*net.UDPConn, error) {
	listen := net.ListenConfig{Control: packetInfo}
	c, err := listen.ListenPacket(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UDPConn)
	growBuffers(conn)
	return conn, nil
}

// packetInfo asks for the address and interface of each datagram before the socket is bound: a request that comes
// in between would be answered from the wrong address and with small blocks.
func packetInfo(network, _ string, c syscall.RawConn) error {
	var failure error
	err := c.Control(func(fd uintptr) {
		if network == "udp4" {
			failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else {
			failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	})
	return errors.Join(err, failure)
}

// growBuffers goes beyond the system's limit (net.core.rmem_max, wmem_max) where this process may.
func growBuffers(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer)
	})
}

// duplicate is another descriptor of a socket, which the caller closes.
func duplicate(conn *net.UDPConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	fdErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(fdErr, err)
}
