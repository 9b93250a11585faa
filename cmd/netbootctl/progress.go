package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// progress counts the seconds of a wait on a terminal, in a line that the next output replaces. On anything else it does
// nothing.
type progress struct {
	out io.Writer

	mu    sync.Mutex
	since time.Time
	shown bool

	ended chan struct{}
	once  sync.Once
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, since: time.Now(), ended: make(chan struct{})}
	if isTerminal(out) {
		go p.count() // ends with stop
	} else {
		p.out = io.Discard
	}
	return p
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p *progress) count() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case now := <-tick.C:
			p.show(now)
		}
	}
}

func (p *progress) show(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended: // between the tick and the lock
	default:
		fmt.Fprintf(p.out, "\r  waiting, %d s ", int(now.Sub(p.since).Seconds()+0.5))
		p.shown = true
	}
}

// clear takes the line away; the next wait begins now.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	p.shown, p.since = false, time.Now()
}

// stop ends it.
func (p *progress) stop() {
	p.once.Do(func() { close(p.ended) })
	p.clear()
}
