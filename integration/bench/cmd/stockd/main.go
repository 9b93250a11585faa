//go:build cgo

// Command stockd is CoreDHCP as it comes: its own server loop, and those of its plugins that a benchmark needs.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/coredhcp/coredhcp/plugins/dns"
	"github.com/coredhcp/coredhcp/plugins/leasetime"
	"github.com/coredhcp/coredhcp/plugins/nbp"
	"github.com/coredhcp/coredhcp/plugins/netmask"
	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
	"github.com/coredhcp/coredhcp/plugins/router"
	"github.com/coredhcp/coredhcp/plugins/serverid"
	"github.com/coredhcp/coredhcp/server"
	"github.com/sirupsen/logrus"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "stockd:", err)
		os.Exit(1)
	}
}

func run() error {
	path := flag.String("conf", "", "configuration file")
	flag.Parse()
	logger.GetLogger("main").Logger.SetLevel(logrus.WarnLevel)
	c, err := config.Load(*path)
	if err != nil {
		return err
	}
	for _, p := range []*plugins.Plugin{&dns.Plugin, &leasetime.Plugin, &nbp.Plugin, &netmask.Plugin, &rangeplugin.Plugin,
		&router.Plugin, &serverid.Plugin} {
		if err := plugins.RegisterPlugin(p); err != nil {
			return err
		}
	}
	s, err := server.Start(c)
	if err != nil {
		return err
	}
	return s.Wait()
}
