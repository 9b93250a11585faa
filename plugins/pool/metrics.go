package pool

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
)

// Names of the metrics, for code, tests and dashboards. Each has the label range; see label.
const (
	MetricAddresses = "netboot_range_addresses"
	MetricLeases    = "netboot_range_leases"        // by state
	MetricEvents    = "netboot_range_events_total"  // by event
	MetricNAKs      = "netboot_range_refused_total" // NAKs
	MetricExhausted = "netboot_range_exhausted_total"
	MetricCommits   = "netboot_range_commits_total"
	MetricCommit    = "netboot_range_commit_seconds"
	MetricFailures  = "netboot_range_commit_failures_total"
)

// label is what metrics call a pool.
func label(r lease.Range) string { return r.First.String() + "-" + r.Last.String() }

// counts are what the pools of one plugin did.
type counts struct {
	events                             *prometheus.CounterVec
	naks, exhausted, commits, failures *prometheus.CounterVec
	commit                             *prometheus.HistogramVec
	addresses, leases                  *prometheus.Desc
	hook                               *hook.Counts

	mu     sync.Mutex
	chains []*chain
}

// poolCounts are those of one pool.
type poolCounts struct {
	events                             [lease.Expired + 1]prometheus.Counter
	naks, exhausted, commits, failures prometheus.Counter
	commit                             prometheus.Observer
}

func newCounts(r prometheus.Registerer) *counts {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"range"}, labels...))
	}
	c := &counts{
		events:    vec(MetricEvents, "What became of addresses.", "event"),
		naks:      vec(MetricNAKs, "Requests for addresses that were refused with a NAK."),
		exhausted: vec(MetricExhausted, "Requests that found no free address."),
		commits:   vec(MetricCommits, "Changes that were written to stable storage."),
		failures:  vec(MetricFailures, "How often writing to stable storage began to fail."),
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: MetricCommit, Help: "Time to write what waited together to stable storage.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}, []string{"range"}),
		addresses: prometheus.NewDesc(MetricAddresses, "Addresses of the range.", []string{"range"}, nil),
		leases:    prometheus.NewDesc(MetricLeases, "Addresses that are active, abandoned, offered, or were lent and are free.", []string{"range", "state"}, nil),
	}
	c.hook = hook.NewCounts(r)
	if r != nil {
		r.MustRegister(c, c.events, c.naks, c.exhausted, c.commits, c.failures, c.commit)
	}
	return c
}

func (c *counts) of(r lease.Range) *poolCounts {
	l := label(r)
	p := &poolCounts{
		naks: c.naks.WithLabelValues(l), exhausted: c.exhausted.WithLabelValues(l), commits: c.commits.WithLabelValues(l),
		failures: c.failures.WithLabelValues(l), commit: c.commit.WithLabelValues(l),
	}
	for k := range p.events {
		p.events[k] = c.events.WithLabelValues(l, lease.Kind(k).String())
	}
	return p
}

func (c *counts) add(ch *chain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chains = append(c.chains, ch)
}

// Describe implements prometheus.Collector.
func (c *counts) Describe(out chan<- *prometheus.Desc) { out <- c.addresses; out <- c.leases }

// Collect implements prometheus.Collector.
func (c *counts) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.chains {
		l := label(ch.addrs)
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{l}, labels...)...)
		}
		gauge(c.addresses, float64(ch.pool.Size()))
		s := ch.book.Stats()
		for state, n := range map[string]int{"active": s.Active, "free": s.Free, "abandoned": s.Abandoned, "offered": s.Offered} {
			gauge(c.leases, float64(n), state)
		}
	}
}
