//go:build !cgo

package server

import (
	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
)

// rangePlugin says what to do where the plugin, which keeps its leases in sqlite, could not be built in.
func rangePlugin() *plugins.Plugin {
	return &plugins.Plugin{Name: "range", Setup4: func(...string) (handler.Handler4, error) {
		return nil, ErrLeftOut
	}}
}
