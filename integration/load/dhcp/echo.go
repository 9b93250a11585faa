package dhcp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
)

// Echo answers every message with the least work that is possible: it keeps no state, and makes a machine's address
// from its MAC. It is the ceiling that servers are measured against.
type Echo struct {
	Interface string
	Address   [4]byte
	// Log, where it is not nil, is appended to before the ACKs of a batch leave; with Sync they leave only when their
	// records are on stable storage, all of a batch by one fdatasync.
	Log  *os.File
	Sync bool

	udp, raw     int
	mac          [6]byte
	in           *load.Batch
	offers, acks outbox
	records      []byte
	reply        []byte
}

// outbox are the answers of one batch, by the way that they leave.
type outbox struct{ udp, raw *load.Batch }

// Open opens the sockets in the calling thread's network namespace.
func (e *Echo) Open() error {
	iface, err := net.InterfaceByName(e.Interface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", e.Interface, err)
	}
	copy(e.mac[:], iface.HardwareAddr)
	if e.raw, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(e.raw, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return err
	}
	if err := unix.Bind(e.raw, &unix.SockaddrLinklayer{Ifindex: iface.Index}); err != nil {
		return fmt.Errorf("packet socket on %s: %w", e.Interface, err)
	}
	if e.udp, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	for option, value := range map[int]int{unix.SO_BROADCAST: 1, unix.SO_RCVBUFFORCE: 4 << 20, unix.SO_SNDBUFFORCE: 4 << 20} {
		if err := unix.SetsockoptInt(e.udp, unix.SOL_SOCKET, option, value); err != nil {
			return fmt.Errorf("socket option: %w", err)
		}
	}
	if err := unix.BindToDevice(e.udp, e.Interface); err != nil {
		return err
	}
	if err := unix.Bind(e.udp, &unix.SockaddrInet4{Port: serverPort}); err != nil {
		return fmt.Errorf("bind to port %d: %w", serverPort, err)
	}
	e.in = load.NewBatch(1500)
	e.offers = outbox{udp: load.NewBatch(1500), raw: load.NewBatch(1500)}
	e.acks = outbox{udp: load.NewBatch(1500), raw: load.NewBatch(1500)}
	e.reply = e.template()
	return nil
}

// Close gives the sockets back.
func (e *Echo) Close() {
	unix.Close(e.udp)
	unix.Close(e.raw)
}

func (e *Echo) template() []byte {
	t := template{bytes: make([]byte, atOptions, 320)}
	t.bytes[0], t.bytes[1], t.bytes[2] = bootReply, 1, 6
	copy(t.bytes[atSiaddr:], e.Address[:])
	binary.BigEndian.PutUint32(t.bytes[atCookie:], cookie)
	t.option(optionType, 0)
	t.option(optionServer, e.Address[:]...)
	t.option(51, 0, 0, 14, 16)
	t.option(1, 255, 0, 0, 0)
	t.option(3, e.Address[:]...)
	t.option(6, e.Address[:]...)
	t.bytes = append(t.bytes, optionEnd)
	return append(t.bytes, make([]byte, 300-len(t.bytes))...)
}

// Run answers until ctx ends.
func (e *Echo) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := e.in.Receive(e.udp, load.BatchSize, true); err != nil {
			return err
		}
		if e.in.Len() == 0 {
			if _, err := load.Wait(unix.POLLIN, 50*time.Millisecond, e.udp); err != nil {
				return err
			}
			continue
		}
		for i := range e.in.Len() {
			e.answer(e.in.Packet(i))
		}
		if err := e.offers.send(e); err != nil {
			return err
		}
		if err := e.record(); err != nil {
			return err
		}
		if err := e.acks.send(e); err != nil {
			return err
		}
	}
	return nil
}

func (o *outbox) send(e *Echo) error {
	if err := o.udp.Send(e.udp); err != nil {
		return err
	}
	return o.raw.Send(e.raw)
}

// record writes the batch's log.
func (e *Echo) record() error {
	if e.Log == nil || len(e.records) == 0 {
		return nil
	}
	if _, err := e.Log.Write(e.records); err != nil {
		return err
	}
	e.records = e.records[:0]
	if e.Sync {
		return unix.Fdatasync(int(e.Log.Fd()))
	}
	return nil
}

// answer queues the answer to one message, and nothing where it is no DISCOVER or REQUEST.
func (e *Echo) answer(request []byte) {
	if len(request) < atOptions+3 || request[0] != bootRequest {
		return
	}
	kind, out := byte(Offer), &e.offers
	switch messageType(request) {
	case Request:
		kind, out = ACK, &e.acks
	case Discover:
	default:
		return
	}
	var b []byte
	mac, giaddr := [6]byte(request[atChaddr:]), [4]byte(request[atGiaddr:])
	address := [4]byte{10, mac[3], mac[4], mac[5]}
	unicast := giaddr == [4]byte{} && request[atFlags]&0x80 == 0
	switch {
	case unicast:
		b = out.raw.Add(headers+len(e.reply), nil)[headers:]
	case giaddr != [4]byte{}:
		b = out.udp.Add(len(e.reply), load.Sockaddr(giaddr, serverPort))
	default:
		b = out.udp.Add(len(e.reply), load.Sockaddr([4]byte{255, 255, 255, 255}, clientPort))
	}
	copy(b, e.reply)
	copy(b[atXID:], request[atXID:atXID+4])
	copy(b[atFlags:], request[atFlags:atFlags+2])
	copy(b[atYiaddr:], address[:])
	copy(b[atGiaddr:], giaddr[:])
	copy(b[atChaddr:], request[atChaddr:atChaddr+16])
	b[atOptions+2] = kind
	if unicast {
		whole := out.raw.Packet(out.raw.Len() - 1)
		frame(whole, end{e.mac, e.Address, serverPort}, end{mac, address, clientPort})
	}
	if kind == ACK && e.Log != nil {
		e.records = append(append(e.records, mac[:]...), address[:]...)
		e.records = binary.BigEndian.AppendUint64(e.records, uint64(time.Now().Unix()))
	}
}

// messageType is option 53 of a request, 0 where it has none.
func messageType(request []byte) byte {
	for rest := request[atOptions:]; len(rest) >= 3 && rest[0] != optionEnd; {
		if rest[0] == optionPad {
			rest = rest[1:]
			continue
		}
		if rest[0] == optionType {
			return rest[2]
		}
		if len(rest) < 2+int(rest[1]) {
			return 0
		}
		rest = rest[2+int(rest[1]):]
	}
	return 0
}
