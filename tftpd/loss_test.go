package tftpd_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

// firmware is how a client answers blocks, as far as clients differ.
type firmware struct {
	name string
	// telling: it tells of a block other than the one it waits for. told: it has told so since its last progress.
	telling func(block, have int64, told bool) bool
	every   bool          // it acknowledges every block of a window
	mute    bool          // what it said was lost is not said again for long, whatever it gets
	repeats time.Duration // after which silence it repeats its ACK
}

// firmwares are those that are known to ask for windows, and some that may be out there.
func firmwares() []firmware {
	return []firmware{
		// RFC 7440 section 4 to the letter: a gap is told once, the last block is acknowledged again if it comes again.
		{"letter", func(n, have int64, told bool) bool { return n > have && !told || n == have }, false, false, time.Second},
		// MdeModulePkg's Mtftp4RrqHandleData acknowledges whatever it does not expect.
		{"EDK2", func(int64, int64, bool) bool { return true }, false, false, 4 * time.Second},
		// U-Boot's net/tftp.c says each number that it has only once, to any block.
		{"U-Boot", func(_, _ int64, told bool) bool { return !told }, false, true, 5 * time.Second},
		{"eager", func(int64, int64, bool) bool { return true }, true, false, time.Second},
	}
}

// path is a network between a sender and a client in simulated time.
type path struct {
	rnd    *rand.Rand
	loss   float64
	delay  func(at time.Duration) time.Duration // one way
	events []event
	order  int
	last   [2]time.Duration // arrivals; a path does not overtake
}

// steady is half of a round trip of 1 ms.
func steady(time.Duration) time.Duration { return time.Millisecond / 2 }

type event struct {
	at    time.Duration
	order int
	up    bool // an ACK
	block int64
}

func (p *path) put(up bool, block int64, now time.Duration) {
	if p.rnd.Float64() < p.loss {
		return
	}
	way := 0
	if up {
		way = 1
	}
	at := max(now+p.delay(now), p.last[way]+time.Microsecond)
	p.last[way] = at
	p.order++
	p.events = append(p.events, event{at, p.order, up, block})
}

func (p *path) next() (e event, there bool) {
	if len(p.events) == 0 {
		return event{}, false
	}
	first := slices.MinFunc(p.events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
	})
	p.events = slices.DeleteFunc(p.events, func(e event) bool { return e.order == first.order })
	return first, true
}

// story is what became of a simulated transfer.
type story struct {
	took        time.Duration
	whole       bool
	sent, asked int // blocks of the server, ACKs of the client
	useless     int // blocks that the client had already
}

// transfer runs one.
func transfer(f firmware, window int, last int64, p *path) (s story) {
	begin := time.Unix(1000, 0)
	server := tftpd.NewSender(window, last, begin)
	have, inWindow, told := int64(-1), 0, false
	silence, now := f.repeats, time.Duration(0)
	down := func(blocks []int64) {
		for _, b := range blocks {
			s.sent++
			p.put(false, b, now)
		}
	}
	up := func() {
		s.asked++
		inWindow, silence = 0, now+f.repeats
		p.put(true, have, now)
	}
	down(server.First(begin))
	for !server.Done() {
		due := server.Due().Sub(begin)
		if next := min(due, silence); len(p.events) == 0 || slices.MinFunc(p.events, func(a, b event) int { return cmp.Compare(a.at, b.at) }).at > next {
			now = next
			if now > 5*time.Minute {
				return s
			}
			if due <= silence {
				switch {
				case begin.Add(now).Before(server.End()):
				case have < 0: // the client asks on, and begins anew
					server = tftpd.NewSender(window, last, begin.Add(now))
					down(server.First(begin.Add(now)))
					continue
				default:
					return s
				}
				down(server.Expired(begin.Add(now)))
				continue
			}
			if have < 0 {
				silence = now + f.repeats
				down(server.Expired(begin.Add(now))) // the request comes again
				continue
			}
			told = false
			up()
			continue
		}
		e, _ := p.next()
		now = e.at
		switch {
		case e.up:
			down(server.Ack(uint16(e.block), begin.Add(now)))
		case e.block == have+1:
			have, told = e.block, false
			silence = now + f.repeats
			if inWindow++; have == 0 || f.every || inWindow == window || have == last {
				up()
			}
			s.whole, s.took = have == last, now
		default:
			if e.block <= have {
				s.useless++
			}
			if have >= 0 && (e.block == 0 || f.telling(e.block, have, told)) { // each OACK is acknowledged
				told = true
				up()
			}
		}
	}
	return s
}

