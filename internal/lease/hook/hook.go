package hook

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// Event is what a hook is told; posted, it is one JSON object.
type Event struct {
	Event string `json:"event"` // offered, leased (new or renewed), released, declined or expired
	view.Lease
}

// Hook is one that runs.
type Hook struct {
	config Config
	wall   func(second int64) time.Time
	log    *logrus.Entry
	counts *Counts
	call   func(context.Context, *Event) error
	queues []chan lease.Event
	seed   maphash.Seed
	stop   context.CancelFunc
	ending chan struct{}
	all    sync.WaitGroup
	warned atomic.Int64 // when the log last had of a failure, in Unix seconds
}

// Start starts a hook that was checked. Wall makes the host's time of a Book's second.
func Start(c Config, wall func(second int64) time.Time, log *logrus.Entry, counts *Counts) *Hook {
	c = c.withDefaults()
	h := &Hook{config: c, wall: wall, log: log, counts: counts, seed: maphash.MakeSeed(), ending: make(chan struct{})}
	h.call = h.run
	if c.URL != "" {
		h.call = newPoster(c.URL).post
	}
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	for range c.AtOnce {
		q := make(chan lease.Event, max(1, c.Queue/c.AtOnce))
		h.queues = append(h.queues, q)
		h.all.Add(1)
		go func() { // ends with Close
			defer h.all.Done()
			h.serve(ctx, q)
		}()
	}
	return h
}

// serve tells the events of some addresses, at the end those that wait.
func (h *Hook) serve(ctx context.Context, q chan lease.Event) {
	for {
		select {
		case e := <-q:
			h.tell(ctx, e)
		case <-h.ending:
			for len(q) > 0 {
				h.tell(ctx, <-q)
			}
			return
		}
	}
}

// Tell takes an event, or drops it. It never waits.
func (h *Hook) Tell(e lease.Event) {
	if !h.config.wants(e.Kind) {
		return
	}
	a := e.Lease.Addr.As16()
	select {
	case h.queues[maphash.Bytes(h.seed, a[:])%uint64(len(h.queues))] <- e:
	default:
		h.counts.dropped.Inc()
		h.warn(nil, "hook: events are dropped: it is too slow for them")
	}
}

// grace is how long the end waits for events that wait.
const grace = 2 * time.Second

// Close tells what waits, as far as there is time, and ends.
func (h *Hook) Close() {
	close(h.ending)
	late := time.AfterFunc(grace, h.stop)
	h.all.Wait()
	late.Stop()
	h.stop()
}

func (h *Hook) tell(ctx context.Context, e lease.Event) {
	if ctx.Err() != nil {
		h.counts.dropped.Inc()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.config.Timeout)
	defer cancel()
	if err := h.call(ctx, &Event{e.Kind.String(), view.Of(e.Lease, h.wall)}); err != nil {
		h.counts.failed.Inc()
		h.warn(err, "hook: failed")
		return
	}
	h.counts.done.Inc()
}

// warnEvery is the time between two lines of the log, in seconds.
const warnEvery = 10

func (h *Hook) warn(err error, text string) {
	now, last := time.Now().Unix(), h.warned.Load()
	if now-last < warnEvery || !h.warned.CompareAndSwap(last, now) {
		return
	}
	log := h.log
	if err != nil {
		log = log.WithError(err)
	}
	log.Warn(text)
}

// Metric counts the events of all hooks: those that were told, failed and dropped.
const Metric = "netboot_lease_hook_events_total"

// Counts are the hooks' metrics.
type Counts struct{ done, failed, dropped prometheus.Counter }

// NewCounts registers the metrics in r, where they may be already; nil: they are not shown.
func NewCounts(r prometheus.Registerer) *Counts {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: Metric, Help: "Lease events for hooks, by what became of them."}, []string{"result"})
	if r != nil {
		if err := r.Register(vec); err != nil {
			known, ok := err.(prometheus.AlreadyRegisteredError) //nolint:errorlint // the library's way
			if !ok {
				panic(err)
			}
			vec = known.ExistingCollector.(*prometheus.CounterVec)
		}
	}
	return &Counts{vec.WithLabelValues("done"), vec.WithLabelValues("failed"), vec.WithLabelValues("dropped")}
}
