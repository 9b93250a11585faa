package tftpd

import (
	"runtime"
	"time"
)

// share is the processor time that the scheduler gave a goroutine which waits in the kernel again and again. The scheduler
// takes a goroutine for one that computes if it has run for 10 ms without passing the scheduler, and waits in system
// calls do not count as that: its supervisor then looks at it every 20 us, interrupts its waits with signals and takes its
// processor away, which must be found again with the next packet in hand. For a client in lock step over 1 ms that took
// half of all processor time.
type share struct{ since time.Time }

// longestShare is well below those 10 ms.
const longestShare = 5 * time.Millisecond

// end passes the scheduler after a while; at once where the goroutine has work for others: with all processors taken, they
// would begin only when the supervisor finds out that it waits.
func (s *share) end(now time.Time, work bool) {
	if work || now.Sub(s.since) >= longestShare {
		s.since = now
		runtime.Gosched()
	}
}
