package tftpd

import "time"

// floor is the shortest wait for an ACK, as a part of the usual one: 50 ms of 1 s. A client that writes to flash, or is
// emulated, is silent for some milliseconds now and then. TCP's floor is 200 ms in practice (Linux) and 1 s by RFC 6298.
const floor = 20

// roundTrip estimates how long an ACK takes, by RFC 6298 section 2.
type roundTrip struct {
	smoothed, variation time.Duration
}

func (r *roundTrip) known() bool { return r.smoothed > 0 }

// sample takes the time from a block that was sent once to its ACK.
func (r *roundTrip) sample(d time.Duration) {
	d = max(d, 1)
	if !r.known() {
		r.smoothed, r.variation = d, d/2
		return
	}
	r.variation += ((r.smoothed - d).Abs() - r.variation) / 4
	r.smoothed = max(r.smoothed+(d-r.smoothed)/8, 1)
}

// wait is how long to wait for an ACK before the first retransmission: usual/floor at least, and unknown for who has not
// answered yet.
func (r *roundTrip) wait(usual, unknown time.Duration) time.Duration {
	if !r.known() {
		return unknown
	}
	return min(max(r.smoothed+4*r.variation, usual/floor), unknown)
}
