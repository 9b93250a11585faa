package server

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// Names of the metrics, for code, tests and dashboards.
const (
	MetricDrops    = "netboot_dhcpd_drops_total"    // by reason and plugin
	MetricReceived = "netboot_dhcpd_received_total" // by family
)

// reason is why a request gets no reply: the values of the metric's label.
type reason string

const (
	dropMalformed  reason = "malformed"   // no DHCP message
	dropTruncated  reason = "truncated"   // longer than anything that DHCP needs
	dropNotRequest reason = "not-request" // a reply, or something else that no client sends
	dropType       reason = "type"        // a message type that no server answers, or that no plugin takes
	dropHops       reason = "hops"        // through too many relays
	dropHLen       reason = "hlen"        // a hardware address that stock plugins cannot bear
	dropRate       reason = "rate"        // its client asks too often
	dropShed       reason = "shed"        // too much waits
	dropStopping   reason = "stopping"
	dropPlugin     reason = "plugin"   // a plugin's decision
	dropPanic      reason = "panic"    // a plugin's fault
	dropTooLong    reason = "too-long" // the reply fits nowhere
	dropEncode     reason = "encode"   // a plugin's own encoding failed
	dropHold       reason = "hold"     // what the reply waited for failed, or took too long
	dropSend       reason = "send"     // the kernel did not take it
)

// drops counts what gets no reply, and logs what somebody should look at. The log says a thing at most so many times a
// second, whatever clients do.
type drops struct {
	log     *logrus.Entry
	counted *prometheus.CounterVec
	hot     map[reason]prometheus.Counter // those that name no plugin
	second  atomic.Int64
	lines   atomic.Int64

	mu   sync.Mutex
	said map[string]time.Time // reasons with their causes
}

// linesPerSecond bounds the warnings about dropped packets.
const linesPerSecond = 20

// sayEvery is the time between two warnings of one cause, such as a full disk, which every request meets; maxSaid how many
// causes are told apart.
const (
	sayEvery = 10 * time.Second
	maxSaid  = 64
)

func newDrops(log *logrus.Entry, r prometheus.Registerer) *drops {
	d := &drops{
		log: log, hot: map[reason]prometheus.Counter{}, said: map[string]time.Time{},
		counted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricDrops, Help: "Requests that got no reply, by reason and plugin.",
		}, []string{"reason", "plugin"}),
	}
	r.MustRegister(d.counted)
	for _, why := range []reason{
		dropMalformed, dropTruncated, dropNotRequest, dropType, dropHops, dropHLen, dropRate, dropShed, dropStopping,
		dropTooLong, dropEncode, dropHold, dropSend,
	} {
		d.hot[why] = d.counted.WithLabelValues(string(why), "")
	}
	return d
}

// count is for what happens on any network.
func (d *drops) count(why reason) { d.hot[why].Inc() }

// warn counts, and logs for somebody who looks for a cause.
func (d *drops) warn(why reason, fields logrus.Fields) {
	d.count(why)
	d.say(logrus.WarnLevel, why, fields)
}

// say logs that a request was dropped, unless that was said of the same cause just now.
func (d *drops) say(level logrus.Level, why reason, fields logrus.Fields) {
	if d.news(fmt.Sprint(why, fields["plugin"], fields["because"])) {
		fields["reason"] = string(why)
		d.line(level, "request dropped", fields)
	}
}

func (d *drops) news(cause string) bool {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, known := d.said[cause]; known && now.Sub(last) < sayEvery {
		return false
	}
	if len(d.said) >= maxSaid {
		clear(d.said)
	}
	d.said[cause] = now
	return true
}

// line logs if the second has room.
func (d *drops) line(level logrus.Level, text string, fields logrus.Fields) {
	if now := time.Now().Unix(); d.second.Swap(now) != now {
		d.lines.Store(0)
	}
	if d.lines.Add(1) > linesPerSecond {
		return
	}
	d.log.WithFields(fields).Log(level, text)
}

// pluginDrop is a plugin's decision that there is no reply.
type pluginDrop struct{ Link }

func (d *pluginDrop) Error() string { return "plugin " + d.Plugin + " gives no reply" }

// failed tells of a request without a reply.
func (d *drops) failed(err error) {
	var panicked *panicError
	var decided *pluginDrop
	var dropped *dropError
	switch {
	case errors.As(err, &dropped):
		d.count(dropped.why)
		switch dropped.why {
		case dropHLen, dropTooLong, dropEncode, dropHold, dropSend:
			d.say(logrus.WarnLevel, dropped.why, logrus.Fields{"because": dropped.text})
		}
	case errors.As(err, &decided):
		d.counted.WithLabelValues(string(dropPlugin), decided.Plugin).Inc()
	case errors.As(err, &panicked):
		d.counted.WithLabelValues(string(dropPanic), panicked.Plugin).Inc()
		d.say(logrus.ErrorLevel, dropPanic, logrus.Fields{
			"plugin": panicked.Plugin, "because": panicked.value, "stack": panicked.stack,
		})
	}
}

// shortened tells of a reply that lost options.
func (d *drops) shortened(req *dhcpv4.DHCPv4, left []uint8, limit int) {
	d.line(logrus.WarnLevel, "reply shortened", logrus.Fields{
		"mac": req.ClientHWAddr.String(), "left_out": fmt.Sprintf("%d", left), "limit": limit,
	})
}

// shortened6 is shortened for DHCPv6.
func (d *drops) shortened6(req dhcpv6.DHCPv6, left []dhcpv6.OptionCode, limit int) {
	client := ""
	if msg, err := req.GetInnerMessage(); err == nil {
		if id := msg.Options.ClientID(); id != nil {
			client = fmt.Sprintf("%x", id.ToBytes())
		}
	}
	d.line(logrus.WarnLevel, "reply shortened", logrus.Fields{"duid": client, "left_out": fmt.Sprint(left), "limit": limit})
}
