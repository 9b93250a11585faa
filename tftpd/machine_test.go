package tftpd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// TFTP opcodes, RFC 1350 section 5 and RFC 2347.
const (
	opRead  = 1
	opWrite = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOACK  = 6
)

// machine is a TFTP client that writes its own packets.
type machine struct {
	t      testing.TB
	conn   *net.UDPConn
	server *net.UDPAddr
	from   *net.UDPAddr // who answered first: the transfer's address (TID)
	buffer []byte
}

func powerOn(t testing.TB, server *net.UDPAddr) *machine {
	t.Helper()
	conn, err := net.ListenUDP("udp", nil)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return &machine{t: t, conn: conn, server: server, buffer: make([]byte, 65536)}
}

// packet is a datagram from the server, taken apart.
type packet struct {
	op      uint16
	number  uint16 // block of DATA, code of ERROR
	payload []byte // data of DATA, text of ERROR without its NUL
	options map[string]string
	size    int // bytes of UDP payload
}

func (p packet) String() string {
	switch p.op {
	case opData:
		return fmt.Sprintf("DATA %d of %d bytes", p.number, len(p.payload))
	case opError:
		return fmt.Sprintf("ERROR %d %q", p.number, p.payload)
	case opOACK:
		return fmt.Sprintf("OACK %v", p.options)
	}
	return fmt.Sprintf("opcode %d", p.op)
}

// request is an RRQ or WRQ as bytes; options alternate name and value.
func request(op byte, name, mode string, options ...string) []byte {
	b := []byte{0, op}
	for _, s := range append([]string{name, mode}, options...) {
		b = append(append(b, s...), 0)
	}
	return b
}

func (m *machine) asks(name string, options ...string) {
	m.t.Helper()
	m.sends(m.server, request(opRead, name, "octet", options...))
}

func (m *machine) sends(to *net.UDPAddr, b []byte) {
	m.t.Helper()
	_, err := m.conn.WriteToUDP(b, to)
	must(m.t, err)
}

func (m *machine) acks(block uint16) {
	m.t.Helper()
	m.sends(m.from, binary.BigEndian.AppendUint16([]byte{0, opAck}, block))
}

func (m *machine) aborts(code byte, text string) {
	m.t.Helper()
	m.sends(m.from, append([]byte{0, opError, 0, code}, text+"\x00"...))
}

var errSilence = errors.New("the server says nothing")

// hears waits for the next datagram.
func (m *machine) hears(within time.Duration) (packet, error) {
	m.t.Helper()
	must(m.t, m.conn.SetReadDeadline(time.Now().Add(within)))
	n, from, err := m.conn.ReadFromUDP(m.buffer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return packet{}, errSilence
	}
	must(m.t, err)
	if m.from == nil {
		m.from = from
	}
	if from.String() != m.from.String() {
		return packet{}, fmt.Errorf("answers come from %s and %s", m.from, from)
	}
	return parse(m.buffer[:n])
}

func parse(b []byte) (packet, error) {
	if len(b) < 4 {
		return packet{}, fmt.Errorf("a datagram of %d bytes: % x", len(b), b)
	}
	p := packet{op: binary.BigEndian.Uint16(b), number: binary.BigEndian.Uint16(b[2:]), size: len(b)}
	switch p.op {
	case opData:
		p.payload = b[4:]
	case opError:
		p.payload = bytes.TrimSuffix(b[4:], []byte{0})
		if b[len(b)-1] != 0 || bytes.IndexByte(p.payload, 0) >= 0 {
			return p, fmt.Errorf("ERROR is not one NUL-terminated text: %q", b[4:])
		}
	case opOACK:
		fields := bytes.Split(b[2:], []byte{0})
		if len(fields)%2 != 1 || len(fields[len(fields)-1]) != 0 { // EDK2 refuses an OACK that does not end in NUL
			return p, fmt.Errorf("OACK is not pairs of NUL-terminated strings: %q", b[2:])
		}
		p.options = map[string]string{}
		for i := 0; i+1 < len(fields); i += 2 {
			p.options[string(fields[i])] = string(fields[i+1])
		}
	default:
		return p, fmt.Errorf("a server may not send opcode %d", p.op)
	}
	return p, nil
}

// download is what came of one read request.
type download struct {
	content []byte
	options map[string]string // nil: no OACK
	largest int               // bytes of the largest datagram
	last    int               // bytes of data in the last block
	copies  map[uint16]int    // how often each block was received, of files below 65536 blocks
}

// habits are how a machine acknowledges; the zero value is a good client on a good network.
type habits struct {
	losesEvery int // every n-th ACK is lost the first time
	repeats    int // each ACK is sent this many times more
	from       int // the first block that is waited for; 0: 1
}

// finishes takes a whole file after asks.
func (m *machine) finishes(h habits) (download, error) {
	m.t.Helper()
	d := download{copies: map[uint16]int{}}
	size, acks := 512, 0
	for next, lost := uint16(max(h.from, 1)), false; ; {
		p, err := m.hears(patient)
		if err != nil {
			return d, err
		}
		d.largest = max(d.largest, p.size)
		switch p.op {
		case opError:
			return d, fmt.Errorf("refused: %s", p)
		case opOACK:
			d.options = p.options
			if v, ok := p.options["blksize"]; ok {
				fmt.Sscan(v, &size)
			}
			m.acks(0)
			continue
		}
		d.copies[p.number]++
		if p.number != next {
			continue // a duplicate: acknowledged before
		}
		if acks++; h.losesEvery > 0 && acks%h.losesEvery == 0 && !lost {
			lost = true
			continue // the block comes again
		}
		lost = false
		d.content = append(d.content, p.payload...)
		for range 1 + h.repeats {
			m.acks(p.number)
		}
		if next++; len(p.payload) < size {
			d.last = len(p.payload)
			return d, nil
		}
	}
}

// fetch is a whole download by a good client.
func fetch(t testing.TB, server *net.UDPAddr, name string, options ...string) (download, error) {
	t.Helper()
	m := powerOn(t, server)
	m.asks(name, options...)
	return m.finishes(habits{})
}

// answer is the first packet to a request; the transfer, if any, is aborted.
func answer(t testing.TB, server *net.UDPAddr, rq []byte) (packet, error) {
	t.Helper()
	m := powerOn(t, server)
	m.sends(server, rq)
	p, err := m.hears(patient)
	if p.payload = bytes.Clone(p.payload); err == nil && p.op != opError {
		m.aborts(0, "that is all")
	}
	return p, err
}
