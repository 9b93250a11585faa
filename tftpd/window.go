package tftpd

import "time"

// window is the sender's side of RFC 7440, and with a size of 1 that of RFC 1350. It decides which blocks to send and
// does no more. Blocks count from 1 and do not roll over here; block 0 is the OACK.
type window struct {
	size  int64
	last  int64 // the file's last block
	acked int64 // all up to this one have arrived; at first -1 with an OACK, else 0
	next  int64 // the first that was never sent
	twice int64 // the last that may have been sent more than once

	began time.Time // of the current window
}

// span is a run of blocks, first to last; an empty one has its first behind its last.
type span struct{ first, last int64 }

func (s span) empty() bool { return s.first > s.last }

func newWindow(size int, last int64, options bool) window {
	w := window{size: int64(size), last: last, next: 1, twice: -1}
	if options {
		w.acked, w.next = -1, 0
	}
	return w
}

// first is what answers the request: one block, because nothing is known yet of who asked.
func (w *window) first() span { return w.sending(span{w.next, w.next}) }

const (
	run  = 7 // blocks of a window that a timeout sends at most, beside the oldest and the newest
	runs = 3 // of such timeouts in a row
)

// again is what to send after the n-th timeout in a row. The rest of the window need not be lost: a client that follows
// RFC 7440 to the letter has told of a gap once, and is silent until it gets the block that it lacks, or the one that it
// had last. If only the beginning of a window or its end was lost, that is the oldest or the newest block. If an ACK was
// lost as well, it is one between them; the more is lost the nearer it is to the oldest, so the next timeouts send a few
// from there on, some behind them, and the first ones again. The newest makes a client that took another say what it lacks next. Of one that stays silent there is
// no more to learn from many.
func (w *window) again(n int) []span {
	oldest, newest := w.acked+1, w.next-1
	switch begin := oldest + run*int64(n%2); {
	case n == 1 || n <= 1+runs && begin >= newest:
		return w.spans(span{oldest, oldest}, span{newest, newest})
	case n <= 1+runs:
		return w.spans(span{oldest, oldest}, span{begin, min(begin+run-1, newest)}, span{newest, newest})
	case n%2 == 0:
		return w.spans(span{oldest, oldest})
	}
	return w.spans(span{newest, newest})
}

// spans notes that blocks are sent, each once.
func (w *window) spans(all ...span) (sending []span) {
	next := all[0].first
	for _, s := range all {
		if s.first = max(s.first, next); !s.empty() {
			sending = append(sending, w.sending(s))
			next = s.last + 1
		}
	}
	return sending
}

// done tells whether everything has arrived.
func (w *window) done() bool { return w.acked == w.last }

// ack takes the number of an ACK and returns what to send now. Progress is false for an ACK that says nothing new: stale
// ones and those of blocks that were never sent are ignored.
//
// An ACK from within the window says that the block behind it is lost, and the window begins there anew. But a client may
// say so once for each block behind the gap, and some acknowledge every block: within a pause since the window began,
// only blocks that were never sent go out.
//
// A repeated ACK says that the first block of the window is lost, unless the block that it acknowledges was sent more than
// once: then it may only answer that one. To answer such an ACK with data would double all data from there on (the
// Sorcerer's Apprentice, RFC 1123 section 4.2.3.1), as any repeated ACK would if the window is 1.
func (w *window) ack(number uint16, now time.Time, pause time.Duration) (send span, progress bool) {
	none := span{1, 0}
	ahead := int64(number - uint16(w.acked))
	soon := now.Sub(w.began) < pause
	switch {
	case w.acked+ahead >= w.next:
		return none, false
	case ahead > 0:
		w.acked += ahead
	case w.size == 1 || w.acked <= w.twice || w.done() || soon:
		return none, false
	}
	if w.done() {
		return none, true
	}
	w.began = now
	send = span{w.acked + 1, min(w.acked+w.size, w.last)}
	if soon {
		send.first = w.next
	}
	return w.sending(send), ahead > 0
}

// sending notes that s is sent.
func (w *window) sending(s span) span {
	if s.first < w.next {
		w.twice = max(w.twice, min(s.last, w.next-1))
	}
	w.next = max(w.next, s.last+1)
	return s
}
