package server

import (
	"errors"
	"sync/atomic"
	"time"
)

// patience is how long a reader may serve before another one reads its socket: at least this, at most twice.
const patience = 10 * time.Millisecond

// lookout has a socket read, whatever the handlers of a reader do. It sleeps while nothing comes in.
type lookout struct {
	engine  *Engine
	conn    *conn
	ended   chan error // by the reader that reads no more
	asleep  atomic.Bool
	call    chan struct{}
	readers atomic.Int32 // those that were relieved and still serve, and the one that reads
}

func newLookout(e *Engine, c *conn) *lookout {
	return &lookout{engine: e, conn: c, ended: make(chan error, 1), call: make(chan struct{}, 1)}
}

// run returns when the socket is stopped or fails. Readers that were relieved are waited for with the workers.
func (l *lookout) run() error {
	r := l.start()
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for seen := uint64(0); ; {
		select {
		case err := <-l.ended:
			return err
		case <-l.call:
			tick.Reset(patience)
		case <-tick.C:
		}
		turn := r.turn.Load()
		switch {
		case turn != seen:
			seen = turn
		case !serving(turn):
			if l.sleep(r, turn) {
				tick.Stop()
			}
		case int(l.readers.Load()) <= len(l.engine.queues) && r.relieve(turn):
			slow := r
			r, seen = l.start(), 0
			slow.leave()
			for _, q := range l.engine.queues { // what it has not begun is for their workers
				q.work.Signal()
			}
		}
	}
}

// start starts another reader. There is at most one for each queue, which its handlers may hold, and one more.
func (l *lookout) start() *reader {
	r := newReader(l)
	l.readers.Add(1)
	l.engine.working.Add(1)
	go func() { // ends when the socket is stopped, or when it was relieved and its handlers have returned
		defer l.engine.working.Done()
		defer l.readers.Add(-1)
		if err := r.run(); !errors.Is(err, errRelieved) {
			l.ended <- err
		}
	}()
	return r
}

// sleep tells whether nobody needs to look, as long as wake is not called: the reader still reads as it did.
func (l *lookout) sleep(r *reader, turn uint64) bool {
	l.asleep.Store(true)
	if r.turn.Load() == turn {
		return true
	}
	l.asleep.Store(false)
	return false
}

// wake is called by a reader that has begun to serve.
func (l *lookout) wake() {
	if l.asleep.Load() && l.asleep.Swap(false) {
		select {
		case l.call <- struct{}{}:
		default: // it has been called already
		}
	}
}
