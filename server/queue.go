package server

import (
	"sync"
	"time"

	"github.com/coredhcp-netboot/suite/server/request"
)

// packet is one datagram that waits to be served. Its memory is used again.
type packet struct {
	glance
	data  []byte
	via   *conn
	facts request.Facts
	turn  uint64 // its place in the queue
}

// queue holds what waits of some clients. It is bounded: what is too much is shed, the oldest of the least dear class
// first. What is left is served in the order of its arrival, by one goroutine at a time: the reader that has read it, or
// the queue's worker.
type queue struct {
	mu      sync.Mutex
	work    sync.Cond
	served  bool // by somebody, who takes on what comes meanwhile
	waiting [classes]ring
	size    int
	limit   int
	turn    uint64
	rates   limiter
	held    int  // replies that wait for a commit, or to leave after it
	closed  bool // nothing comes in any more
	aborted bool // and nothing is waited for
}

func newQueue(limit int, rate Rate) *queue {
	q := &queue{limit: limit, rates: newLimiter(rate)}
	q.work.L = &q.mu
	return q
}

// push adds p, and leaves it to the reader to serve it. It returns what must go instead, p itself or an older packet, and
// why; nil: there was room.
func (q *queue) push(p *packet) (gone *packet, why reason) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return p, dropStopping
	}
	// Who asks too often is served as long as nobody has to wait for it.
	if !q.rates.allow(p.client, p.facts.Arrived) && q.size > q.limit/4 {
		return p, dropRate
	}
	q.turn++
	p.turn = q.turn
	q.waiting[p.class].push(p)
	q.size++
	if q.size > q.limit {
		gone, why = q.shed(), dropShed
	}
	return gone, why
}

func (q *queue) shed() *packet {
	for c := range q.waiting {
		if p := q.waiting[c].pop(); p != nil {
			q.size--
			return p
		}
	}
	return nil
}

// hold counts a reply that waits, and tells whether there is room for it.
func (q *queue) hold() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held >= q.limit {
		return false
	}
	q.held++
	return true
}

// release ends the waiting of a reply, which has left or never will.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held--
	if q.closed {
		q.work.Signal()
	}
}

// begin waits until there is something to do that nobody does, and makes the caller who does it, until done; false:
// nothing more can come.
func (q *queue) begin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.served || q.idle() {
		if q.over() && !q.served {
			return false
		}
		q.work.Wait()
	}
	q.served = true
	return true
}

// tryBegin is begin for who does not wait.
func (q *queue) tryBegin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.served || q.idle() {
		return false
	}
	q.served = true
	return true
}

// done ends what begin began. What is left is the worker's.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.served = false
	if !q.idle() || q.closed {
		q.work.Signal()
	}
}

func (q *queue) idle() bool { return q.size == 0 }

// take moves up to cap(into) packets out.
func (q *queue) take(into []*packet) []*packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = into[:0]
	for q.size > 0 && len(into) < cap(into) {
		into = append(into, q.next())
	}
	return into
}

// over tells that nothing more can come.
func (q *queue) over() bool { return q.closed && (q.held == 0 || q.aborted) }

// next is the packet that has waited longest.
func (q *queue) next() *packet {
	oldest := -1
	for c := range q.waiting {
		p := q.waiting[c].peek()
		if p != nil && (oldest < 0 || p.turn < q.waiting[oldest].peek().turn) {
			oldest = c
		}
	}
	q.size--
	return q.waiting[oldest].pop()
}

// close lets nothing in any more; what waits is still served.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.work.Signal()
	q.mu.Unlock()
}

// abort also gives up what is held, and what still waits.
func (q *queue) abort() {
	q.mu.Lock()
	q.closed, q.aborted = true, true
	for q.shed() != nil {
	}
	q.work.Signal()
	q.mu.Unlock()
}

// ring is a queue of packets that grows to what it had to hold.
type ring struct {
	slots []*packet // a power of two
	head  int
	size  int
}

func (r *ring) push(p *packet) {
	if r.size == len(r.slots) {
		grown := make([]*packet, max(16, 2*len(r.slots)))
		for i := range r.size {
			grown[i] = r.slots[(r.head+i)&(len(r.slots)-1)]
		}
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.size)&(len(r.slots)-1)] = p
	r.size++
}

func (r *ring) peek() *packet {
	if r.size == 0 {
		return nil
	}
	return r.slots[r.head]
}

func (r *ring) pop() *packet {
	p := r.peek()
	if p != nil {
		r.slots[r.head] = nil
		r.head = (r.head + 1) & (len(r.slots) - 1)
		r.size--
	}
	return p
}

// Rate bounds the requests of one client: so many in a second for long, and so many at once. Zero PerSecond: no bound.
type Rate struct{ PerSecond, Burst int }

// limiter remembers how much clients asked lately. Clients that share a bucket take turns in it: a flood of made-up
// clients can make it forget, and never deny a client that asks little.
type limiter struct {
	interval, burst time.Duration
	buckets         []bucket // a power of two
}

type bucket struct {
	client uint64
	until  time.Time // when all that it asked would have been allowed one by one
}

func newLimiter(r Rate) limiter {
	if r.PerSecond == 0 {
		return limiter{}
	}
	interval := time.Second / time.Duration(r.PerSecond)
	return limiter{interval, interval * time.Duration(r.Burst), make([]bucket, 4096)}
}

// allow is the generic cell rate algorithm (ITU-T I.371).
func (l *limiter) allow(client uint64, now time.Time) bool {
	if l.buckets == nil {
		return true
	}
	b := &l.buckets[client>>8&uint64(len(l.buckets)-1)]
	if b.client != client || b.until.Before(now) {
		b.client, b.until = client, now
	}
	if b.until.Sub(now) > l.burst {
		return false
	}
	b.until = b.until.Add(l.interval)
	return true
}
