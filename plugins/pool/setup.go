// Package pool is the CoreDHCP plugin range without sqlite: it lends addresses of one pool, and a lease is on stable
// storage before its client hears of it.
package pool

import (
	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lend"
)

// Env is what the plugin takes from its surroundings. The zero value is a stock CoreDHCP build.
type Env struct {
	Log     *logrus.Entry         // nil: CoreDHCP's
	Metrics prometheus.Registerer // nil: counted, but not shown
}

// Plugin is for coredhcp-generator, in place of CoreDHCP's own range.
var Plugin = New(Env{})

// New is the plugin wired to e. Each listing in the configuration has a pool of its own.
func New(e Env) plugins.Plugin {
	if e.Log == nil {
		e.Log = logger.GetLogger("plugins/range")
	}
	metrics := lend.NewMetrics(e.Metrics, metricNames())
	hooks := hook.NewCounts(e.Metrics)
	return plugins.Plugin{
		Name: "range",
		Setup4: func(args ...string) (handler.Handler4, error) {
			s, err := parse(args)
			if err != nil {
				return nil, err
			}
			c, err := open(s, e.Log, metrics, hooks)
			if err != nil {
				return nil, err
			}
			return c.Handle4, nil
		},
	}
}
