package tftpd

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	inboxSize     = 64   // datagrams taken at once
	largestPacket = 2048 // bytes; no client sends a longer one, and what is cut off is no request
)

// packetVector is the kernel's struct mmsghdr.
type packetVector struct {
	unix.Msghdr
	n uint32 // bytes received or sent
}

// datagram is one that was received; its bytes are valid until the next receive.
type datagram struct {
	peer
	data []byte
}

// inbox takes datagrams from a socket, as many as are there, up to its size.
type inbox struct {
	raw     syscall.RawConn
	vectors [inboxSize]packetVector
	buffers [inboxSize]unix.Iovec
	packets [inboxSize]datagram
	control [inboxSize][controlSpace]byte
	data    [inboxSize][largestPacket]byte

	read  func(fd uintptr) bool // the call, made once
	n     int
	errno syscall.Errno
}

func newInbox(conn *net.UDPConn) (*inbox, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	in := &inbox{raw: raw}
	for i := range in.vectors {
		in.buffers[i].Base = &in.data[i][0]
		in.buffers[i].SetLen(largestPacket)
		v := &in.vectors[i].Msghdr
		v.Name = (*byte)(unsafe.Pointer(&in.packets[i].name))
		v.Iov = &in.buffers[i]
		v.SetIovlen(1)
		v.Control = &in.control[i][0]
	}
	in.read = func(fd uintptr) bool { // raw: the call never blocks, so the scheduler need not know of it
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.vectors[0])), inboxSize, unix.MSG_DONTWAIT, 0, 0)
		in.n, in.errno = int(n), errno
		return errno != unix.EAGAIN
	}
	return in, nil
}

// receive waits for datagrams, the connection's deadline or its end.
func (in *inbox) receive() ([]datagram, error) {
	for i := range in.vectors {
		v := &in.vectors[i].Msghdr
		v.Namelen = unix.SizeofSockaddrInet6
		v.SetControllen(controlSpace)
	}
	if err := in.raw.Read(in.read); err != nil {
		return nil, err
	}
	if in.errno != 0 {
		return nil, in.errno
	}
	for i := range in.n {
		v, p := &in.vectors[i], &in.packets[i]
		p.readName()
		p.readControl(in.control[i][:v.Controllen])
		p.data = in.data[i][:v.n]
	}
	return in.packets[:in.n], nil
}
