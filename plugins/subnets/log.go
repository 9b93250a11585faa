package subnets

import (
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"
)

// throttle lets one warning through in a while.
type throttle struct{ last atomic.Int64 }

// warnEvery is the time between two warnings, in seconds.
const warnEvery = 10

func (t *throttle) passes() bool {
	now, last := time.Now().Unix(), t.last.Load()
	return now-last >= warnEvery && t.last.CompareAndSwap(last, now)
}

// exhausted ends a request that found no free address.
func (x *exchange) exhausted() (*dhcpv4.DHCPv4, bool) {
	x.counts.Exhausted.Inc()
	if x.warning.passes() {
		x.fields(netip.Addr{}).Warn("no address is free; enlarge the pools of the network or shorten the lease time")
	}
	return nil, true
}

// notItsOwn warns of a machine that does not get its reserved address.
func (x *exchange) notItsOwn(p plan, got netip.Addr) {
	because := p.reason
	if because == "" {
		because = "its reserved address was just offered to another machine"
	}
	x.fields(got).WithFields(logrus.Fields{"reserved": x.fixed.String(), "because": because}).Warn("not its own address")
}

// drop ends the request without a reply.
func (x *exchange) drop(p plan) (*dhcpv4.DHCPv4, bool) {
	level := logrus.InfoLevel
	if p.quiet {
		level = logrus.DebugLevel
	}
	if x.log.Logger.IsLevelEnabled(level) {
		x.fields(x.asks).WithField("because", p.because).Log(level, "no lease")
	}
	return nil, true
}

// fields are those of a line about the client.
func (x *exchange) fields(a netip.Addr) *logrus.Entry {
	fields := logrus.Fields{"mac": x.req.ClientHWAddr.String()}
	if a.IsValid() {
		fields["ip"] = a.String()
	}
	if x.Hostname != "" {
		fields["hostname"] = strconv.QuoteToASCII(x.Hostname[:min(len(x.Hostname), 64)])
	}
	if x.link.IsValid() {
		fields["relay"] = x.link.String()
	}
	if x.machine != nil {
		fields["reservation"] = x.machine.name
	}
	if x.network != nil {
		fields["network"] = x.network.name
	}
	return x.log.WithFields(fields)
}
