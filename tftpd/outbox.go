package tftpd

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendMode is how datagrams reach the kernel; the best that it knows is found out at run time.
type sendMode int

const (
	sendPlain   sendMode = iota // a call for each
	sendMany                    // sendmmsg: a call for many
	sendOffload                 // and UDP_SEGMENT: one message for the blocks of a window, cut up behind the routing
)

const (
	outboxSize    = 64        // messages handed over at once
	arenaSize     = 256 << 10 // bytes of file content in them
	mostSegments  = 16        // the first are under way when the next are cut; more save little CPU time and delay a short file
	longestBundle = 65507     // bytes of UDP payload in an IPv4 datagram
	mostVectors   = 2048
)

// crowded is how long a full send buffer is waited for before datagrams are dropped. Unreachable neighbours fill it
// too, and must not keep the others waiting.
const crowded = 100 * time.Millisecond

// outbox collects datagrams and sends them together. Who put one in keeps its peer and its content's bytes unchanged until
// the flush.
type outbox struct {
	fd   int
	mode sendMode

	vectors [outboxSize]packetVector
	control [outboxSize][64]byte
	bundled [outboxSize]*peer // whose message is several blocks
	n       int
	pieces  [mostVectors]unix.Iovec       // headers and data by turns
	headers [mostVectors][headerSize]byte // at the place of their piece
	used    int                           // of pieces
	arena   []byte
	filled  int // of the arena

	at    int       // the first message that is not sent
	until time.Time // when to give up waiting for room in the send buffer; zero: there was room so far
}

func newOutbox(fd int, best sendMode) *outbox {
	o := &outbox{fd: fd, mode: best}
	if _, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT); err != nil && o.mode == sendOffload {
		o.mode = sendMany
	}
	return o
}

// send hands messages to the kernel and returns how many it took. The call never blocks, so the scheduler need not know of it.
func (o *outbox) send() (count int, errno syscall.Errno) {
	first := uintptr(unsafe.Pointer(&o.vectors[o.at]))
	if o.mode == sendPlain {
		_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, uintptr(o.fd), first, unix.MSG_DONTWAIT)
		return 1, errno
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(o.fd), first, uintptr(o.n-o.at), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// awaitRoom returns when the send buffer has room again, or false when it had none for too long.
func (o *outbox) awaitRoom() bool {
	now := time.Now()
	if o.until.IsZero() {
		o.until = now.Add(crowded)
	}
	if !now.Before(o.until) {
		return false
	}
	limit := unix.NsecToTimespec(int64(o.until.Sub(now)))
	_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(o.fd), Events: unix.POLLOUT}}, &limit, nil) // the next call says what came of it
	return true
}

// message begins a message to p.
func (o *outbox) message(p *peer) *unix.Msghdr {
	v := &o.vectors[o.n].Msghdr
	v.Name, v.Namelen = (*byte)(unsafe.Pointer(&p.name)), p.nameLen
	v.Control = nil
	v.SetControllen(0)
	if p.fromLen > 0 {
		v.Control = &o.control[o.n][0]
		v.SetControllen(copy(o.control[o.n][:], p.from[:p.fromLen]))
	}
	v.Iov = &o.pieces[o.used]
	v.SetIovlen(0)
	o.bundled[o.n] = nil
	o.n++
	return v
}

// packet puts in a whole datagram.
func (o *outbox) packet(p *peer, b []byte) {
	o.makeRoom(1, 0)
	v := o.message(p)
	o.piece(v, b)
}

// blocks puts in blocks of a file, of size bytes each but the last.
func (o *outbox) blocks(p *peer, c *content, size int, s span) error {
	most := int64(1)
	if o.mode == sendOffload && !p.alone {
		most = int64(min(mostSegments, longestBundle/(headerSize+size)))
	}
	for n := s.first; n <= s.last; n += most {
		if err := o.bundle(p, c, size, span{n, min(n+most-1, s.last)}); err != nil {
			return err
		}
	}
	return nil
}

// bundle puts in blocks as one message.
func (o *outbox) bundle(p *peer, c *content, size int, s span) error {
	count := int(s.last - s.first + 1)
	o.makeRoom(2*count, count*size)
	data, err := c.block((s.first-1)*int64(size), count*size, o.arena[o.filled:])
	if err != nil {
		return err
	}
	if c.bytes == nil {
		o.filled += len(data)
	}
	v := o.message(p)
	for n := s.first; n <= s.last; n++ {
		header := &o.headers[o.used]
		header[1] = opData
		binary.BigEndian.PutUint16(header[2:], uint16(n))
		o.piece(v, header[:])
		o.piece(v, data[:min(size, len(data))])
		data = data[min(size, len(data)):]
	}
	if count > 1 {
		o.segment(v, p, headerSize+size)
	}
	return nil
}

// segment tells the kernel to cut a message into datagrams of size bytes.
func (o *outbox) segment(v *unix.Msghdr, p *peer, size int) {
	control := o.control[o.n-1][:]
	*(*uint16)(putControl(control[p.fromLen:], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)) = uint16(size)
	v.Control = &control[0]
	v.SetControllen(p.fromLen + unix.CmsgSpace(2))
	o.bundled[o.n-1] = p
}

// unbundle sends a message as the datagrams that the kernel would not cut it into: the path takes only shorter ones
// whole, or has no use for a checksum that is not computed yet. The peer gets no bundle any more.
func (o *outbox) unbundle() {
	v, p := &o.vectors[o.at].Msghdr, o.bundled[o.at]
	p.alone = true
	v.SetControllen(p.fromLen)
	if p.fromLen == 0 {
		v.Control = nil
	}
	pieces := unsafe.Slice(v.Iov, int(v.Iovlen))
	for ; len(pieces) > 0; pieces = pieces[min(2, len(pieces)):] {
		v.Iov = &pieces[0]
		v.SetIovlen(min(2, len(pieces)))
		for {
			_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(o.fd), uintptr(unsafe.Pointer(v)), unix.MSG_DONTWAIT)
			if errno != unix.EAGAIN || !o.awaitRoom() {
				break // an error loses a datagram, which the client asks for again
			}
		}
	}
	o.at++
}

// makeRoom flushes if a message of so many pieces and bytes does not fit any more.
func (o *outbox) makeRoom(pieces, bytes int) {
	if o.arena == nil {
		o.arena = make([]byte, arenaSize)
	}
	if o.n == outboxSize || o.used+pieces >= mostVectors || o.filled+bytes > arenaSize {
		o.flush()
	}
}

func (o *outbox) piece(v *unix.Msghdr, b []byte) {
	if len(b) == 0 {
		return
	}
	o.pieces[o.used].Base = &b[0]
	o.pieces[o.used].SetLen(len(b))
	o.used++
	v.SetIovlen(int(v.Iovlen) + 1)
}

// flush sends what is in, in order, and empties the box. A datagram that cannot be sent is dropped, as a wire would.
func (o *outbox) flush() {
	for o.at = 0; o.at < o.n; {
		count, errno := o.send()
		switch {
		case errno == 0:
			o.at += count
		case errno == unix.EAGAIN && o.awaitRoom():
		case errno == unix.EAGAIN:
			o.at = o.n // the rest would wait as long
		case (errno == unix.EINVAL || errno == unix.EIO) && o.bundled[o.at] != nil:
			o.unbundle()
		default:
			o.at++
		}
	}
	o.n, o.used, o.filled, o.until = 0, 0, 0, time.Time{}
}
