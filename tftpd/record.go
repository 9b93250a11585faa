package tftpd

import (
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// Names of the metrics, for code, tests and dashboards.
const (
	MetricTransfers = "netboot_tftpd_transfers_total"           // by protocol and result
	MetricBytes     = "netboot_tftpd_sent_bytes_total"          // by protocol
	MetricDuration  = "netboot_tftpd_transfer_duration_seconds" // by protocol and result
	MetricSize      = "netboot_tftpd_transfer_size_bytes"       // by protocol and result
	MetricActive    = "netboot_tftpd_active_transfers"          // by protocol
	MetricMalformed = "netboot_tftpd_malformed_requests_total"  // datagrams to the TFTP port that are no request
	MetricDropped   = "netboot_tftpd_dropped_requests_total"    // TFTP requests beyond a limit, by the limit
	MetricResent    = "netboot_tftpd_resent_blocks_total"       // TFTP blocks sent more than once
)

// How a transfer ended: the values of the log key and metric label "result".
const (
	sent    = "sent"
	probe   = "probe"   // the client asked for the size only: EDK2 and many BIOS ROMs do before each download
	missing = "missing" // no such file
	refused = "refused" // outside the root, not readable, a write, a method other than GET and HEAD
	aborted = "aborted" // the client, or our own stop, ended it half way
	silent  = "silent"  // the client stopped answering
	failed  = "failed"  // our fault
)

// Config is what a service needs beside its socket. Only Files is required.
type Config struct {
	Files   Files
	Log     logrus.FieldLogger // nil: nothing is logged
	Metrics *Metrics           // nil: nothing is counted
	Now     func() time.Time   // nil: the system's clock

	SinglePort   bool          // TFTP: transfers run on the port that is asked too, which NAT without a helper needs
	Retransmit   time.Duration // TFTP: wait for a client's first ACK; later waits are as long as its ACKs take; 0: 1 s
	MaxTransfers int           // TFTP: transfers at once; 0: 10,000
	MaxPerClient int           // TFTP: transfers at once of one address, which a NAT may share; 0: 2,000
	MaxRate      int           // TFTP: requests a second of one address; 0: 5,000
	Stall        time.Duration // HTTP: time for a client to take the next 256 KiB; 0: 60 s
	Grace        time.Duration // time for running transfers to end after a stop; 0: 5 s
}

// withDefaults is c with every zero field but Files filled in.
func (c Config) withDefaults() Config {
	if c.Log == nil {
		quiet := logrus.New()
		quiet.SetOutput(io.Discard)
		c.Log = quiet
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Retransmit = orDefault(c.Retransmit, defaultRetransmit)
	c.MaxTransfers = orDefault(c.MaxTransfers, 10_000)
	c.MaxPerClient = orDefault(c.MaxPerClient, 2_000)
	c.MaxRate = orDefault(c.MaxRate, 5_000)
	c.Stall = orDefault(c.Stall, defaultStall)
	c.Grace = orDefault(c.Grace, defaultGrace)
	return c
}

const defaultGrace = 5 * time.Second

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Metrics counts what the services did.
type Metrics struct {
	transfers *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	size      *prometheus.HistogramVec
	active    *prometheus.GaugeVec
	malformed prometheus.Counter
	dropped   *prometheus.CounterVec
	resent    prometheus.Counter
}

// NewMetrics registers the counters with reg; nil registers them nowhere. Several services may share one Metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		transfers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricTransfers, Help: "Transfers that ended, by protocol and result."}, []string{"protocol", "result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricBytes, Help: "File bytes sent, by protocol."}, []string{"protocol"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: MetricDuration, Help: "Time from a request to the end of its transfer, by protocol and result.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 11), // 1 ms to 17 minutes
		}, []string{"protocol", "result"}),
		size: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: MetricSize, Help: "File bytes sent in one transfer, by protocol and result.",
			Buckets: prometheus.ExponentialBuckets(1024, 4, 11), // 1 KiB to 1 GiB
		}, []string{"protocol", "result"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: MetricActive, Help: "Transfers under way, by protocol."}, []string{"protocol"}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricMalformed, Help: "Datagrams to the TFTP port that are no request."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricDropped, Help: "TFTP requests that were not answered because of a limit, by the limit."}, []string{"because"}),
		resent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricResent, Help: "TFTP blocks that were sent more than once."}),
	}
	if reg != nil {
		reg.MustRegister(m.transfers, m.bytes, m.duration, m.size, m.active, m.malformed, m.dropped, m.resent)
	}
	return m
}

// transfer is one file asked for by one client, from its request to its only log line.
type transfer struct {
	protocol string
	client   string // address:port
	file     string // the clean name; as asked for where that has none
	bytes    int64
	result   string
	cause    error // nil: nothing to explain
	more     logrus.Fields

	began  time.Time
	config *Config
}

func (c *Config) begin(protocol, client, file string) *transfer {
	c.Metrics.active.WithLabelValues(protocol).Inc()
	return &transfer{protocol: protocol, client: client, file: file, more: logrus.Fields{}, began: c.Now(), config: c}
}

// end records t. Client-controlled text is bounded here; the logger's formatter quotes it.
func (t *transfer) end() {
	c := t.config
	c.Metrics.active.WithLabelValues(t.protocol).Dec()
	c.Metrics.transfers.WithLabelValues(t.protocol, t.result).Inc()
	c.Metrics.bytes.WithLabelValues(t.protocol).Add(float64(t.bytes))
	c.Metrics.size.WithLabelValues(t.protocol, t.result).Observe(float64(t.bytes))
	took := c.Now().Sub(t.began)
	c.Metrics.duration.WithLabelValues(t.protocol, t.result).Observe(took.Seconds())

	log := c.Log.WithFields(t.more).WithFields(logrus.Fields{
		"client": t.client,
		"file":   shorten(t.file),
		"bytes":  t.bytes,
		"took":   took.Round(time.Millisecond).String(),
		"result": t.result,
	})
	if t.cause != nil {
		log = log.WithField("because", shorten(t.cause.Error()))
	}
	switch t.result {
	case probe:
		log.Debug(t.protocol)
	case refused:
		log.Warn(t.protocol)
	case failed:
		log.Error(t.protocol)
	default:
		log.Info(t.protocol)
	}
}

// fail notes why no file could be opened. A client that asks for a directory asks for a file that is not there.
func (t *transfer) fail(err error) {
	t.cause = err
	var p *panicError
	if errors.As(err, &p) {
		t.more["stack"] = string(p.stack)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotRegular):
		t.result = missing
	case errors.Is(err, ErrOutside), errors.Is(err, fs.ErrPermission), errors.Is(err, errWrite), errors.Is(err, errLongText):
		t.result = refused
	case errors.Is(err, errStopping):
		t.result = aborted
	default:
		t.result = failed
	}
}

// shorten bounds what a client may put into a log line, in bytes; an RRQ has 516, an HTTP header some thousand.
func shorten(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
