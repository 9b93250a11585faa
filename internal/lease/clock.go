package lease

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is where a Book's time comes from: the time since the host was booted, which nobody steps, and the wall's, which
// is needed only to tell how long the host was down.
//
// A Book's time goes on with the former while the host runs, whatever becomes of the wall's, also while the daemon is
// stopped. From one boot to the next it goes on with the wall's, corrected by the steps that the Book saw, and never
// backwards. So only a clock that is wrong at boot, and was not at the last one, makes leases end too early or too late.
type Clock interface {
	Boot() string         // names the boot
	Since() time.Duration // since the boot, also while suspended
	Wall() time.Time
}

// HostClock is this host's.
func HostClock() (Clock, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("the name of this boot is not known: %w", err)
	}
	return hostClock(strings.TrimSpace(string(id))), nil
}

type hostClock string

func (c hostClock) Boot() string { return string(c) }

func (hostClock) Since() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // Linux has it since 2.6.39
	}
	return time.Duration(t.Nano())
}

func (hostClock) Wall() time.Time { return time.Now() }

// timeRecord is one instant on all three clocks.
type timeRecord struct {
	boot  string
	since time.Duration // since the boot
	book  int64         // the Book's time in nanoseconds
	skew  time.Duration // the wall's time minus the Book's
}

// bookTime makes the Book's time of a clock.
type bookTime struct {
	clock Clock
	last  timeRecord // the newest that the journal has, or will have
}

// begin goes on from the last record; newest is the newest second that any lease speaks of as the past.
func (t *bookTime) begin(newest int64) {
	since, boot, wall := t.clock.Since(), t.clock.Boot(), t.clock.Wall().UnixNano()
	book := wall - int64(t.last.skew)
	if t.last.boot == boot && since >= t.last.since {
		book = t.last.book + int64(since-t.last.since)
	}
	book = max(book, newest*int64(time.Second), t.last.book)
	t.last = timeRecord{boot, since, book, time.Duration(wall - book)}
}

// now is the Book's time in seconds, rounded down.
func (t *bookTime) now() int64 { return t.at(t.clock.Since()) / int64(time.Second) }

func (t *bookTime) at(since time.Duration) int64 { return t.last.book + int64(since-t.last.since) }

// leap is a difference between two clocks that is taken for a step, and not for one that runs a little fast.
const leap = 2 * time.Second

// check is now, and whether the wall's clock was stepped since the last record, which then is a new one.
func (t *bookTime) check() (now int64, stepped bool) {
	since := t.clock.Since()
	book := t.at(since)
	if skew := time.Duration(t.clock.Wall().UnixNano() - book); (skew - t.last.skew).Abs() >= leap {
		t.last, stepped = timeRecord{t.last.boot, since, book, skew}, true
	}
	return book / int64(time.Second), stepped
}
