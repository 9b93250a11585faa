package load

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BatchSize is how many datagrams one system call moves.
const BatchSize = 64

// message is linux/socket.h, struct mmsghdr, which x/sys does not have.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// Batch is memory for datagrams that one system call receives, or sends. Its buffers are used again and again.
type Batch struct {
	size     int
	buffers  []byte
	vectors  [BatchSize]unix.Iovec
	names    [BatchSize]unix.RawSockaddrInet4
	messages [BatchSize]message
	n        int
}

// NewBatch makes a batch for datagrams of up to size bytes.
func NewBatch(size int) *Batch {
	b := &Batch{size: size, buffers: make([]byte, BatchSize*size)}
	for i := range b.messages {
		b.vectors[i].Base = &b.buffers[i*size]
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.Iovlen = 1
	}
	return b
}

// Len is how many datagrams were received, or wait to be sent.
func (b *Batch) Len() int { return b.n }

// Full tells that the next Add needs a Send first.
func (b *Batch) Full() bool { return b.n == BatchSize }

// Packet is the i-th datagram. It is good until the batch is used again.
func (b *Batch) Packet(i int) []byte {
	return b.buffers[i*b.size:][:b.messages[i].length]
}

// Truncated tells that the i-th datagram was longer than the batch's buffers.
func (b *Batch) Truncated(i int) bool { return b.messages[i].header.Flags&unix.MSG_TRUNC != 0 }

// From is the IPv4 address and port that the i-th datagram came from, where Receive was asked for it.
func (b *Batch) From(i int) *unix.RawSockaddrInet4 { return &b.names[i] }

// Receive takes what has arrived on a socket, limit datagrams at most, without waiting; none is no error. Names asks
// for the senders.
func (b *Batch) Receive(fd, limit int, names bool) error {
	limit = min(limit, BatchSize)
	for i := range limit {
		b.vectors[i].Len = uint64(b.size)
		b.messages[i].header.Name, b.messages[i].header.Namelen = nil, 0
		if names {
			b.messages[i].header.Name = (*byte)(unsafe.Pointer(&b.names[i]))
			b.messages[i].header.Namelen = unix.SizeofSockaddrInet4
		}
	}
	b.n = 0
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), uintptr(limit),
		unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		b.n = int(n)
		return nil
	case unix.EAGAIN, unix.EINTR, unix.ECONNREFUSED:
		return nil
	}
	return fmt.Errorf("recvmmsg: %w", errno)
}

// Add returns the buffer of the next datagram to send, which the caller fills, and says how long it is and where it
// goes (nil: where the socket is connected or bound to).
func (b *Batch) Add(length int, to *unix.RawSockaddrInet4) []byte {
	m := &b.messages[b.n]
	b.vectors[b.n].Len = uint64(length)
	m.length = uint32(length)
	m.header.Name, m.header.Namelen = nil, 0
	if to != nil {
		b.names[b.n] = *to
		m.header.Name, m.header.Namelen = (*byte)(unsafe.Pointer(&b.names[b.n])), unix.SizeofSockaddrInet4
	}
	b.n++
	return b.buffers[(b.n-1)*b.size:][:length]
}

// Send sends all that was added, and waits where the socket's buffer is full.
func (b *Batch) Send(fd int) error {
	for sent := 0; sent < b.n; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[sent])),
			uintptr(b.n-sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR:
		case unix.ECONNREFUSED: // an ICMP error for an earlier datagram; this one was not tried
		case unix.EAGAIN, unix.ENOBUFS:
			if _, err := Wait(unix.POLLOUT, 10*time.Millisecond, fd); err != nil {
				return err
			}
		default:
			return fmt.Errorf("sendmmsg: %w", errno)
		}
	}
	b.n = 0
	return nil
}

// Wait returns when one of the sockets is ready for events or the time is up, and tells which it was.
func Wait(events int16, timeout time.Duration, fds ...int) (ready bool, err error) {
	var polled [4]unix.PollFd
	for i, fd := range fds {
		polled[i] = unix.PollFd{Fd: int32(fd), Events: events}
	}
	spec := unix.NsecToTimespec(int64(max(timeout, 0)))
	n, err := unix.Ppoll(polled[:len(fds)], &spec, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("poll: %w", err)
	}
	return n > 0, nil
}

// Sockaddr is an IPv4 address and port as the kernel wants it.
func Sockaddr(ip [4]byte, port uint16) *unix.RawSockaddrInet4 {
	return &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ip, Port: port<<8 | port>>8}
}
