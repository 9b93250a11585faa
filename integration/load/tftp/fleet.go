package tftp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
)

const (
	largest = 1600 // bytes of a packet; 1472 fill an Ethernet frame

	// sweep is how often transfers are looked at that nothing arrives for.
	sweep = 5 * time.Millisecond

	// received is a client's socket buffer: no client's own fault shall look like the server's. Windows of 64 blocks fit.
	received = 1 << 20
)

// Fleet runs many transfers in one thread. It is made where its sockets are to be: it opens them in the network
// namespace of the thread that calls Start.
type Fleet struct {
	poll      int
	transfers []*transfer // by number; nil: free
	free      []int
	running   int
	in        *load.Batch
	start     time.Time
	swept     time.Duration
	outcomes  []Outcome
}

// NewFleet makes an idle fleet.
func NewFleet() (*Fleet, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &Fleet{poll: poll, in: load.NewBatch(largest), start: time.Now()}, nil
}

// Close ends what still runs.
func (f *Fleet) Close() {
	for i, t := range f.transfers {
		if t != nil {
			f.end(i)
		}
	}
	unix.Close(f.poll)
}

// FD becomes readable when Poll has something to do, though not for timeouts: call Poll every few milliseconds.
func (f *Fleet) FD() int { return f.poll }

// Running is how many transfers have not ended.
func (f *Fleet) Running() int { return f.running }

// Start sends a request. The tag comes back with its outcome.
func (f *Fleet) Start(r Request, tag int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("client socket: %w", err)
	}
	if err := open(fd, r.From); err != nil {
		unix.Close(fd)
		return err
	}
	if len(f.free) == 0 {
		f.free = append(f.free, len(f.transfers))
		f.transfers = append(f.transfers, nil)
	}
	slot := f.free[len(f.free)-1]
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot)}
	if err := unix.EpollCtl(f.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll: %w", err)
	}
	f.free = f.free[:len(f.free)-1]
	now := time.Since(f.start)
	options := r.Options
	options.TSize = options.TSize || r.Probe
	t := &transfer{Request: r, Outcome: Outcome{Tag: tag}, fd: fd, begun: now, heard: now, last: rrq(r.Name, options)}
	f.transfers[slot] = t
	f.running++
	t.send(t.last)
	return nil
}

func open(fd int, from [4]byte) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1); err != nil {
		return fmt.Errorf("client socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, received); err != nil {
		return fmt.Errorf("client socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from}); err != nil {
		return fmt.Errorf("client at %v: %w", from, err)
	}
	return nil
}

// Poll waits for packets, no longer than timeout and a few milliseconds, and returns the transfers that have ended. The
// slice is good until the next call.
func (f *Fleet) Poll(timeout time.Duration) ([]Outcome, error) {
	f.outcomes = f.outcomes[:0]
	var events [128]unix.EpollEvent
	n, err := unix.EpollWait(f.poll, events[:], int(min(timeout, sweep).Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	now := time.Since(f.start)
	for i := range max(n, 0) {
		slot := int(events[i].Fd)
		t := f.transfers[slot]
		t.receive(f.in, now)
		f.settle(slot, now)
	}
	if now-f.swept >= sweep {
		f.swept = now
		for slot, t := range f.transfers {
			if t != nil {
				t.tick(now)
				f.settle(slot, now)
			}
		}
	}
	return f.outcomes, nil
}

// settle takes a transfer out that is over.
func (f *Fleet) settle(slot int, now time.Duration) {
	t := f.transfers[slot]
	if !t.over {
		return
	}
	t.Took = now - t.begun
	f.outcomes = append(f.outcomes, t.Outcome)
	f.end(slot)
}

func (f *Fleet) end(slot int) {
	unix.Close(f.transfers[slot].fd)
	f.transfers[slot] = nil
	f.free = append(f.free, slot)
	f.running--
}
