package tftpd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// TFTP serves files on one UDP socket and on ports of its own. It refuses writes, never shows a path of the server, and
// answers a missing file at once, which iPXE's autoexec.ipxe, PXELINUX and GRUB count on.
type TFTP struct {
	Config
	conn  *net.UDPConn
	ready chan struct{}
	mode  sendMode

	ports  []*port       // the first is the one that is asked
	turns  int           // of the others
	queue  chan *session // requests whose files are to be opened
	table  *table
	cache  *cache
	limits *limits
}

// NewTFTP returns a service for conn, which ListenTFTP opened and Run closes.
func NewTFTP(conn *net.UDPConn, c Config) *TFTP {
	c = c.withDefaults()
	return &TFTP{
		Config: c, conn: conn, ready: make(chan struct{}), mode: sendOffload,
		queue: make(chan *session, backlog), table: newTable(), cache: newCache(c.Now), limits: newLimits(c),
	}
}

// String is "tftp" and the address.
func (t *TFTP) String() string { return "tftp " + t.conn.LocalAddr().String() }

// Ready is closed when requests are answered.
func (t *TFTP) Ready() <-chan struct{} { return t.ready }

// Run serves until ctx ends. Then it takes no further request, lets transfers run on for the grace, cuts the rest, and
// returns.
func (t *TFTP) Run(ctx context.Context) error {
	if err := t.openPorts(); err != nil {
		return err
	}
	var ports, clerking sync.WaitGroup
	failed := make(chan error, len(t.ports))
	for _, p := range t.ports {
		ports.Add(1)
		go func() {
			defer ports.Done()
			if err := p.run(); err != nil {
				failed <- err
			}
		}()
	}
	for range clerks {
		clerking.Add(1)
		go func() {
			defer clerking.Done()
			for s := range t.queue {
				t.begin(s)
			}
		}()
	}
	close(t.ready)

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		within(t.table.close(), t.Grace)
	}
	for _, p := range t.ports {
		p.close()
	}
	ports.Wait()
	close(t.queue)
	gone := make(chan struct{})
	go func() { clerking.Wait(); close(gone) }()
	within(gone, t.Grace) // a disk that hangs does not keep the program
	return err
}

// within waits for done, but not for ever.
func within(done <-chan struct{}, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

var (
	errStopping = errors.New("the service stops")
	errAnew     = errors.New("the client asks anew from the same port")
	errWrite    = errors.New("a write request; this service is read-only")
	errShrunk   = errors.New("the file became shorter while it was sent")
)

// tell chooses what the client hears: short, fixed texts without a path.
func tell(err error) (code uint16, text string) {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotRegular):
		return codeNotFound, "File not found"
	case errors.Is(err, ErrOutside), errors.Is(err, fs.ErrPermission), errors.Is(err, errWrite):
		return codeAccess, "Access violation"
	case errors.Is(err, errCut), errors.Is(err, errMode):
		return codeIllegal, "Illegal TFTP operation"
	case errors.Is(err, errStopping):
		return codeUndefined, "Server is stopping"
	}
	return codeUndefined, "Server error"
}

// clientError is an ERROR packet that the client sent instead of an ACK.
type clientError struct {
	block int64 // 0: it answers our OACK
	code  uint16
	text  string
}

func (e *clientError) Error() string {
	return fmt.Sprintf("the client says: error %d, %s", e.code, e.text)
}

// judge sorts the end that a client made of a transfer.
func judge(e *clientError) string {
	if e.block == 0 && (e.code == codeUndefined || e.code == codeOptions) { // EDK2 says 8, others 0
		return probe
	}
	return aborted
}

// panicError is a panic in code that we called.
type panicError struct {
	value any
	stack []byte
}

func panicked(value any) error { return &panicError{value, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// passing tells whether a socket goes on after an error: the network's troubles, reported late.
func passing(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && no != syscall.EBADF
}
