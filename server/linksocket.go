package server

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawSocket is a socket that the runtime's poller waits for, and whose packets we write ourselves.
type rawSocket struct {
	file *os.File
	raw  syscall.RawConn
}

func openRaw(family, kind, protocol int) (*rawSocket, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w; start as root, or grant CAP_NET_RAW", err)
	}
	s := &rawSocket{file: os.NewFile(uintptr(fd), "packet socket")}
	s.raw, err = s.file.SyscallConn()
	return s, err
}

// openLink opens the socket that sends frames past routing and ARP. It receives nothing. It is opened once: closing one
// takes the kernel many milliseconds.
func openLink() (*rawSocket, error) {
	// SOCK_DGRAM: the kernel writes the link's header, with VLAN tag and source address as the interface has them.
	return openRaw(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
}

func (s *rawSocket) control(f func(fd int) error) (err error) {
	if cerr := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

func (s *rawSocket) close() error { return s.file.Close() }

// mmsghdr is the kernel's (sendmmsg(2)).
type mmsghdr struct {
	msg    unix.Msghdr
	length uint32
}

// frames are IPv4 packets for one system call. Their memory is used again.
type frames struct {
	messages []mmsghdr
	vectors  []unix.Iovec
	targets  []unix.RawSockaddrLinklayer
	packets  [][]byte
	size     int
}

func newFrames() *frames {
	f := &frames{
		messages: make([]mmsghdr, batchSize), vectors: make([]unix.Iovec, batchSize),
		targets: make([]unix.RawSockaddrLinklayer, batchSize), packets: make([][]byte, batchSize),
	}
	for i := range f.packets {
		f.packets[i] = make([]byte, 0, maxSize4+ipHeader+udpHeader)
		f.targets[i] = unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: htons(unix.ETH_P_IP), Halen: 6}
		f.messages[i].msg.Name = (*byte)(unsafe.Pointer(&f.targets[i]))
		f.messages[i].msg.Namelen = unix.SizeofSockaddrLinklayer
		f.messages[i].msg.Iov = &f.vectors[i]
		f.messages[i].msg.SetIovlen(1)
	}
	return f
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// full tells whether another one has no room.
func (f *frames) full() bool { return f.size == len(f.packets) }

// add takes a reply that goes from a port of ours to mac.
func (f *frames) add(r *route, port uint16, payload []byte) {
	i := f.size
	f.packets[i] = appendDatagram(f.packets[i][:0], r.source(port), r.to, payload)
	f.vectors[i].Base = &f.packets[i][0]
	f.vectors[i].SetLen(len(f.packets[i]))
	f.targets[i].Ifindex = int32(r.link)
	copy(f.targets[i].Addr[:], r.mac[:])
	f.size++
}

// send sends them all, and tells how many the kernel did not take, with the first cause.
func (f *frames) send(s *rawSocket) (lost int, first error) {
	for done := 0; done < f.size; {
		n, err := s.sendmmsg(f.messages[done:f.size])
		if err != nil { // of the first one; those behind it are tried again
			if first == nil {
				first = err
			}
			lost++
			n = 1
		}
		done += n
	}
	f.size = 0
	return lost, first
}

func (s *rawSocket) sendmmsg(messages []mmsghdr) (n int, err error) {
	werr := s.raw.Write(func(fd uintptr) bool {
		r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
		n, err = int(r), nil
		if errno != 0 {
			n, err = 0, os.NewSyscallError("sendmmsg", errno)
		}
		return errno != unix.EAGAIN
	})
	if werr != nil {
		return 0, werr
	}
	return n, err
}
