package lend

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// Metrics are what Books of one plugin did, each under a label of its own.
type Metrics struct {
	events                             *prometheus.CounterVec
	naks, exhausted, commits, failures *prometheus.CounterVec
	commit                             *prometheus.HistogramVec
	addresses, leases                  *prometheus.Desc

	mu      sync.Mutex
	watched map[string]watched
}

// Event counts what became of an address.
func (c *Counts) Event(e lease.Event) { c.events[e.Kind].Inc() }

// Wrote counts what was written together.
func (c *Counts) Wrote(records int, took time.Duration) {
	c.commits.Add(float64(records))
	c.commit.Observe(took.Seconds())
}

// Failed counts that writing began to fail.
func (c *Counts) Failed(error) { c.failures.Inc() }

// Counts are those of one Book.
type Counts struct {
	NAKs, Exhausted   prometheus.Counter
	events            [lease.Expired + 1]prometheus.Counter
	commits, failures prometheus.Counter
	commit            prometheus.Observer
}

// watched is a Book whose state is shown, and how many addresses it can lend.
type watched struct {
	book *lease.Book
	size func() uint64
}

// Names are what a plugin calls its metrics, and the label that each of them has.
type Names struct {
	Label                                                                 string
	Addresses, Leases, Events, NAKs, Exhausted, Commits, Commit, Failures string
}

// NewMetrics are those of a plugin. Without a registry they are shown nowhere.
func NewMetrics(r prometheus.Registerer, n Names) *Metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{n.Label}, labels...))
	}
	m := &Metrics{
		watched:   map[string]watched{},
		events:    vec(n.Events, "What became of addresses.", "event"),
		naks:      vec(n.NAKs, "Requests for addresses that were refused with a NAK."),
		exhausted: vec(n.Exhausted, "Requests that found no free address."),
		commits:   vec(n.Commits, "Changes that were written to stable storage."),
		failures:  vec(n.Failures, "How often writing to stable storage began to fail."),
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: n.Commit, Help: "Time to write what waited together to stable storage.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}, []string{n.Label}),
		addresses: prometheus.NewDesc(n.Addresses, "Addresses that can be lent.", []string{n.Label}, nil),
		leases:    prometheus.NewDesc(n.Leases, "Addresses that are active, abandoned, offered, or were lent and are free.", []string{n.Label, "state"}, nil),
	}
	if r != nil {
		r.MustRegister(m, m.events, m.naks, m.exhausted, m.commits, m.failures, m.commit)
	}
	return m
}

// Of are the counts under a label.
func (m *Metrics) Of(label string) *Counts {
	c := &Counts{
		NAKs: m.naks.WithLabelValues(label), Exhausted: m.exhausted.WithLabelValues(label), commits: m.commits.WithLabelValues(label),
		failures: m.failures.WithLabelValues(label), commit: m.commit.WithLabelValues(label),
	}
	for k := range c.events {
		c.events[k] = m.events.WithLabelValues(label, lease.Kind(k).String())
	}
	return c
}

// Watch shows the state of a Book under a label from now on, and how many addresses it can lend.
func (m *Metrics) Watch(label string, book *lease.Book, size func() uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watched[label] = watched{book, size}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) { out <- m.addresses; out <- m.leases }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for label, w := range m.watched {
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{label}, labels...)...)
		}
		gauge(m.addresses, float64(w.size()))
		s := w.book.Stats()
		for state, n := range map[string]int{"active": s.Active, "free": s.Free, "abandoned": s.Abandoned, "offered": s.Offered} {
			gauge(m.leases, float64(n), state)
		}
	}
}
