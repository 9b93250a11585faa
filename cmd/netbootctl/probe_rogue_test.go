package main

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// rogue answers on ports 67 and 4011 as a test tells it, by broadcast; nil: not at all.
func (s *site) rogue(address string, answer func(request []byte, port int) []byte) *nettest.Space {
	s.t.Helper()
	space := s.server(address)
	for _, port := range []int{67, 4011} {
		conn := s.listen(space, port)
		s.t.Cleanup(func() { conn.Close() })
		go func() { // ends with the socket
			buf := make([]byte, 1500)
			for {
				n, from, err := conn.ReadFromUDP(buf)
				if err != nil {
					return
				}
				if reply := answer(buf[:n], port); reply != nil {
					to := &net.UDPAddr{IP: net.IPv4bcast, Port: 68}
					if port == 4011 {
						to = from
					}
					_, _ = conn.WriteToUDP(reply, to)
				}
			}
		}()
	}
	return space
}

func (s *site) listen(space *nettest.Space, port int) (conn *net.UDPConn) {
	s.t.Helper()
	l := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			_ = unix.BindToDevice(int(fd), "srv0")
		})
	}}
	s.must(space.Do(func() error {
		p, err := l.ListenPacket(s.t.Context(), "udp4", fmt.Sprintf(":%d", port))
		if err == nil {
			conn = p.(*net.UDPConn)
		}
		return err
	}))
	return conn
}

// kindOf is the type of a request: 1 DISCOVER, 3 REQUEST, 7 RELEASE.
func kindOf(request []byte) byte {
	for b := request[240:]; len(b) > 2 && b[0] != 255; b = b[2+int(b[1]):] {
		if b[0] == 53 {
			return b[2]
		}
	}
	return 0
}

// reply is a server's answer in the making.
type reply struct{ b []byte }

// answerTo answers a request from 192.0.2.9 with the address 192.0.2.77.
func answerTo(request []byte) *reply {
	b := make([]byte, 240)
	copy(b, request[:240])
	b[0] = 2
	copy(b[16:20], []byte{192, 0, 2, 77})
	clear(b[44:236])
	kind := byte(2)
	if kindOf(request) == 3 {
		kind = 5
	}
	return (&reply{b}).option(53, kind).option(54, 192, 0, 2, 9).option(1, 255, 255, 255, 0).option(51, 0, 0, 2, 88)
}

func (r *reply) option(code byte, value ...byte) *reply {
	r.b = append(append(r.b, code, byte(len(value))), value...)
	return r
}

func (r *reply) server(a string) *reply {
	copy(r.b[20:24], netip.MustParseAddr(a).AsSlice())
	return r
}

func (r *reply) file(name string) *reply { copy(r.b[108:236], name); return r }

// proxy takes address and lease away.
func (r *reply) proxy() *reply { copy(r.b[16:20], []byte{0, 0, 0, 0}); return r }

func (r *reply) end() []byte { return append(r.b, 255) }
