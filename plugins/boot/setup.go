// Package boot is the CoreDHCP plugin that tells a machine which file to fetch next, and from where, by a mapping file:
// by the client's architecture, by what its firmware can fetch, and by whether it already is iPXE.
package boot

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
)

// Env is what the plugin takes from its surroundings. The zero value is a stock CoreDHCP build.
type Env struct {
	Log     *logrus.Entry         // nil: CoreDHCP's
	Metrics prometheus.Registerer // nil: counted, but not shown
	// Listen6 are the interfaces that the DHCPv6 server listens on; empty: any.
	Listen6 []string
	// Map is a file that is read in place of the one which the configuration names; empty: that one.
	Map string
	// Local6 is our address for DHCPv6 clients; invalid: looked up on this host.
	Local6 netip.Addr
	// Reload reads the map again when it changes; nil: only a restart does.
	Reload *live.Reloader
	// Decided hears what was decided about every request that the map was asked about; nil: nobody does.
	Decided func(Decision)
}

// Plugin is for coredhcp-generator.
var Plugin = New(Env{})

// New is the plugin wired to e. Each listing in the configuration has its own state.
func New(e Env) plugins.Plugin {
	if e.Log == nil {
		e.Log = logger.GetLogger("plugins/boot")
	}
	counts := newCounts(e.Metrics)
	maps := &sources{env: e, counts: counts, byPath: map[string]*source{}}
	return plugins.Plugin{
		Name: "boot",
		Setup4: func(args ...string) (handler.Handler4, error) {
			c, err := maps.chain(args, false)
			if err != nil {
				return nil, err
			}
			return c.Handle4, nil
		},
		Setup6: func(args ...string) (handler.Handler6, error) {
			c, err := maps.chain(args, true)
			if err != nil {
				return nil, err
			}
			return c.Handle6, nil
		},
	}
}

// chain answers by the map that args name.
func (ss *sources) chain(args []string, six bool) (*chain, error) {
	switch {
	case len(args) == 0:
		return nil, fmt.Errorf("boot: names no map; give a file, like `- boot: boot.yml` (CoreDHCP passes nothing on of a map written inline)")
	case len(args) > 1:
		return nil, fmt.Errorf("boot: takes one file, but has %d words: %s; CoreDHCP splits at spaces, so the file's name must have none", len(args), strconv.Quote(fmt.Sprint(args)))
	}
	path := args[0]
	if ss.env.Map != "" {
		path = ss.env.Map
	}
	l, err := ss.open(path, six)
	if err != nil {
		return nil, err
	}
	return &chain{loaded: l, log: ss.env.Log, counts: ss.counts, decided: ss.env.Decided}, nil
}

// onlyGlobal6 is the one global IPv6 address of the named interfaces, or of all.
func onlyGlobal6(names []string) (netip.Addr, error) {
	var found []netip.Addr
	ifaces, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the interfaces cannot be listed: %w", err)
	}
	where := "this host"
	if len(names) > 0 {
		where = fmt.Sprint(names)
	}
	for _, ifi := range ifaces {
		if len(names) > 0 && !slices.Contains(names, ifi.Name) {
			continue
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			continue // the interface has just gone
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil && n.IP.IsGlobalUnicast() {
				found = append(found, addr(n.IP))
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return netip.Addr{}, fmt.Errorf("%s has no global IPv6 address; write one, like next-server: 2001:db8::1", where)
	}
	return netip.Addr{}, fmt.Errorf("%s has several global IPv6 addresses (%s, %s); choose one, like next-server: %s", where, found[0], found[1], found[0])
}

// sourceTowards is the address from which the kernel would send to a relay. Connecting a UDP socket sends nothing.
func sourceTowards(relay netip.Addr) (netip.Addr, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(relay, 547)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	source := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if !source.IsGlobalUnicast() {
		return netip.Addr{}, fmt.Errorf("no global address towards %s", relay)
	}
	return source, nil
}
