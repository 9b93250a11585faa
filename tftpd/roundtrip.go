package tftpd

import "time"

// The shortest waits for an ACK, as parts of the usual one: 50 ms of 1 s, and 10 ms in a window. A client that writes to
// flash, or is emulated, is silent for some milliseconds now and then. TCP's floor is 200 ms in practice (Linux) and 1 s by
// RFC 6298; RFC 8985 section 7.2 asks after two round trips for the end of a flight.
const (
	floor       = 20
	windowFloor = 100
)

// repeated is the part of the usual wait after which an ACK may have been repeated by its client: iPXE does after 250 ms.
const repeated = 4

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

// timeout is how long an ACK may take.
func (r *roundTrip) timeout() time.Duration {
	return max(r.smoothed+4*r.variation, 2*r.smoothed)
}
