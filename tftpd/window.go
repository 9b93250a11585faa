package tftpd

import "time"

// window is the sender's side of RFC 7440, and with a size of 1 that of RFC 1350. It decides which blocks to send and
// does no more. Blocks count from 1 and do not roll over here; block 0 is the OACK.
type window struct {
	size  int64
	last  int64 // the file's last block
	acked int64 // all up to this one have arrived; at first -1 with an OACK, else 0
	next  int64 // the first that was never sent

	began time.Time // of the current window
}

// span is a run of blocks, first to last; an empty one has its first behind its last.
type span struct{ first, last int64 }

func (s span) empty() bool { return s.first > s.last }

func newWindow(size int, last int64, options bool) window {
	w := window{size: int64(size), last: last, next: 1}
	if options {
		w.acked, w.next = -1, 0
	}
	return w
}

// first is what answers the request: one block, because nothing is known yet of who asked.
func (w *window) first() span { return w.sending(span{w.next, w.next}) }

// pairs is how many timeouts in a row send two blocks.
const pairs = 3

// again is what to send after the n-th timeout in a row, the rest of the window need not be lost: the oldest block that is
// not acknowledged, and the newest. A client that lacks the oldest takes it; one that lacks another, or has them all, says
// so to the newest. It is not known here which of them the client is. Of one that stays silent there is no more to learn
// from two: then it gets them by turns.
func (w *window) again(n int) []span {
	oldest, newest := span{w.acked + 1, w.acked + 1}, span{w.next - 1, w.next - 1}
	switch {
	case oldest == newest, n > pairs && n%2 == 0:
		return []span{oldest}
	case n > pairs:
		return []span{newest}
	}
	return []span{oldest, newest}
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
// A repeated ACK is ignored if the window is 1, or each repetition would double all data from there on (the Sorcerer's
// Apprentice, RFC 1123 section 4.2.3.1).
func (w *window) ack(number uint16, now time.Time, pause time.Duration) (send span, progress bool) {
	none := span{1, 0}
	ahead := int64(number - uint16(w.acked))
	soon := now.Sub(w.began) < pause
	switch {
	case w.acked+ahead >= w.next:
		return none, false
	case ahead > 0:
		w.acked += ahead
	case w.size == 1 || w.acked < 0 || w.done() || soon:
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
	w.next = max(w.next, s.last+1)
	return s
}
