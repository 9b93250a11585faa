package tftpd

import "time"

// How long a session lasts without the client. One that never acknowledged anything may not exist: its address may be
// forged.
const (
	firstSends   = 4 // at most, before the first ACK
	unproven     = 10 * time.Second
	longestQuiet = time.Minute
	linger       = 3 * time.Second // for ACKs that come again after the end
)

// defaultRetransmit is how long to wait for the first ACK of a client; RFC 6298 section 2.1.
const defaultRetransmit = time.Second

// patience is how long a transfer survives a client that makes no progress: no shorter than EDK2's own 6 attempts of 4 s.
func patience(retransmit time.Duration) time.Duration { return 30 * retransmit }

// session is a TFTP transfer on the wire. Its port's lock guards it from the first answer on.
type session struct {
	peer
	asked   string // the request's bytes, to know it again
	port    *port
	record  *transfer
	content *content

	terms      terms
	window     window
	trip       roundTrip
	retransmit time.Duration // the wait for an ACK while nothing is measured or agreed

	sends    int       // of the first answer; 0 once the client acknowledged something
	tries    int       // retransmissions since the last progress
	progress time.Time // the request, or the last ACK that said something new
	timed    int64     // the block whose ACK measures the round trip; -1: none
	sentAt   time.Time

	due   time.Time // when to send again, or to give up
	waits time.Time // when the timers look at it: not after due
	place int       // among the timers
	over  bool      // ended; stays for the linger
}

// starts makes the first answer possible.
func (s *session) starts(t terms, c *content, now time.Time) {
	s.terms, s.content = t, c
	s.window = newWindow(t.window, c.size/int64(t.block)+1, t.oack != nil)
	s.progress = now
}

// sent notes that blocks were sent, those from fresh on for the first time: an ACK of them tells the round trip (Karn's
// algorithm, RFC 6298 section 3).
func (s *session) sent(blocks span, fresh int64, now time.Time) {
	s.timed, s.sentAt = -1, now
	if fresh <= blocks.last {
		s.timed = fresh
	}
	s.due = now.Add(s.wait())
	if end := s.end(); s.due.After(end) || s.sends == firstSends {
		s.due = end
	}
}

// wait is the time until the next retransmission: as measured or agreed on, and twice as long with each attempt. A client
// that is known to be there is asked every second at least, or as agreed: much is lost at times, and it waits too.
func (s *session) wait() time.Duration {
	unknown, longest := s.retransmit, 4*s.retransmit
	switch {
	case s.terms.timeout > 0:
		unknown, longest = s.terms.timeout, s.terms.timeout
	case s.trip.known():
		longest = s.retransmit
	}
	doublings := s.tries
	if s.window.size > 1 && doublings > 0 {
		doublings-- // a client does not acknowledge the block that it lacked until its window is full, or the block comes again
	}
	return min(s.trip.wait(s.retransmit, unknown)<<min(doublings, 10), longest)
}

// end is when the session is given up if the client makes no progress.
func (s *session) end() time.Time {
	quiet := patience(s.retransmit)
	if s.sends > 0 {
		quiet = min(quiet, unproven)
	} else {
		quiet = max(quiet, min(6*s.terms.timeout, longestQuiet))
	}
	return s.progress.Add(quiet)
}

// ack takes an ACK and returns what to send.
func (s *session) ack(number uint16, now time.Time) span {
	pause := s.retransmit / floor
	if s.trip.known() {
		pause = s.trip.smoothed / 2 // an answer to what was sent since takes a whole round trip
	}
	before := s.window.acked
	next, progress := s.window.ack(number, now, pause)
	if !progress {
		return next
	}
	s.sends, s.tries, s.progress = 0, 0, now
	if !s.trip.known() || s.timed >= 0 && s.window.acked >= s.timed {
		// Where much is lost, no block may arrive at the first attempt, ever. The first measure is taken of any ACK:
		// it may answer what was sent earlier and is too short then, which costs a repeated block and not a second.
		s.trip.sample(now.Sub(s.sentAt))
		s.timed = -1
	}
	s.record.bytes += s.offset(s.window.acked) - s.offset(before)
	return next
}

// offset is how much of the file the blocks up to n hold.
func (s *session) offset(n int64) int64 {
	return min(max(n, 0)*int64(s.terms.block), s.content.size)
}
