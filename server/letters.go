package server

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender takes datagrams, and tells how many of them it took, or why not the first one.
type sender interface {
	sendmmsg(messages []mmsghdr) (int, error)
	closed() bool
}

// letters are datagrams that leave by one socket, as many as one system call takes. Their memory is used again.
type letters struct {
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // room for each kind of address
	bytes    [batchSize][]byte
	clients  [batchSize]uint64
	paths    [batchSize]path // of those that may leave in a bundle
	size     int
	bundler  bundler // of a socket that sends UDP
}

func newLetters(p *paths) *letters {
	l := &letters{bundler: bundler{known: p}}
	for i := range l.messages {
		l.bytes[i] = make([]byte, 0, ipHeader+udpHeader+maxSize4)
		m := &l.messages[i].msg
		m.Name = (*byte)(unsafe.Pointer(&l.names[i]))
		m.Iov = &l.vectors[i]
		m.SetIovlen(1)
	}
	return l
}

func (l *letters) full() bool { return l.size == batchSize }

// paper is memory that the bytes of the next letter are appended to.
func (l *letters) paper() []byte { return l.bytes[l.size][:0] }

// add closes the next letter: written is its paper with something on it. Control tells the kernel more of its way.
func (l *letters) add(written, control []byte) (name *unix.RawSockaddrInet6, length *uint32) {
	i := l.size
	l.bytes[i] = written
	l.vectors[i].Base = unsafe.SliceData(written)
	l.vectors[i].SetLen(len(written))
	m := &l.messages[i].msg
	m.Control = unsafe.SliceData(control)
	m.SetControllen(len(control))
	l.size++
	return &l.names[i], &m.Namelen
}

// toHost is add for a letter to an IP address; scope is the interface that a link-local one is meant on.
func (l *letters) toHost(written, control []byte, to netip.AddrPort, scope int) {
	name, length := l.add(written, control)
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	if to.Addr().Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		four.Family, four.Addr, *length = unix.AF_INET, to.Addr().As4(), unix.SizeofSockaddrInet4
		return
	}
	name.Family, name.Addr, name.Flowinfo, name.Scope_id = unix.AF_INET6, to.Addr().As16(), 0, 0
	if to.Addr().IsLinkLocalUnicast() {
		name.Scope_id = uint32(scope)
	}
	*length = unix.SizeofSockaddrInet6
}

// toStation is add for an IP packet in a frame to a card on a link.
func (l *letters) toStation(written []byte, mac [6]byte, link int) {
	name, length := l.add(written, nil)
	*(*unix.RawSockaddrLinklayer)(unsafe.Pointer(name)) = unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: htons(unix.ETH_P_IP), Ifindex: int32(link), Halen: 6,
		Addr: [8]uint8{mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]},
	}
	*length = unix.SizeofSockaddrLinklayer
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// send sends them all by s, and tells how many it did not take, with the first cause.
func (l *letters) send(s sender) (lost int, first error) {
	messages := l.bundler.bundle(l)
	for done := 0; done < len(messages); {
		n, err := s.sendmmsg(messages[done:])
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, net.ErrClosed): // it takes no others either
			n = len(messages) - done
			lost += inside(messages[done:])
		case err != nil && messages[done].msg.Iovlen > 1: // each may fare better, as where memory is short
			if refuses(err) {
				l.bundler.refuse(l, &messages[done])
			}
			messages = unbundle(messages, done)
			continue
		case err != nil: // such as a host that cannot be reached; those behind it are tried again
			n = 1
			lost += inside(messages[done : done+1])
		}
		if first == nil {
			first = err
		}
		done += n
	}
	l.size = 0
	return lost, first
}

// inside counts the letters in messages.
func inside(messages []mmsghdr) (letters int) {
	for i := range messages {
		letters += int(messages[i].msg.Iovlen)
	}
	return letters
}
