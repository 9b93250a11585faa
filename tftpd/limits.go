package tftpd

import (
	"net/netip"
	"sync"
	"time"
)

// Why a request is not answered: the values of the metric label "because".
const (
	tooManyTransfers = "transfers"        // of all clients
	tooManyOfClient  = "client-transfers" // of one address
	tooFast          = "rate"             // requests of one address
	overload         = "overload"         // disks do not keep up
)

// limits bounds what clients may ask for, alone and together. Many machines may share an address behind a NAT.
type limits struct {
	transfers, perClient int
	rate                 float64 // requests a second of one address, and as many at once

	mu      sync.Mutex
	running int
	sources map[netip.Addr]*source
}

// source is an address that has transfers, or had some a moment ago.
type source struct {
	transfers int
	spent     float64   // requests, less what time gave back
	at        time.Time // of spent
}

func newLimits(c Config) *limits {
	return &limits{transfers: c.MaxTransfers, perClient: c.MaxPerClient, rate: float64(c.MaxRate), sources: map[netip.Addr]*source{}}
}

// admit counts a transfer, or says why it is one too many.
func (l *limits) admit(a netip.Addr, now time.Time) (because string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running >= l.transfers {
		return tooManyTransfers
	}
	s := l.source(a, now)
	s.spent = max(s.spent-l.rate*now.Sub(s.at).Seconds(), 0)
	s.at = now
	switch {
	case s.transfers >= l.perClient:
		return tooManyOfClient
	case s.spent+1 > l.rate:
		return tooFast
	}
	s.spent++
	s.transfers++
	l.running++
	return ""
}

// source finds or makes an entry. Those that say nothing any more make room: there are no more of the others than
// transfers and requests of a second.
func (l *limits) source(a netip.Addr, now time.Time) *source {
	if s := l.sources[a]; s != nil {
		return s
	}
	if len(l.sources) >= 2*l.transfers {
		for b, s := range l.sources {
			if s.transfers == 0 && s.spent <= l.rate*now.Sub(s.at).Seconds() {
				delete(l.sources, b)
			}
		}
	}
	s := &source{at: now}
	l.sources[a] = s
	return s
}

func (l *limits) release(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.sources[a].transfers--
}
