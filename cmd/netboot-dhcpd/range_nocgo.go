//go:build !cgo

package main

import (
	"errors"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
)

// rangePlugin says what to do where the plugin, which keeps its leases in sqlite, could not be built in.
func rangePlugin() *plugins.Plugin {
	return &plugins.Plugin{Name: "range", Setup4: func(...string) (handler.Handler4, error) {
		return nil, errors.New("range was left out of this build, because it needs cgo; install a C compiler and build with CGO_ENABLED=1")
	}}
}
