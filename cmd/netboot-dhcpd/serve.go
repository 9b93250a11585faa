package main

import (
	"context"
	"fmt"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/server"
)

// dhcp is CoreDHCP's server loop as a task.
type dhcp struct {
	path   string // of the configuration, for messages
	config *config.Config
	ready  chan struct{}
}

func newDHCP(path string, c *config.Config) *dhcp {
	return &dhcp{path: path, config: c, ready: make(chan struct{})}
}

// String names the task.
func (d *dhcp) String() string { return "dhcp " + d.path }

// Ready is closed when every address is listened on.
func (d *dhcp) Ready() <-chan struct{} { return d.ready }

// Run loads the plugins and serves until ctx ends.
func (d *dhcp) Run(ctx context.Context) error {
	servers, err := server.Start(d.config)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	close(d.ready)
	stop := context.AfterFunc(ctx, servers.Close)
	defer stop()
	err = servers.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}
