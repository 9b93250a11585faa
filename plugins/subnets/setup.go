// Package subnets is the CoreDHCP plugin that lends addresses: from the pools of many networks, to machines that are known
// or not, by a file that says what each of them is told.
package subnets

import (
	"fmt"
	"strconv"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/lend"
	"github.com/coredhcp-netboot/suite/internal/live"
)

// Env is what the plugin takes from its surroundings. The zero value is a stock CoreDHCP build.
type Env struct {
	Log     *logrus.Entry         // nil: CoreDHCP's
	Metrics prometheus.Registerer // nil: counted, but not shown
	// Reload reads the file again when it changes; nil: only a restart does.
	Reload *live.Reloader
	// Looks is for who only looks: works on a copy of the leases, and nobody is pinged or told; nil: lends.
	Looks *store.Copies
	Clock lease.Clock // nil: this host's
	// OnlyFinds lends nothing: it finds where a client is, for the plugins that come later.
	OnlyFinds bool
}

// Plugin is for coredhcp-generator.
var Plugin = New(Env{})

// New is the plugin wired to e. Listings of one file, in both families, share its leases.
func New(e Env) plugins.Plugin {
	p, _ := e.plugin()
	return p
}

func (e Env) plugin() (plugins.Plugin, *sites) {
	if e.Log == nil {
		e.Log = logger.GetLogger("plugins/subnets")
	}
	metrics := lend.NewMetrics(e.Metrics, metricNames())
	all := &sites{open: map[string]*site{}}
	open := func(args []string) (*site, error) {
		path, err := fileOf(args)
		if err != nil {
			return nil, err
		}
		s, fresh, err := all.get(path, func() (*site, error) { return e.openSite(path, metrics) })
		if fresh && e.Reload != nil {
			e.Reload.Add(path, s.reload)
		}
		return s, err
	}
	return plugins.Plugin{
		Name: "subnets",
		Setup4: func(args ...string) (handler.Handler4, error) {
			s, err := open(args)
			if err != nil {
				return nil, err
			}
			return s.Handle4, nil
		},
		Setup6: func(args ...string) (handler.Handler6, error) {
			s, err := open(args)
			if err != nil {
				return nil, err
			}
			return s.Handle6, nil
		},
	}, all
}

// fileOf reads the plugin's one argument.
func fileOf(args []string) (string, error) {
	switch {
	case len(args) == 0:
		return "", fmt.Errorf("names no file; give one, like `- subnets: subnets.yml` (CoreDHCP passes nothing on of what is written inline)")
	case len(args) > 1:
		return "", fmt.Errorf("takes one file, but has %d words: %s; CoreDHCP splits at spaces, so the file's name must have none", len(args), strconv.Quote(fmt.Sprint(args)))
	}
	return args[0], nil
}
