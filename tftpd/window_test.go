package tftpd_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

const pause = time.Millisecond

// sender is a window under test, with a clock.
type sender struct {
	t    *testing.T
	w    *tftpd.Window
	now  time.Time
	size int64
	high int64 // highest block sent
}

func newSender(t *testing.T, size int, last int64, options bool) *sender {
	s := &sender{t: t, w: tftpd.NewWindow(size, last, options), now: time.Unix(1, 0), size: int64(size)}
	if options {
		s.high = -1 // block 0 is the OACK
	}
	s.sends(s.w.First())
	return s
}

// sends notes what is sent, and checks that it stays within the window.
func (s *sender) sends(first, last int64) (int64, int64) {
	s.t.Helper()
	acked, _ := s.w.State()
	if first <= last {
		if first <= acked || last > acked+s.size || first > s.high+1 {
			s.t.Fatalf("sends %d to %d with %d acknowledged, %d sent and a window of %d", first, last, acked, s.high, s.size)
		}
		s.high = max(s.high, last)
	}
	return first, last
}

func (s *sender) hears(n int64, after time.Duration) (first, last int64) {
	s.t.Helper()
	s.now = s.now.Add(after)
	first, last, _ = s.w.Ack(uint16(n), s.now, pause)
	return s.sends(first, last)
}

func (s *sender) wants(first, last, wantFirst, wantLast int64) {
	s.t.Helper()
	if wantFirst > wantLast && first > last {
		return // nothing, as it should be
	}
	if first != wantFirst || last != wantLast {
		s.t.Errorf("sends %d to %d, want %d to %d", first, last, wantFirst, wantLast)
	}
}

func TestAWindowSendsWhatTheClientNeedsNext(t *testing.T) {
	const nothing1, nothing2 = 1, 0
	for _, c := range []struct {
		story       string
		size        int
		acks        []int64 // block numbers, each a second after the one before; negative: at once
		first, last int64   // sent for the last of them
	}{
		{"the whole window has arrived", 4, []int64{0, 4}, 5, 8},
		{"a block is lost: the window begins behind what has arrived", 4, []int64{0, 2}, 3, 6},
		{"the first block is lost: the ACK comes again", 4, []int64{0, 4, 4}, 5, 8},
		{"it comes once for each block behind the gap", 4, []int64{0, 4, 4, -4}, nothing1, nothing2},
		{"a client that acknowledges every block gets each once", 4, []int64{0, 1, -2}, 6, 6},
		{"an ACK repeated in lock-step doubles nothing", 1, []int64{0, 1, 1}, nothing1, nothing2},
		{"a stale ACK is ignored", 4, []int64{0, 4, 3}, nothing1, nothing2},
		{"an ACK of what was never sent is ignored", 4, []int64{0, 5}, nothing1, nothing2},
		{"an ACK before the OACK's is ignored", 4, []int64{65535}, nothing1, nothing2},
		{"the last window is short", 8, []int64{0, 8, 16}, 17, 20},
		{"everything has arrived", 8, []int64{0, 8, 16, 20}, nothing1, nothing2},
	} {
		t.Run(c.story, func(t *testing.T) {
			s := newSender(t, c.size, 20, true)
			var first, last int64
			for _, n := range c.acks {
				after := time.Second
				if n < 0 {
					n, after = -n, 0
				}
				first, last = s.hears(n, after)
			}
			s.wants(first, last, c.first, c.last)
		})
	}
}

func TestABlockNumberRollsOverToZero(t *testing.T) {
	s := newSender(t, 64, 200_000, true)
	for n := int64(0); n < 200_000; n += 64 {
		first, last := s.hears(n, time.Second)
		s.wants(first, last, n+1, min(n+64, 200_000))
	}
}

// FuzzWindow transfers a file over a network that loses and repeats as the seed says, to a client that follows RFC 7440.
func FuzzWindow(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint16(1), uint8(0))
	f.Add(uint64(2), uint8(4), uint16(700), uint8(10))
	f.Add(uint64(3), uint8(64), uint16(3000), uint8(90))
	f.Fuzz(func(t *testing.T, seed uint64, size uint8, blocks uint16, loss uint8) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		lost := func() bool { return rnd.IntN(256) < min(int(loss), 128) }
		w, last := int64(size%64+1), int64(blocks%2048)+1
		s := newSender(t, int(w), last, false)
		got, inWindow := int64(0), int64(0)
		first, until := int64(1), int64(1)
		for steps := 0; ; steps++ {
			if steps > 100_000 {
				t.Fatalf("no end after %d steps: %d of %d", steps, got, last)
			}
			var acks []int64
			for n := first; n <= until; n++ {
				switch {
				case lost():
				case n == got+1:
					if got, inWindow = n, inWindow+1; inWindow == w || got == last {
						acks, inWindow = append(acks, got), 0
					}
				default:
					acks, inWindow = append(acks, got), 0
				}
			}
			first, until = 1, 0
			for _, a := range acks {
				for range 1 + rnd.IntN(2) {
					if lost() {
						continue
					}
					if f, l := s.hears(a, time.Duration(rnd.IntN(2000))*time.Microsecond); f <= l {
						first, until = f, l
					}
				}
			}
			if acked, _ := s.w.State(); rnd.IntN(8) == 0 { // a very late ACK
				if f, l := s.hears(rnd.Int64N(acked+1), 0); f <= l {
					first, until = f, l
				}
			}
			if _, done := s.w.State(); done {
				if got != last {
					t.Fatalf("done with %d of %d blocks", got, last)
				}
				return
			}
			if first > until {
				first, until = s.sends(s.w.Again(steps))
			}
		}
	})
}
