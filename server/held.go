package server

import (
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// holdTime is how long a reply is held: no client waits longer for it.
const holdTime = 10 * time.Second

var errHeldForLong = errors.New("it was held for 10 s")

// heldReply is a reply that waits for a commit.
type heldReply struct {
	held    *held
	queue   *queue
	client  uint64
	via     *conn
	route   route
	payload []byte

	until          time.Time
	before, behind *heldReply // in the list of held; nil: it is the first, or the last
	over           bool
}

// held are the replies that wait. One goroutine sends what need not wait any more, so that the replies of one commit leave
// together, by one system call and at the cost of one wake.
type held struct {
	engine *Engine

	mu          sync.Mutex
	wake        sync.Cond
	first, last *heldReply // in the order in which their time is over
	timed       bool       // a timer runs, for one that is or was the first
	ready       []*heldReply
	closed      bool
}

func newHeld(e *Engine) *held {
	d := &held{engine: e}
	d.wake.L = &d.mu
	return d
}

// add has a reply wait until its finish, but not for long.
func (d *held) add(h *heldReply) {
	h.held, h.until = d, time.Now().Add(holdTime)
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.before = d.last; h.before == nil {
		d.first = h
	} else {
		h.before.behind = h
	}
	d.last = h
	d.watch()
}

// watch sees to it that the first does not wait for too long.
func (d *held) watch() {
	if !d.timed && d.first != nil {
		d.timed = true
		time.AfterFunc(time.Until(d.first.until), d.expire)
	}
}

// expire gives up those whose time is over.
func (d *held) expire() {
	d.mu.Lock()
	var late []*heldReply
	for h, now := d.first, time.Now(); h != nil && !h.until.After(now); h = h.behind {
		late = append(late, h)
	}
	d.timed = false
	d.mu.Unlock()
	for _, h := range late {
		h.finish(errHeldForLong)
	}
	d.mu.Lock()
	d.watch()
	d.mu.Unlock()
}

// finish has the reply sent, or drops it. The first call counts.
func (h *heldReply) finish(err error) {
	d := h.held
	d.mu.Lock()
	if h.over {
		d.mu.Unlock()
		return
	}
	h.over = true
	d.remove(h)
	sent := err == nil && !d.closed
	if sent {
		d.ready = append(d.ready, h)
		d.wake.Signal()
	}
	d.mu.Unlock()
	if err != nil {
		d.engine.drops.warn(dropHold, logrus.Fields{"because": err.Error()})
	}
	if !sent {
		h.queue.release()
	}
}

func (d *held) remove(h *heldReply) {
	if h.before == nil {
		d.first = h.behind
	} else {
		h.before.behind = h.behind
	}
	if h.behind == nil {
		d.last = h.before
	} else {
		h.behind.before = h.before
	}
	h.before, h.behind = nil, nil
}

// run sends what need not wait any more, until close.
func (d *held) run() {
	out := newOutbox(d.engine)
	var now []*heldReply
	for {
		if now = d.take(now); len(now) == 0 {
			return
		}
		for _, h := range now {
			out.add(h.client, h.via, &h.route, h.payload)
		}
		out.flush()
		for _, h := range now {
			h.queue.release()
		}
		clear(now)
	}
}

// take waits for replies that may leave; none: it is closed.
func (d *held) take(into []*heldReply) []*heldReply {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.ready) == 0 && !d.closed {
		d.wake.Wait()
	}
	into, d.ready = d.ready, into[:0]
	return into
}

// close ends run when it has sent what it can. What is still held never leaves.
func (d *held) close() {
	d.mu.Lock()
	d.closed = true
	d.wake.Signal()
	d.mu.Unlock()
}
