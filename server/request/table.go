package request

import (
	"reflect"
	"slices"
	"sync"
)

// Of is the request whose handlers were given msg as their request; nil if the server tells nothing of it. It finds
// requests only while their chain runs.
func Of(msg any) *Request {
	s := underWay.shard(msg)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.requests {
		if e.message == msg {
			return e.request
		}
	}
	return nil
}

// The methods below are for the server that runs the chain.

// Open makes what f says known to the handlers that are given msg, a pointer, until Close.
func Open(msg any, f Facts) *Request {
	r := new(Request)
	r.Reopen(msg, f)
	return r
}

// Reopen is Open in the memory of r, a request that has ended and that nobody has kept.
func (r *Request) Reopen(msg any, f Facts) {
	*r = Request{facts: f, message: msg, left: r.left[:0], holds: holds{waiting: 1}} // the chain
	if s := underWay.shard(msg); s != nil {
		s.mu.Lock()
		s.requests = append(s.requests, entry{msg, r})
		s.mu.Unlock()
	}
}

// Close ends what Open began: the chain has ended, or panicked. What is held goes on.
func (r *Request) Close() {
	if s := underWay.shard(r.message); s != nil {
		s.mu.Lock()
		s.requests = slices.DeleteFunc(s.requests, func(e entry) bool { return e.request == r })
		s.mu.Unlock()
	}
	r.message = nil
}

// Held tells whether something is still to be done before the reply leaves, and the first error of what is done.
func (r *Request) Held() (bool, error) {
	r.holds.mu.Lock()
	defer r.holds.mu.Unlock()
	return r.holds.waiting > 1, r.holds.err
}

// WasHeld tells whether anybody held the reply, who then may still read the messages.
func (r *Request) WasHeld() bool {
	r.holds.mu.Lock()
	defer r.holds.mu.Unlock()
	return r.holds.ever
}

// Finish has send called when no hold is left, with the first error of one: now, or later by the goroutine of the last
// one's commit.
func (r *Request) Finish(send func(error)) {
	r.holds.mu.Lock()
	r.holds.ended = send
	r.holds.mu.Unlock()
	r.holds.release(nil)
}

// Asked are the ways of encoding and delivery that a plugin asked for; zero values: none.
func (r *Request) Asked() (Encode4, Delivery) { return r.encode, r.delivery }

// table finds requests by their messages. Plugins are given nothing but the message, so it is the one thing that the
// whole process shares.
type table [64]shard

type shard struct {
	mu       sync.Mutex
	requests []entry  // no more than there are goroutines that serve: looking at them all is less work than a map
	_        [32]byte // the next lock has a cache line of its own
}

type entry struct {
	message any
	request *Request
}

//nolint:gochecknoglobals // a handler has no other way to its server
var underWay table

// shard is where msg belongs; nil for what is no pointer.
func (t *table) shard(msg any) *shard {
	v := reflect.ValueOf(msg)
	if v.Kind() != reflect.Pointer {
		return nil
	}
	const golden = 0x9e3779b97f4a7c15 // spreads addresses, which differ in few bits
	return &t[uint64(v.Pointer())*golden>>58]
}
