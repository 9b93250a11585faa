package tftpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// TFTP serves files on one UDP socket. It refuses writes, never shows a path of the server, and answers a missing file
// at once, which iPXE's autoexec.ipxe, PXELINUX and GRUB count on.
type TFTP struct {
	Config
	conn     *net.UDPConn
	ready    chan struct{}
	stopping atomic.Bool // the grace is over: no further block is read
}

// NewTFTP returns a service for conn, which ListenTFTP opened and Run closes.
func NewTFTP(conn *net.UDPConn, c Config) *TFTP {
	return &TFTP{Config: c.withDefaults(), conn: conn, ready: make(chan struct{})}
}

// String is "tftp" and the address.
func (t *TFTP) String() string { return "tftp " + t.conn.LocalAddr().String() }

// Ready is closed when requests are answered.
func (t *TFTP) Ready() <-chan struct{} { return t.ready }

// Run serves until ctx ends. Then it takes no further request, lets transfers run on for the grace, cuts those that
// are still moving, and returns; a transfer whose client is silent is left behind to time out.
func (t *TFTP) Run(ctx context.Context) error {
	defer t.conn.Close()
	e := newEngine(t)
	served := make(chan error, 1)
	go func() { served <- e.serve(t.conn) }()
	close(t.ready)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	idle := make(chan struct{})
	go func() { e.shutdown(); close(idle) }()
	if within(idle, t.Grace) {
		return nil
	}
	t.stopping.Store(true)
	within(idle, t.Retransmit)
	return nil
}

// within tells whether done closes in time.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// told is an error whose text may go to a client: short, fixed, without a path. The cause is for the log.
type told struct {
	text  string
	cause error
}

func (e *told) Error() string { return e.text }
func (e *told) Unwrap() error { return e.cause }

var (
	errStopping = errors.New("the service stops")
	errWrite    = errors.New("a write request; this service is read-only")
	errShrunk   = errors.New("the file became shorter while it was sent")
)

// tell chooses what the client hears.
func tell(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotRegular):
		return &told{"File not found", err}
	case errors.Is(err, ErrOutside), errors.Is(err, fs.ErrPermission), errors.Is(err, errWrite):
		return &told{"Access violation", err}
	case errors.Is(err, errStopping):
		return &told{"Server is stopping", err}
	}
	return &told{"Server error", err}
}

// clientError is an ERROR packet that the client sent instead of an ACK.
type clientError struct {
	block uint16 // 0: it answers our OACK
	code  uint16
	text  string
}

func (e *clientError) Error() string {
	return fmt.Sprintf("the client says: error %d, %s", e.code, e.text)
}

// read answers one read request: send transmits the file and returns the bytes sent. What read returns is for the
// client. A panic costs this transfer only.
func (t *TFTP) read(client netip.AddrPort, asked string, send func(io.ReadSeeker) (int64, error)) (err error) {
	tr := t.begin("tftp", client.String(), asked)
	defer tr.end()
	defer func() {
		if p := recover(); p != nil {
			err = tr.panicked(p)
		}
	}()

	name, err := Clean(cutGarbage(asked))
	if err != nil {
		tr.fail(err)
		return tell(err)
	}
	tr.file = name
	f, err := t.Files.Open(Request{Name: name, Client: client.Addr()})
	if err != nil {
		tr.fail(err)
		return tell(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		tr.fail(err)
		return tell(err)
	}

	tr.bytes, err = send(&body{file: f, size: info.Size(), stopping: &t.stopping})
	tr.result, tr.cause = judge(err), err
	var inside *told
	if errors.As(err, &inside) {
		tr.cause = inside.cause
	}
	return err
}

// judge sorts the end of a transmission.
func judge(err error) string {
	var ce *clientError
	switch {
	case err == nil:
		return sent
	case errors.As(err, &ce) && ce.block == 0 && (ce.code == 0 || ce.code == 8): // EDK2 says 8, others 0
		return probe
	case errors.As(err, &ce), errors.Is(err, errStopping):
		return aborted
	case errors.Is(err, os.ErrDeadlineExceeded):
		return silent
	}
	return failed
}

// write refuses a write request.
func (t *TFTP) write(client netip.AddrPort, asked string) error {
	tr := t.begin("tftp", client.String(), asked)
	tr.result, tr.cause = refused, errWrite
	tr.end()
	return tell(errWrite)
}

// malformed counts a datagram that is no request. It is not answered: two servers that answer each other's errors
// would never stop.
func (t *TFTP) malformed(err error) {
	t.Metrics.malformed.Inc()
	t.Log.WithField("because", shorten(err.Error())).Debug("tftp")
}

// panicked notes a panic with its stack, and returns what the client hears.
func (t *transfer) panicked(p any) error {
	t.result, t.cause = failed, fmt.Errorf("panic: %v", p)
	t.more["stack"] = string(debug.Stack())
	return tell(t.cause)
}

// body is a file at the size it had when it was opened, which is the size that tsize told the client.
type body struct {
	file     File
	size     int64
	at       int64
	stopping *atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.stopping.Load():
		return 0, tell(errStopping)
	case b.at >= b.size:
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), b.size-b.at)])
	b.at += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		return n, tell(errShrunk)
	case err != nil:
		return n, tell(err)
	}
	return n, nil
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		offset, whence = offset+b.size, io.SeekStart
	}
	at, err := b.file.Seek(offset, whence)
	if err != nil {
		return 0, tell(err)
	}
	b.at = at
	return at, nil
}
