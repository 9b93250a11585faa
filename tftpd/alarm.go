package tftpd

import "time"

// alarm is when a port's goroutine is to wake up at the latest.
type alarm struct {
	asleep bool // it waits, and is to be woken up for what is due before
	at     time.Time
}

// set begins a sleep until a time, and returns how long that is; it has no end if it is negative, as for the zero time.
func (a *alarm) set(until, now time.Time) time.Duration {
	a.asleep, a.at = true, until
	if until.IsZero() {
		return -1
	}
	return max(until.Sub(now), 0)
}

// late tells whether the goroutine would sleep too long for what is due next; nothing is at the zero time.
func (a *alarm) late(next time.Time) bool {
	return a.asleep && !next.IsZero() && (a.at.IsZero() || next.Before(a.at))
}

// ration is how many of something there were in a second.
type ration struct {
	taken int
	since time.Time
}

// takes takes one more, if the second has not had most of them yet.
func (r *ration) takes(most int, now time.Time) bool {
	if now.Sub(r.since) >= time.Second {
		r.taken, r.since = 0, now
	}
	r.taken++
	return r.taken <= most
}
