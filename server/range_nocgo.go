//go:build !cgo

package server

import (
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/plugins/pool"
)

// rangeIsOurs tells whether range is plugins/pool.
const rangeIsOurs = true

// rangePlugin is ours, since CoreDHCP's keeps its leases in sqlite, which is C.
func rangePlugin(r prometheus.Registerer) *plugins.Plugin {
	p := pool.New(pool.Env{Metrics: r})
	return &p
}

// stockTakes tells which plugins of Stock take more than ordinary messages.
func stockTakes() map[string]Messages { return map[string]Messages{"range": Decline | GUIDAddress} }
