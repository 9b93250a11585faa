package server

import (
	"fmt"
	"runtime/debug"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// MetricDrops is the name of the metric, for code, tests and dashboards. It is by reason and plugin.
const MetricDrops = "netboot_dhcpd_drops_total"

// Guard keeps plugins from ending the daemon, and requests from plugins that cannot take them.
type Guard struct {
	log   *logrus.Entry
	drops *prometheus.CounterVec
}

// NewGuard counts what it drops in r.
func NewGuard(log *logrus.Entry, r prometheus.Registerer) *Guard {
	g := &Guard{log: log, drops: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: MetricDrops, Help: "Requests dropped before or by a plugin, by reason and plugin.",
	}, []string{"reason", "plugin"})}
	r.MustRegister(g.drops)
	return g
}

// Wrap is p with its handlers guarded, and with its name in what its setup complains about.
func (g *Guard) Wrap(p *plugins.Plugin) *plugins.Plugin {
	w := &plugins.Plugin{Name: p.Name}
	if p.Setup4 != nil {
		w.Setup4 = func(args ...string) (h handler.Handler4, err error) {
			defer g.setupFailed("server4", p.Name, &err)
			if h, err = p.Setup4(args...); err != nil || h == nil {
				return nil, err
			}
			return g.handler4(p.Name, h), nil
		}
	}
	if p.Setup6 != nil {
		w.Setup6 = func(args ...string) (h handler.Handler6, err error) {
			defer g.setupFailed("server6", p.Name, &err)
			if h, err = p.Setup6(args...); err != nil || h == nil {
				return nil, err
			}
			return g.handler6(p.Name, h), nil
		}
	}
	return w
}

// pluginError is a plugin's complaint about its configuration.
type pluginError struct {
	section, plugin string
	cause           error
}

func (e *pluginError) Error() string {
	return fmt.Sprintf("%s: plugin %s: %v", e.section, e.plugin, e.cause)
}
func (e *pluginError) Unwrap() error { return e.cause }

func (g *Guard) setupFailed(section, plugin string, err *error) {
	if r := recover(); r != nil {
		g.log.WithField("stack", string(debug.Stack())).Errorf("plugin %s panicked while it was set up", plugin)
		*err = fmt.Errorf("it panicked: %v; look at its arguments", r)
	}
	if *err != nil {
		*err = &pluginError{section, plugin, *err}
	}
}

func (g *Guard) handler4(plugin string, h handler.Handler4) handler.Handler4 {
	return func(req, resp *dhcpv4.DHCPv4) (out *dhcpv4.DHCPv4, stop bool) {
		if !usableHWAddr(req) {
			g.drop("hlen", plugin, fmt.Sprintf("hardware type %d with an address of %d bytes", req.HWType, len(req.ClientHWAddr)), "")
			return nil, true
		}
		defer func() {
			if r := recover(); r != nil {
				g.drop("panic", plugin, fmt.Sprint(r), string(debug.Stack()))
				out, stop = nil, true
			}
		}()
		return h(req, resp)
	}
}

func (g *Guard) handler6(plugin string, h handler.Handler6) handler.Handler6 {
	return func(req, resp dhcpv6.DHCPv6) (out dhcpv6.DHCPv6, stop bool) {
		defer func() {
			if r := recover(); r != nil {
				g.drop("panic", plugin, fmt.Sprint(r), string(debug.Stack()))
				out, stop = nil, true
			}
		}()
		return h(req, resp)
	}
}

func (g *Guard) drop(reason, plugin, because, stack string) {
	g.drops.WithLabelValues(reason, plugin).Inc()
	entry := g.log.WithFields(logrus.Fields{"reason": reason, "plugin": plugin, "because": because})
	if stack != "" {
		entry.WithField("stack", stack).Error("request dropped")
		return
	}
	entry.Warn("request dropped")
}

// usableHWAddr tells a request whose hardware address stock code can handle: it slices 6 bytes off it for a unicast
// frame, stores it as a key, and cannot read a stored empty one at its next start. A firmware that sends its GUID as a
// 16-byte address of an Ethernet card (EDK2 with SendGUID) is no Ethernet client to it either.
func usableHWAddr(req *dhcpv4.DHCPv4) bool {
	switch req.HWType {
	case iana.HWTypeEthernet, iana.HWTypeIEEE802:
		return len(req.ClientHWAddr) == 6
	}
	return len(req.ClientHWAddr) >= 6
}
