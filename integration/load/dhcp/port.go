package dhcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
)

const (
	serverPort = 67
	clientPort = 68

	// queued is how much a socket may hold that we have not read yet: what is lost must have been lost by the server.
	queued = 32 << 20
)

// Port is where machines talk to the server: through a relay agent, or on the same wire.
type Port struct {
	fd      int
	relay   [4]byte // giaddr; zero: the machines are on the wire
	to      *unix.RawSockaddrInet4
	in, out *load.Batch
	pending []byte // the message that waits for commit, its frame around it
}

// Relayed opens the port of a relay agent with an address of the calling thread's network namespace.
func Relayed(agent, server [4]byte) (*Port, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket of the relay agent: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: agent, Port: serverPort}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind the relay agent to %v:%d: %w", net.IP(agent[:]), serverPort, err)
	}
	return newPort(fd, agent, load.Sockaddr(server, serverPort))
}

// Attached opens the port of machines on the wire of an interface of the calling thread's network namespace.
func Attached(name string) (*Port, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	// Protocol 0: nothing arrives before the filter stands.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := attach(fd, iface.Index); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet socket on %s: %w", name, err)
	}
	return newPort(fd, [4]byte{}, nil)
}

func attach(fd, index int) error {
	if err := filterReplies(fd); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	// Machines hear the server and not each other.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
}

// filterReplies lets UDP to port 68 through, unfragmented and without IP options, which no server sends here.
func filterReplies(fd int) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: 5},
		bpf.LoadAbsolute{Off: ethernetHeader + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 3},
		bpf.LoadAbsolute{Off: ethernetHeader + ipHeader + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: clientPort, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}
	kernel := make([]unix.SockFilter, len(program))
	for i, p := range program {
		kernel[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(kernel)), Filter: &kernel[0]})
}

func newPort(fd int, relay [4]byte, to *unix.RawSockaddrInet4) (*Port, error) {
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, queued); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("buffers of %d bytes: %w", queued, err)
		}
	}
	return &Port{fd: fd, relay: relay, to: to, in: load.NewBatch(2048), out: load.NewBatch(2048)}, nil
}

// Close gives the socket back.
func (p *Port) Close() { unix.Close(p.fd) }

// FD is the socket, for poll.
func (p *Port) FD() int { return p.fd }

// next is the memory of the next message to send; commit queues it.
func (p *Port) next(length int) []byte {
	if p.relay != ([4]byte{}) {
		return p.out.Add(length, p.to)
	}
	p.pending = p.out.Add(headers+length, nil)
	return p.pending[headers:]
}

func (p *Port) commit() error {
	if p.pending != nil {
		frame(p.pending, end{mac: [6]byte(p.pending[headers+atChaddr:]), port: clientPort}, everybody())
		p.pending = nil
	}
	if p.out.Full() {
		return p.Flush()
	}
	return nil
}

// Flush sends what is queued.
func (p *Port) Flush() error { return p.out.Send(p.fd) }

// Wait returns when an answer has arrived or the time is up.
func (p *Port) Wait(timeout time.Duration) error {
	_, err := load.Wait(unix.POLLIN, timeout, p.fd)
	return err
}

// Receive takes the answers that have arrived, and tells how many.
func (p *Port) Receive() (int, error) {
	err := p.in.Receive(p.fd, load.BatchSize, p.relay != [4]byte{})
	return p.in.Len(), err
}

// Message is the i-th answer that was received, and the address it came from. It is nil for a datagram that is cut
// short, or that no machine would have taken for its own.
func (p *Port) Message(i int) (message []byte, from [4]byte) {
	b := p.in.Packet(i)
	if p.relay != ([4]byte{}) {
		return b, p.in.From(i).Addr
	}
	if len(b) < headers || b[ethernetHeader] != 0x45 {
		return nil, from
	}
	copy(from[:], b[ethernetHeader+12:])
	length := int(binary.BigEndian.Uint16(b[ethernetHeader+ipHeader+4:]))
	if length < 8 || ethernetHeader+ipHeader+length > len(b) {
		return nil, from
	}
	message = b[headers:][:length-8]
	toAll := [6]byte(b) == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if !toAll && (len(message) < atOptions || [6]byte(b) != [6]byte(message[atChaddr:])) {
		return nil, from
	}
	return message, from
}
