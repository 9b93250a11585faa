package main_test

import (
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

var rounds = flag.Int("rounds", 5, "how often the daemon is killed under load, for each plugin that lends")

// Machines come, renew under another name, give back what they have or find it in use, many at the same time.
func TestNoLeaseIsLostWhenTheDaemonIsKilledUnderLoad(t *testing.T) {
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, t.TempDir(), 32)
		random := rand.New(rand.NewPCG(1, 1))
		for range *rounds {
			s.start()
			s.remembers(false)
			s.livesUntil(50 + random.Int64N(400))
		}
		s.start()
		s.remembers(true)
		t.Logf("%d kills, %d machines, %d with leases", *rounds, s.machines(), s.told())
	})
}

// livesUntil kills the daemon when the machines have done so many things.
func (s *leaseSite) livesUntil(enough int64) {
	s.t.Helper()
	var all sync.WaitGroup
	var done atomic.Int64
	var once sync.Once
	var killed atomic.Bool
	now := make(chan struct{})
	for _, c := range s.crowds {
		all.Add(1)
		go func() {
			defer all.Done()
			defer once.Do(func() { close(now) }) // not only when all is well
			for {
				if err := c.lives(); err != nil {
					if !killed.Load() {
						s.t.Error(err)
					}
					return
				}
				if done.Add(1) == enough {
					return
				}
			}
		}()
	}
	<-now
	killed.Store(true)
	s.kill()
	all.Wait()
	if s.t.Failed() {
		s.t.Fatalf("the daemon says:\n%s", s.log.String())
	}
}

func (s *leaseSite) machines() (n int) {
	for _, c := range s.crowds {
		n += len(c.all)
	}
	return n
}
