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
	tries    int       // timeouts since the last progress
	backoff  int       // timeouts since the round trip was measured
	doubts   int       // ACKs since then that told nothing of it
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

// sent notes that blocks were sent. Their ACK tells the round trip, but not after a timeout: it may come for what was sent
// before (Karn's algorithm, RFC 6298 section 3).
func (s *session) sent(blocks span, now time.Time) {
	s.timed, s.sentAt = -1, now
	if s.tries == 0 {
		s.timed = blocks.first
	}
	s.due = now.Add(s.wait())
	if end := s.end(); s.due.After(end) || s.sends == firstSends {
		s.due = end
	}
}

// wait is the time until the next timeout: as measured or agreed on, and longer with each one until the next measure. In
// a window a timeout asks what is missing with a few blocks, so it comes early, and that often before the wait is doubled.
func (s *session) wait() time.Duration {
	unknown, longest, doublings := s.retransmit, 4*s.retransmit, s.backoff
	if s.terms.timeout > 0 {
		unknown, longest = s.terms.timeout, s.terms.timeout
	}
	least := s.retransmit / floor
	if s.window.size > 1 {
		least, doublings = s.retransmit/windowFloor, max(doublings-runs, 0)
	}
	wait := unknown
	if s.trip.known() {
		wait = min(max(s.trip.timeout(), least), unknown)
	}
	return min(wait<<min(doublings, 10), longest)
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
	if now.Sub(s.sentAt) >= s.retransmit/repeated {
		s.window.twice = -1 // it answers nothing that was sent; the client waits
	}
	before := s.window.acked
	next, progress := s.window.ack(number, now, pause)
	if !progress {
		return next
	}
	s.measure(now, pause)
	s.sends, s.tries, s.progress = 0, 0, now
	s.record.bytes += s.offset(s.window.acked) - s.offset(before)
	return next
}

// measure takes the round trip from an ACK that made progress, and ends the backoff with it. An ACK that comes a round
// trip after a timeout answers what was sent then, and ends it too. Any other leaves a few doublings, more each time: the
// round trip may have grown. What took too long is no measure: the client may have repeated a lost ACK.
func (s *session) measure(now time.Time, pause time.Duration) {
	took := now.Sub(s.sentAt)
	timed := s.timed >= 0 && s.window.acked >= s.timed
	switch {
	case took >= s.retransmit/repeated || s.trip.known() && took < pause:
		s.doubts++
	case timed:
		s.trip.sample(took)
		s.backoff, s.doubts = 0, 0
	case s.timed < 0 && s.trip.known() && took <= 2*s.trip.smoothed:
		s.backoff, s.doubts = 0, 0
	case s.timed < 0:
		s.doubts++
	}
	if s.backoff = min(s.backoff, runs+s.doubts); !s.trip.known() {
		s.backoff = 0
	}
}

// expired is a timeout, the server's or, if it repeats its request, the client's. It returns what to send again; the first
// answer is sent only so often.
func (s *session) expired() []span {
	if s.sends == firstSends {
		return nil
	}
	if s.sends > 0 {
		s.sends++
	}
	s.tries++
	s.backoff++
	return s.window.again(s.tries)
}

// offset is how much of the file the blocks up to n hold.
func (s *session) offset(n int64) int64 {
	return min(max(n, 0)*int64(s.terms.block), s.content.size)
}
