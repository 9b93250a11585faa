//go:build cgo

package main

import (
	"github.com/coredhcp/coredhcp/plugins"
	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
)

func rangePlugin() *plugins.Plugin { return &rangeplugin.Plugin }
