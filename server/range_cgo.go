//go:build cgo

package server

import (
	"github.com/coredhcp/coredhcp/plugins"
	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
)

func rangePlugin() *plugins.Plugin { return &rangeplugin.Plugin }
