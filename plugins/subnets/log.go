package subnets

import (
	"net/netip"
	"strconv"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"
)

// exhausted ends a request that found no free address.
func (x *exchange) exhausted() (*dhcpv4.DHCPv4, bool) {
	x.counts.Exhausted.Inc()
	const because = "no address is free; enlarge the pools of the network or shorten the lease time"
	x.line(logrus.WarnLevel, because, netip.Addr{}, because, nil)
	return nil, true
}

// notItsOwn warns of a machine that does not get its reserved address.
func (x *exchange) notItsOwn(p plan, got netip.Addr) {
	because := p.reason
	if because == "" {
		because = "its reserved address was just offered to another machine"
	}
	x.line(logrus.WarnLevel, x.machine.name+" "+because, got, "not its own address", logrus.Fields{"reserved": x.fixed.String(), "because": because})
}

// drop ends the request without a reply.
func (x *exchange) drop(p plan) (*dhcpv4.DHCPv4, bool) {
	level := logrus.InfoLevel
	if p.quiet {
		level = logrus.DebugLevel
	}
	x.line(level, p.because, x.asks, "no lease", logrus.Fields{"because": p.because})
	return nil, true
}

// line logs what can be asked for without end; see seldom.
func (x *exchange) line(level logrus.Level, cause string, a netip.Addr, message string, more logrus.Fields) {
	x.lines.log(x.log, level, cause, message, func() *logrus.Entry { return x.fields(a).WithFields(more) })
}

// fields are those of a line about the client.
func (x *exchange) fields(a netip.Addr) *logrus.Entry {
	fields := logrus.Fields{"mac": x.req.ClientHWAddr.String()}
	if a.IsValid() {
		fields["ip"] = a.String()
	}
	x.whereabouts(fields, x.Hostname, x.link)
	return x.log.WithFields(fields)
}

// whereabouts adds to the fields of a line what is known of any client.
func (f *found) whereabouts(fields logrus.Fields, hostname string, link netip.Addr) {
	if hostname != "" {
		fields["hostname"] = strconv.QuoteToASCII(hostname[:min(len(hostname), 64)])
	}
	if link.IsValid() {
		fields["relay"] = link.String()
	}
	if f.machine != nil {
		fields["reservation"] = f.machine.name
	}
	if f.network != nil {
		fields["network"] = f.network.name
	}
}
