package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
)

// Request is a file that a machine wants.
type Request struct {
	From, Server [4]byte
	Name         string
	Want         []byte // what the file holds
	Options      Options
	Probe        bool          // ask for the size, as EDK2 does first, and abort when the server has told
	Resend       time.Duration // after which the client sends its last packet again
	Deadline     time.Duration // after which the client gives up
}

// Outcome is what became of a request.
type Outcome struct {
	Tag        int // as given to Start
	Err        error
	Took       time.Duration
	Bytes      int
	Granted    Options
	RRQs, ACKs int // sent again, because nothing came
	Gaps       int // ACKs sent because a block was missing
	Duplicates int // blocks that came again
}

var (
	errDeadline = errors.New("not finished in time")
	errContent  = errors.New("content differs")
	errShort    = errors.New("file ended early, or late")
)

// transfer is a request under way.
type transfer struct {
	Request
	Outcome
	fd        int
	begun     time.Duration
	heard     time.Duration // when the last packet came that moved the transfer on, or was sent again
	connected bool          // the server's port is known
	blocks    uint64        // received in order
	inWindow  int           // of those, since the last ACK
	gap       bool          // an ACK has told of the missing block
	last      []byte        // what is sent again after silence
	ack       [4]byte
	over      bool
}

// packet takes one packet from the server.
func (t *transfer) packet(b []byte, from *unix.RawSockaddrInet4, now time.Duration) {
	if len(b) < 4 {
		t.fail(fmt.Errorf("malformed packet %q", b))
		return
	}
	if !t.connected && !t.meet(from) {
		return
	}
	switch binary.BigEndian.Uint16(b) {
	case opOACK:
		t.oack(b[2:], now)
	case opData:
		t.data(binary.BigEndian.Uint16(b[2:]), b[4:], now)
	case opError:
		t.fail(readError(b))
	default:
		t.fail(fmt.Errorf("malformed packet %q", b[:4]))
	}
}

// meet learns the server's port from its first answer.
func (t *transfer) meet(from *unix.RawSockaddrInet4) bool {
	if from.Addr != t.Server {
		t.fail(fmt.Errorf("answer from %v", from.Addr))
		return false
	}
	to := unix.SockaddrInet4{Addr: from.Addr, Port: int(from.Port>>8 | from.Port<<8)}
	if err := unix.Connect(t.fd, &to); err != nil {
		t.fail(fmt.Errorf("connect: %w", err))
		return false
	}
	t.connected = true
	return true
}

func (t *transfer) oack(b []byte, now time.Duration) {
	if t.blocks > 0 {
		return
	}
	asked := t.Options
	asked.TSize = asked.TSize || t.Probe
	granted, err := readOACK(b, asked, len(t.Want))
	if err != nil {
		t.fail(err)
		return
	}
	t.Granted = granted
	if t.Probe {
		t.send([]byte("\x00\x05\x00\x08User aborted the transfer\x00"))
		t.over = true
		return
	}
	t.acknowledge(now)
}

// blksize and window are what holds where nothing was granted.
func (t *transfer) blksize() int { return orElse(t.Granted.Blksize, 512) }
func (t *transfer) window() int  { return orElse(t.Granted.Windowsize, 1) }

func orElse(v, fallback int) int {
	if v == 0 {
		return fallback
	}
	return v
}

func (t *transfer) data(block uint16, b []byte, now time.Duration) {
	switch ahead := int16(block - uint16(t.blocks)); {
	case ahead == 1:
	case ahead > 1:
		if !t.gap { // one ACK tells of the missing block (RFC 7440 section 4)
			t.gap = true
			t.Gaps++
			t.acknowledge(now)
		}
		return
	default:
		t.Duplicates++
		if ahead == 0 && t.blocks > 0 { // our ACK was lost
			t.acknowledge(now)
		}
		return
	}
	offset := int(t.blocks) * t.blksize()
	if len(b) > t.blksize() || offset+len(b) > len(t.Want) || !bytes.Equal(b, t.Want[offset:offset+len(b)]) {
		t.fail(errContent)
		return
	}
	t.blocks++
	t.inWindow++
	t.gap, t.heard = false, now
	t.Bytes += len(b)
	switch {
	case len(b) < t.blksize():
		if t.Bytes != len(t.Want) {
			t.fail(errShort)
			return
		}
		t.acknowledge(now)
		t.over = true
	case t.inWindow == t.window():
		t.acknowledge(now)
	}
}

func (t *transfer) acknowledge(now time.Duration) {
	t.inWindow = 0
	t.heard = now
	t.ack = [4]byte{0, opACK, byte(t.blocks >> 8), byte(t.blocks)}
	t.last = t.ack[:]
	t.send(t.last)
}

// tick sends again what was not answered.
func (t *transfer) tick(now time.Duration) {
	switch {
	case now-t.begun >= t.Deadline:
		t.fail(errDeadline)
	case now-t.heard >= t.Resend:
		if t.connected {
			t.ACKs++
			t.inWindow, t.gap = 0, false
			t.ack[2], t.ack[3] = byte(t.blocks>>8), byte(t.blocks)
		} else {
			t.RRQs++
		}
		t.heard = now
		t.send(t.last)
	}
}

// send sends a packet. A full buffer is a packet lost on the way, which is sent again in its time.
func (t *transfer) send(b []byte) {
	var err error
	if t.connected {
		_, err = unix.Write(t.fd, b)
	} else {
		err = unix.Sendto(t.fd, b, 0, &unix.SockaddrInet4{Addr: t.Server, Port: 69})
	}
	switch {
	case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ECONNREFUSED):
	default:
		t.fail(fmt.Errorf("send: %w", err))
	}
}

func (t *transfer) fail(err error) {
	t.Err, t.over = err, true
}

// receive takes all that has arrived.
func (t *transfer) receive(in *load.Batch, now time.Duration) {
	for !t.over {
		if err := in.Receive(t.fd, t.window()+1, !t.connected); err != nil {
			t.fail(err)
			return
		}
		for i := 0; i < in.Len() && !t.over; i++ {
			t.packet(in.Packet(i), in.From(i), now)
		}
		if in.Len() <= t.window() {
			return
		}
	}
}
