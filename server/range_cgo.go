//go:build cgo

package server

import (
	"github.com/coredhcp/coredhcp/plugins"
	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
	"github.com/prometheus/client_golang/prometheus"
)

// rangeIsOurs tells whether range is plugins/pool.
const rangeIsOurs = false

func rangePlugin(prometheus.Registerer) *plugins.Plugin { return &rangeplugin.Plugin }

func stockTakes() map[string]Messages { return nil }