func TestLossCostsATransferSomeRoundTripsOfTime(t *testing.T) {
	for _, c := range []struct {
		loss       float64
		window     int
		blocks     int64
		half, last time.Duration
	}{
		{0.01, 1, 700, 2 * time.Second, 4 * time.Second},
		{0.01, 16, 700, 80 * time.Millisecond, 3 * time.Second},
		{0.05, 1, 700, 8 * time.Second, 15 * time.Second},
		{0.05, 16, 700, 300 * time.Millisecond, 5 * time.Second},
		{0.20, 64, 100, 2 * time.Second, 15 * time.Second},
	} {
		for _, f := range firmwares() {
			t.Run(fmt.Sprintf("%.0f %%, windowsize %d, %s", 100*c.loss, c.window, f.name), func(t *testing.T) {
				t.Parallel()
				const machines = 100
				var took []time.Duration
				sent := 0
				for seed := range uint64(machines) {
					p := &path{rnd: rand.New(rand.NewPCG(seed, 1)), loss: c.loss, delay: steady}
					s := transfer(f, c.window, c.blocks, p)
					if !s.whole {
						t.Errorf("machine %d has no file after %s", seed, s.took)
					}
					took = append(took, s.took)
					sent += s.sent
				}
				slices.Sort(took)
				half, last := took[machines/2], took[machines-1]
				t.Logf("half of the machines need %s, the last %s; %.2f of the file was sent", half, last, float64(sent)/machines/float64(c.blocks))
				longest := c.last
				if f.repeats > time.Second { // its own waits are no server's business
					longest += 6 * f.repeats
				}
				if half > c.half && !f.mute || last > longest {
					t.Errorf("want %s and %s", c.half, longest)
				}
			})
		}
	}
}

func TestNoAnswerDoublesWhatIsSent(t *testing.T) {
	// The client is silent for a while in the middle, which makes the server ask what is missing though nothing is.
	for _, pause := range []time.Duration{5 * time.Millisecond, 30 * time.Millisecond, 120 * time.Millisecond, 900 * time.Millisecond} {
		sluggish := func(at time.Duration) time.Duration {
			if begin := 20 * time.Millisecond; at > begin && at < begin+pause {
				return time.Millisecond/2 + begin + pause - at
			}
			return time.Millisecond / 2
		}
		for _, window := range []int{1, 4, 16, 64} {
			for _, f := range firmwares() {
				t.Run(fmt.Sprintf("%s, windowsize %d, %s", pause, window, f.name), func(t *testing.T) {
					s := transfer(f, window, 2000, &path{rnd: rand.New(rand.NewPCG(1, 1)), delay: sluggish})
					if !s.whole {
						t.Fatal("there is no file")
					}
					// A block or two for each wait, and at most one window begun again; not all that follows, twice.
					if most := 2*window + 30; s.useless > most && !f.every {
						t.Errorf("%d blocks came for nothing, want %d at most", s.useless, most)
					}
				})
			}
		}
	}
}

func TestARoundTripThatGrowsIsLearnt(t *testing.T) {
	growing := func(at time.Duration) time.Duration {
		if at < 20*time.Millisecond {
			return time.Millisecond / 2
		}
		return 40 * time.Millisecond
	}
	for _, window := range []int{1, 4, 16, 64} {
		for _, f := range firmwares() {
			t.Run(fmt.Sprintf("windowsize %d, %s", window, f.name), func(t *testing.T) {
				s := transfer(f, window, 2000, &path{rnd: rand.New(rand.NewPCG(1, 1)), delay: growing})
				if !s.whole {
					t.Fatal("there is no file")
				}
				if most := 2*window + 60; s.useless > most && !f.every {
					t.Errorf("%d blocks came for nothing, want %d at most", s.useless, most)
				}
			})
		}
	}
}
