package tftpd

import (
	"encoding/binary"
	"net"
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
	mostSegments  = 64        // UDP_MAX_SEGMENTS of Linux before 6.9
	longestBundle = 65507     // bytes of UDP payload in an IPv4 datagram
	mostVectors   = 2048
)

// crowded is how long a full send buffer is waited for before datagrams are dropped. Unreachable neighbours fill it
// too, and must not keep the others waiting.
const crowded = 100 * time.Millisecond

// outbox collects datagrams and sends them together. Who put one in keeps its peer and its content's bytes unchanged until
// the flush.
type outbox struct {
	conn *net.UDPConn
	raw  syscall.RawConn
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

	write func(fd uintptr) bool // the call, made once
	at    int                   // the first message that is not sent
	count int                   // messages in the call
	errno syscall.Errno
	waits bool // for room in the send buffer
}

func newOutbox(conn *net.UDPConn, best sendMode) (*outbox, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &outbox{conn: conn, raw: raw, mode: best}
	if o.mode == sendOffload {
		o.mode = offered(raw)
	}
	o.write = func(fd uintptr) bool { // raw: the call never blocks, so the scheduler need not know of it
		if o.mode == sendPlain {
			_, _, o.errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&o.vectors[o.at].Msghdr)), unix.MSG_DONTWAIT)
			o.count = 1
		} else {
			n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.vectors[o.at])), uintptr(o.n-o.at), unix.MSG_DONTWAIT, 0, 0)
			o.count, o.errno = int(n), errno
		}
		if o.errno == unix.EAGAIN && !o.waits {
			o.waits = true
			_ = conn.SetWriteDeadline(time.Now().Add(crowded)) // a closed connection shows in the next call
		}
		return o.errno != unix.EAGAIN
	}
	return o, nil
}

// offered is the best mode that the kernel has.
func offered(raw syscall.RawConn) sendMode {
	mode := sendMany
	_ = raw.Control(func(fd uintptr) { // a closed connection is noticed by who reads from it
		if _, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT); err == nil {
			mode = sendOffload
		}
	})
	return mode
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
		_ = o.raw.Write(func(fd uintptr) bool { // an error loses a datagram, which the client asks for again
			_, _, errno := unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(v)), unix.MSG_DONTWAIT)
			return errno != unix.EAGAIN
		})
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
		err := o.raw.Write(o.write)
		switch {
		case err != nil: // nothing goes out any more, or not soon
			o.at = o.n
		case o.errno == 0:
			o.at += o.count
		case (o.errno == unix.EINVAL || o.errno == unix.EIO) && o.bundled[o.at] != nil:
			o.unbundle()
		default:
			o.at++
		}
	}
	o.n, o.used, o.filled = 0, 0, 0
	if o.waits {
		o.waits = false
		_ = o.conn.SetWriteDeadline(time.Time{})
	}
}
