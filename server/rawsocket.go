package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many datagrams one system call moves.
const batchSize = 64

// mmsghdr is the kernel's (sendmmsg(2)).
type mmsghdr struct {
	msg    unix.Msghdr
	length uint32
}

// rawSocket is a socket that is read and written by system calls of our own, for many datagrams each. Who reads waits in
// the kernel and not with the runtime's poller: that saves two calls and the scheduler's way from one to the other.
type rawSocket struct {
	using   sync.RWMutex // until when the descriptors stay open
	fd      int          // -1: closed
	bell    int          // an eventfd that, once rung, ends every wait
	stopped atomic.Bool
}

func openRaw(family, kind, protocol int) (*rawSocket, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(fd))
	}
	return &rawSocket{fd: fd, bell: bell}, nil
}

// openPacket opens a packet socket, or one for whole IP packets.
func openPacket(family, kind, protocol int) (*rawSocket, error) {
	s, err := openRaw(family, kind, protocol)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w; start as root, or grant CAP_NET_RAW", err)
	}
	return s, nil
}

// openLink opens the socket that sends frames past routing and ARP. It receives nothing. It is opened once: closing one
// takes the kernel many milliseconds.
func openLink() (*rawSocket, error) {
	// SOCK_DGRAM: the kernel writes the link's header, with VLAN tag and source address as the interface has them.
	return openPacket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
}

// receive takes what has arrived, and if there is nothing waits for it. None is no error.
func (s *rawSocket) receive(in *inbox, wait bool) (n int, err error) {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.fd < 0 || s.stopped.Load() {
		return 0, net.ErrClosed
	}
	in.prepare()
	if n, err = s.recvmmsg(in); wait && errors.Is(err, unix.EAGAIN) {
		s.await(unix.POLLIN, nil)
		n, err = s.recvmmsg(in)
	}
	switch {
	// Nothing, or a network that is down and may come up again; an ICMP error is about an earlier reply.
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ECONNREFUSED):
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("recvmmsg", err)
	}
	return n, nil
}

// recvmmsg never blocks, so the scheduler need not know of the call.
func (s *rawSocket) recvmmsg(in *inbox) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&in.messages[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// await returns when the socket is ready, the bell has rung, or the time is up. Nil: it has no end.
func (s *rawSocket) await(events int16, limit *unix.Timespec) {
	fds := [2]unix.PollFd{{Fd: int32(s.fd), Events: events}, {Fd: int32(s.bell), Events: unix.POLLIN}}
	_, _ = unix.Ppoll(fds[:], limit, nil) // what became ready is seen by the next call, and a signal only ends a wait
}

// crowded is how long a full send buffer is waited for before replies are dropped: clients ask again, and what a link
// does not take must not keep the others waiting.
const crowded = 100 * time.Millisecond

// sendmmsg sends messages, the first ones at least. The error is of the first one.
func (s *rawSocket) sendmmsg(messages []mmsghdr) (n int, err error) {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.fd < 0 {
		return 0, net.ErrClosed
	}
	for waited := false; ; waited = true {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			return int(r), nil
		case errno == unix.EINTR, errno == unix.ECONNREFUSED: // an ICMP error of an earlier one; this one was not tried
		case errno != unix.EAGAIN || waited:
			return 0, os.NewSyscallError("sendmmsg", errno)
		default:
			limit := unix.NsecToTimespec(int64(crowded))
			s.await(unix.POLLOUT, &limit)
		}
	}
}

func (s *rawSocket) closed() bool {
	s.using.RLock()
	defer s.using.RUnlock()
	return s.fd < 0
}

// control runs f on the descriptor, which stays open meanwhile.
func (s *rawSocket) control(f func(fd int) error) error {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	return f(s.fd)
}

// stop ends reads, now and for ever. Writes still work.
func (s *rawSocket) stop() error {
	s.stopped.Store(true)
	return s.control(func(int) error {
		one := [8]byte{1, 1} // any number but zero, in either byte order
		_, err := unix.Write(s.bell, one[:])
		return err
	})
}

// close ends reads and writes.
func (s *rawSocket) close() error {
	if err := s.stop(); err != nil {
		return err
	}
	s.using.Lock()
	defer s.using.Unlock()
	err := errors.Join(unix.Close(s.fd), unix.Close(s.bell))
	s.fd = -1
	return err
}
