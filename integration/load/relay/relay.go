// Package relay is a wire that is slow and loses packets, for kernels without netem: it takes Ethernet frames from one
// interface and puts them on another, later or never.
package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
)

const (
	// frameSize is more than a frame of MTU 1500.
	frameSize = 2048
	// underWay is how many frames a direction holds; more are lost, as in a router's queue.
	underWay = 8192
	buffer   = 32 << 20

	// early is how long before a frame is due the relay stops to sleep: a sleeper is woken up to so much late.
	early = 70 * time.Microsecond
)

// Wire joins two interfaces.
type Wire struct {
	Delay time.Duration // of each direction: half of the round trip
	Loss  float64       // share of the UDP datagrams that is lost, in each direction
	Seed  uint64        // the same seed loses the same datagrams of the same traffic

	directions [2]direction
	random     *rand.Rand
	start      time.Time
}

// Counts are the frames of both directions.
type Counts struct {
	Carried, Lost int
	Overrun       int // for which there was no room
	Oversized     int // longer than any frame of a real wire
}

// direction is what is under way from one interface to the other.
type direction struct {
	from, to  int // sockets
	frames    []byte
	lengths   [underWay]int
	due       [underWay]time.Duration
	head, n   int
	carried   int
	lost      int
	overrun   int
	oversized int
}

// Open opens the two interfaces, in the calling thread's network namespace.
func (w *Wire) Open(a, b string) error {
	var fds [2]int
	for i, name := range []string{a, b} {
		fd, err := openInterface(name)
		if err != nil {
			if i == 1 {
				unix.Close(fds[0])
			}
			return fmt.Errorf("wire at %s: %w", name, err)
		}
		fds[i] = fd
	}
	w.random = rand.New(rand.NewPCG(w.Seed, 1))
	for i := range w.directions {
		w.directions[i] = direction{from: fds[i], to: fds[1-i], frames: make([]byte, underWay*frameSize)}
	}
	return nil
}

func openInterface(name string) (int, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	for _, o := range []struct{ level, option, value int }{
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1}, {unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer}, {unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, buffer},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			unix.Close(fd)
			return 0, err
		}
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: iface.Index}); err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// Close gives the sockets back, once Run has returned.
func (w *Wire) Close() {
	unix.Close(w.directions[0].from)
	unix.Close(w.directions[0].to)
}

// Counts are good once Run has returned.
func (w *Wire) Counts() (c Counts) {
	for _, d := range w.directions {
		c.Carried += d.carried
		c.Lost += d.lost
		c.Overrun += d.overrun
		c.Oversized += d.oversized
	}
	return c
}

// Run carries frames until ctx ends.
func (w *Wire) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may wake a thread 50 us late, which here would be 10 % of a delay.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("precise timers: %w", err)
	}
	w.start = time.Now()
	in, out := load.NewBatch(frameSize), load.NewBatch(frameSize)
	for ctx.Err() == nil {
		wait := 50 * time.Millisecond
		for i := range w.directions {
			d := &w.directions[i]
			if err := w.take(d, in); err != nil {
				return err
			}
			if err := d.deliver(time.Since(w.start), out); err != nil {
				return err
			}
			if d.n > 0 {
				wait = min(wait, d.due[d.head]-time.Since(w.start))
			}
		}
		if wait <= early {
			continue
		}
		if _, err := load.Wait(unix.POLLIN, wait-early, w.directions[0].from, w.directions[1].from); err != nil {
			return err
		}
	}
	return nil
}

// take puts what has arrived under way.
func (w *Wire) take(d *direction, in *load.Batch) error {
	for {
		if err := in.Receive(d.from, load.BatchSize, false); err != nil {
			return err
		}
		due := time.Since(w.start) + w.Delay
		for i := range in.Len() {
			frame := in.Packet(i)
			switch {
			case in.Truncated(i):
				d.oversized++
			case w.Loss > 0 && isUDP(frame) && w.random.Float64() < w.Loss:
				d.lost++
			case d.n == underWay:
				d.overrun++
			default:
				slot := (d.head + d.n) % underWay
				d.lengths[slot], d.due[slot] = copy(d.frames[slot*frameSize:][:frameSize], frame), due
				d.n++
			}
		}
		if !in.Full() {
			return nil
		}
	}
}

// deliver sends what is due.
func (d *direction) deliver(now time.Duration, out *load.Batch) error {
	for d.n > 0 && d.due[d.head] <= now {
		copy(out.Add(d.lengths[d.head], nil), d.frames[d.head*frameSize:])
		d.head = (d.head + 1) % underWay
		d.n--
		d.carried++
		if out.Full() {
			if err := out.Send(d.to); err != nil {
				return err
			}
		}
	}
	return out.Send(d.to)
}

// isUDP spares ARP: a machine that cannot find its server shows nothing about the server.
func isUDP(frame []byte) bool {
	return len(frame) > 23 && binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IP && frame[23] == unix.IPPROTO_UDP
}
