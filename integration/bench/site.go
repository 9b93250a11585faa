package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/coredhcp-netboot/suite/integration/load"
	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/integration/load/relay"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// The addresses of every site. The machines' network is RFC 2544's for benchmarks; where it is behind a relay agent,
// the agent has its first address and the server one of the cable's.
const (
	machinesNet   = "198.18.0.0/16"
	subnetsNet    = "198.18.0.0/15" // the same and more, as one network of the plugin subnets
	machinesGate  = "198.18.0.1"
	poolFirst     = "198.18.16.0"
	poolLast      = "198.18.255.250"
	reservedFirst = "198.18.1.0"
	smallLast     = "198.18.31.255" // of a /20
	cableServer   = "192.0.2.1"
	cableAgent    = "192.0.2.2"

	serverInterface = "srv0"
	clientInterface = "eth0"
)

// Layout is how the machines reach the server.
type Layout struct {
	Relayed bool // through a relay agent; otherwise they are on the server's own wire
	// Offload leaves checksums and the cutting of large sends to the interface, as network cards do. Without it frames
	// look as on a wire, which servers with packet sockets need.
	Offload bool
	Wire    *relay.Wire // between the two; nil: a cable
}

// Site is a server and its machines, each in a network namespace, with a cable or a slow wire between them.
type Site struct {
	Layout
	net              *nettest.Net
	server, machines *nettest.Space
	dir              string // for the server's configuration and state; on the disk of --out
	files            string // what it serves, where it serves files
	script           string // what iPXE is told to run
	hosts            int    // machines with a script of their own, where the server can
	reserved         int    // machines with an address of their own; 0: all take one from the pool
	running          []*Running
	group            *load.Group // of the servers; nil: this system has none
	wire             chan error
	cut              context.CancelFunc
}

// NewSite makes a site.
func NewSite(dir string, l Layout) (*Site, error) {
	n, err := nettest.Open()
	if err != nil {
		return nil, err
	}
	s := &Site{Layout: l, net: n, dir: dir, script: scriptURL, hosts: knownHosts}
	if s.group, err = load.OpenGroup(filepath.Base(dir) + "-" + strconv.Itoa(os.Getpid())); err != nil {
		s.group = nil // usage then comes from /proc, which forgets children
	}
	if err := s.build(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) build() (err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if s.server, err = s.net.Space("server"); err != nil {
		return err
	}
	if s.machines, err = s.net.Space("machines"); err != nil {
		return err
	}
	if err := s.join(); err != nil {
		return err
	}
	if !s.Relayed {
		return s.server.Address(serverInterface, netip.MustParsePrefix(machinesGate+"/16"))
	}
	return s.behindRelay()
}

// join lays the cable, or the wire.
func (s *Site) join() error {
	switch {
	case s.Wire != nil:
		return s.layWire()
	case !s.Offload:
		return s.server.Veth(serverInterface, s.machines, clientInterface)
	}
	return errors.Join(
		s.server.IP("link", "add", serverInterface, "type", "veth", "peer", "name", clientInterface,
			"netns", s.machines.Name()),
		s.server.IP("link", "set", serverInterface, "up"), s.machines.IP("link", "set", clientInterface, "up"))
}

func (s *Site) layWire() error {
	between, err := s.net.Space("wire")
	if err != nil {
		return err
	}
	if err := errors.Join(
		s.server.Veth(serverInterface, between, "left"), s.machines.Veth(clientInterface, between, "right"),
		// A frame on a wire is never longer than the MTU.
		s.server.IP("link", "set", serverInterface, "gso_max_segs", "1"),
		s.machines.IP("link", "set", clientInterface, "gso_max_segs", "1"),
		between.Do(func() error { return s.Wire.Open("left", "right") })); err != nil {
		return err
	}
	ctx, cut := context.WithCancel(context.Background())
	s.wire, s.cut = make(chan error, 1), cut
	go func() { s.wire <- s.Wire.Run(ctx) }()
	return nil
}

// behindRelay gives the machines' side every address of their network, so that it takes no ARP to reach one.
func (s *Site) behindRelay() error {
	for _, step := range []struct {
		space *nettest.Space
		args  []string
	}{
		{s.server, []string{"addr", "add", cableServer + "/24", "dev", serverInterface}},
		{s.machines, []string{"addr", "add", cableAgent + "/24", "dev", clientInterface}},
		{s.machines, []string{"addr", "add", machinesGate + "/32", "dev", "lo"}},
		{s.machines, []string{"route", "add", "local", machinesNet, "dev", "lo"}},
		{s.server, []string{"route", "add", machinesNet, "via", cableAgent}},
	} {
		if err := step.space.IP(step.args...); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the server and removes the namespaces and the server's state.
func (s *Site) Close() error {
	var err error
	if s.wire != nil {
		s.cut()
		err = <-s.wire
		if c := s.Wire.Counts(); c.Oversized > 0 || c.Overrun > 0 {
			err = errors.Join(err, fmt.Errorf("the wire lost %d frames that were too long and %d for which it had no room",
				c.Oversized, c.Overrun))
		}
		s.Wire.Close()
		s.wire = nil
	}
	// How a server ends is not what is measured.
	if s.group != nil {
		err = errors.Join(err, s.group.Kill())
	}
	for _, r := range s.running {
		err = errors.Join(err, r.kill())
	}
	if s.group != nil {
		err = errors.Join(err, s.group.Close())
	}
	err = errors.Join(err, s.net.Close())
	os.RemoveAll(s.dir)
	return err
}

// Address is the server's.
func (s *Site) Address() string {
	if s.Relayed {
		return cableServer
	}
	return machinesGate
}

// Port is where the machines' messages leave and arrive.
func (s *Site) Port() (port *dhcp.Port, err error) {
	err = s.machines.Do(func() error {
		if s.Relayed {
			port, err = dhcp.Relayed(ip4(machinesGate), ip4(cableServer))
		} else {
			port, err = dhcp.Attached(clientInterface)
		}
		return err
	})
	return port, err
}

// write puts a file into the site's directory and returns its path.
func (s *Site) write(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("configure: %w", err)
	}
	return path, nil
}

func ip4(s string) [4]byte { return netip.MustParseAddr(s).As4() }

// Use is what the site's servers have used so far.
func (s *Site) Use() load.Usage {
	if s.group != nil {
		return s.group.Use()
	}
	var u load.Usage
	for _, r := range s.running {
		u.Add(load.Use(r.pid))
	}
	return u
}

// Ended tells whether a server is gone that should run, and why.
func (s *Site) Ended() error {
	var err error
	for _, r := range s.running {
		err = errors.Join(err, r.Ended())
	}
	return err
}
