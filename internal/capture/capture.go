// Package capture reads the DHCP messages out of capture files: pcap and pcapng, as tcpdump and Wireshark write them. It
// takes any bytes: sizes are bounded, and a file that ends early is read up to there.
package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Datagram is one UDP datagram on a DHCP port.
type Datagram struct {
	At       time.Time // zero where the file does not tell
	From, To netip.AddrPort
	Payload  []byte
}

// ErrCut is the end of a file in the middle of a packet: of a capture that is still written, or was copied in part.
var ErrCut = errors.New("ends in the middle of a packet")

const (
	maxFrame  = 256 << 10 // of one packet; tcpdump takes as much
	maxBlock  = 1 << 20   // of one pcapng block that is looked into
	maxIfaces = 1024      // of one pcapng section
)

// Read calls each with the DHCP datagrams of a capture, in its order, until each fails. ErrCut, and other errors of the
// file, come after what could be read.
func Read(r io.Reader, each func(Datagram) error) error {
	f := &file{r: bufio.NewReaderSize(r, 64<<10), each: each}
	magic, err := f.r.Peek(4)
	if err != nil {
		return errors.New("is no capture: it has less than 4 bytes")
	}
	switch binary.BigEndian.Uint32(magic) {
	case 0x0a0d0d0a:
		return f.pcapng()
	case 0xa1b2c3d4, 0xa1b23c4d:
		f.order = binary.BigEndian
	case 0xd4c3b2a1, 0x4d3cb2a1:
		f.order = binary.LittleEndian
	default:
		return fmt.Errorf("is neither pcap nor pcapng: it begins with %x; save it as one of them", magic)
	}
	return f.pcap()
}

type file struct {
	r     *bufio.Reader
	order binary.ByteOrder
	each  func(Datagram) error
	// interfaces of a pcapng section
	ifaces []iface
}

type iface struct {
	link  uint32
	ticks uint64 // in a second
}

// take reads n bytes. io.EOF is an end between two packets.
func (f *file) take(n int) ([]byte, error) {
	b := make([]byte, n)
	switch got, err := io.ReadFull(f.r, b); {
	case err == nil:
		return b, nil
	case errors.Is(err, io.EOF) && got == 0:
		return nil, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrCut
	default:
		return nil, err
	}
}

// body is take in the middle of a packet.
func (f *file) body(n int) ([]byte, error) {
	b, err := f.take(n)
	if errors.Is(err, io.EOF) && n > 0 {
		return nil, ErrCut
	}
	return b, err
}

func (f *file) skip(n int64) error {
	if _, err := io.CopyN(io.Discard, f.r, n); err != nil {
		return ErrCut
	}
	return nil
}

// pcap is the old format (draft-ietf-opsawg-pcap).
func (f *file) pcap() error {
	head, err := f.body(24)
	if err != nil {
		return err
	}
	link := iface{link: f.order.Uint32(head[20:]) & 0xffff, ticks: 1e6}
	if head[0] == 0x4d || head[3] == 0x4d {
		link.ticks = 1e9
	}
	for {
		head, err := f.take(16)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := f.order.Uint32(head[8:])
		if n > maxFrame {
			return fmt.Errorf("has a packet of %d bytes, which no network carries", n)
		}
		frame, err := f.body(int(n))
		if err != nil {
			return err
		}
		at := time.Unix(int64(f.order.Uint32(head)), int64(uint64(f.order.Uint32(head[4:]))*1e9/link.ticks)).UTC()
		if err := f.frame(link.link, at, frame); err != nil {
			return err
		}
	}
}

// Blocks of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockSimple    = 3
	blockEnhanced  = 6
)

func (f *file) pcapng() error {
	for {
		head, err := f.take(8)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(head) == blockSection { // the same in either order
			if err := f.section(head); err != nil {
				return err
			}
			continue
		}
		n := f.order.Uint32(head[4:])
		if n < 12 || n%4 != 0 {
			return fmt.Errorf("has a block of %d bytes, which the format does not allow", n)
		}
		kind := f.order.Uint32(head)
		if kind != blockInterface && kind != blockSimple && kind != blockEnhanced {
			if err := f.skip(int64(n) - 8); err != nil {
				return err
			}
			continue
		}
		if n > maxBlock {
			return fmt.Errorf("has a block of %d bytes; no packet needs more than %d", n, maxBlock)
		}
		block, err := f.body(int(n) - 8)
		if err != nil {
			return err
		}
		if err := f.block(kind, block[:len(block)-4]); err != nil {
			return err
		}
	}
}

// section begins a part of the file with its own byte order and interfaces.
func (f *file) section(head []byte) error {
	magic, err := f.body(4)
	if err != nil {
		return err
	}
	switch binary.BigEndian.Uint32(magic) {
	case 0x1a2b3c4d:
		f.order = binary.BigEndian
	case 0x4d3c2b1a:
		f.order = binary.LittleEndian
	default:
		return errors.New("has a section without its byte order")
	}
	f.ifaces = nil
	n := f.order.Uint32(head[4:])
	if n < 28 || n%4 != 0 {
		return fmt.Errorf("has a section header of %d bytes, which the format does not allow", n)
	}
	return f.skip(int64(n) - 12)
}

func (f *file) block(kind uint32, b []byte) error {
	switch kind {
	case blockInterface:
		if len(b) < 8 {
			return errors.New("describes an interface in too few bytes")
		}
		if len(f.ifaces) == maxIfaces {
			return fmt.Errorf("has more than %d interfaces", maxIfaces)
		}
		f.ifaces = append(f.ifaces, iface{uint32(f.order.Uint16(b)), f.resolution(b[8:])})
	case blockSimple:
		if len(b) < 4 || len(f.ifaces) == 0 {
			return errors.New("has a packet without its interface")
		}
		return f.frame(f.ifaces[0].link, time.Time{}, b[4:min(len(b), 4+int(min(f.order.Uint32(b), maxFrame)))])
	case blockEnhanced:
		if len(b) < 20 || uint64(f.order.Uint32(b)) >= uint64(len(f.ifaces)) {
			return errors.New("has a packet without its interface")
		}
		i := f.ifaces[f.order.Uint32(b)]
		ticks := uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:]))
		at := time.Unix(int64(ticks/i.ticks), int64(float64(ticks%i.ticks)*(1e9/float64(i.ticks)))).UTC()
		return f.frame(i.link, at, b[20:min(len(b), 20+int(min(f.order.Uint32(b[12:]), maxFrame)))])
	}
	return nil
}

// resolution is how many ticks of an interface's clock make a second: its option if_tsresol, or a million.
func (f *file) resolution(options []byte) uint64 {
	const tsresol = 9
	for b := options; len(b) >= 4; {
		code, n := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		if len(b) < 4+n || code == 0 {
			break
		}
		if code == tsresol && n == 1 {
			exponent := b[4] & 0x7f
			switch {
			case b[4]&0x80 != 0 && exponent < 63:
				return 1 << exponent
			case b[4]&0x80 == 0 && exponent < 19:
				ticks := uint64(1)
				for range exponent {
					ticks *= 10
				}
				return ticks
			}
		}
		b = b[min(len(b), 4+(n+3)/4*4):]
	}
	return 1e6
}
