package tftpd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

// Block sizes, in bytes, that fill an Ethernet frame and no more: MTU 1500 less the IP, UDP and TFTP headers. The
// library's own limit forgets the TFTP header, and each block would travel as two fragments.
const (
	blockSize4 = 1500 - 20 - 8 - 4
	blockSize6 = 1500 - 40 - 8 - 4
)

// The library waits a fixed time for each ACK and sleeps between attempts. With a wait of 1 s and sleeps of 0, 0.5 s,
// 1 s ... a silent client is sent ten datagrams in 28 s: no shorter than EDK2's own 6 attempts of 4 s, and within the
// 60 s after which a session must be gone.
const (
	defaultRetransmit = time.Second
	retries           = 9
)

func pause(retransmit time.Duration, attempt int) time.Duration {
	return retransmit * time.Duration(attempt) / 2
}

// patience is how long a transfer survives a client that says nothing.
func patience(retransmit time.Duration) time.Duration {
	total := (retries + 1) * retransmit
	for attempt := range retries {
		total += pause(retransmit, attempt)
	}
	return total
}

// engine speaks TFTP for a service. It is the only place that knows github.com/pin/tftp.
type engine struct {
	server *tftp.Server
	t      *TFTP
}

func newEngine(t *TFTP) *engine {
	e := &engine{t: t}
	e.server = tftp.NewServer(e.onRead, e.onWrite)
	e.server.SetHook(e)
	e.server.SetTimeout(t.Retransmit)
	e.server.SetRetries(retries)
	e.server.SetBackoff(func(attempt int) time.Duration { return pause(t.Retransmit, attempt) })
	if t.conn.LocalAddr().(*net.UDPAddr).IP.To4() != nil {
		e.server.SetBlockSize(blockSize4)
	} else {
		e.server.SetBlockSize(blockSize6)
	}
	return e
}

// serve needs the plain socket: the library answers from the address that was asked only if it can read ancillary data.
func (e *engine) serve(conn *net.UDPConn) error { return e.server.Serve(conn) }

// shutdown returns when the last transfer ended, which with a silent client takes until patience is over.
func (e *engine) shutdown() { e.server.Shutdown() }

func (e *engine) onRead(name string, rf io.ReaderFrom) error {
	return e.t.read(peer(rf), name, func(body io.ReadSeeker) (int64, error) {
		// A tsize of zero makes the library ask the body for its size, and leave the option out with netascii;
		// any other number that the client sent would be echoed as if it were the size.
		rf.(tftp.OutgoingTransfer).SetSize(0)
		n, err := rf.ReadFrom(body)
		return n, understand(err)
	})
}

func (e *engine) onWrite(name string, wt io.WriterTo) error {
	return e.t.write(peer(wt), name)
}

func peer(transfer any) netip.AddrPort {
	a := transfer.(interface{ RemoteAddr() net.UDPAddr }).RemoteAddr()
	return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
}

// understand recovers the client's ERROR from the library's text for it.
func understand(err error) error {
	if err == nil {
		return nil
	}
	var ce clientError
	if n, _ := fmt.Sscanf(err.Error(), "sending block %d: code=%d,", &ce.block, &ce.code); n != 2 {
		return err
	}
	_, text, _ := strings.Cut(err.Error(), "error: ")
	ce.text, _, _ = strings.Cut(text, "\x00")
	return &ce
}

// OnSuccess does nothing: read has seen it.
func (e *engine) OnSuccess(tftp.TransferStats) {}

// OnFailure hears of datagrams that became no transfer; read and write have seen the rest.
func (e *engine) OnFailure(stats tftp.TransferStats, err error) {
	if stats.RemoteAddr != nil {
		return
	}
	var oe *net.OpError
	if errors.As(err, &oe) { // no socket for a transfer: out of file descriptors
		e.t.Log.WithField("result", failed).WithField("because", err.Error()).Error("tftp")
		return
	}
	e.t.malformed(err)
}
