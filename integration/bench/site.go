package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// The addresses of every site. The machines' network is RFC 2544's for benchmarks; where it is behind a relay agent,
// the agent has its first address and the server one of the cable's.
const (
	machinesNet  = "198.18.0.0/16"
	machinesGate = "198.18.0.1"
	poolFirst    = "198.18.16.0"
	poolLast     = "198.18.255.250"
	smallLast    = "198.18.31.255" // of a /20
	cableServer  = "192.0.2.1"
	cableAgent   = "192.0.2.2"

	serverInterface = "srv0"
	clientInterface = "eth0"
)

// Site is a server and its machines, each in a network namespace, with a cable between them.
type Site struct {
	net              *nettest.Net
	server, machines *nettest.Space
	relayed          bool
	dir              string // for the server's configuration and state; on the disk of --out
}

// NewSite makes a site whose machines are behind a relay agent, or on the server's own wire.
func NewSite(dir string, relayed bool) (*Site, error) {
	n, err := nettest.Open()
	if err != nil {
		return nil, err
	}
	s := &Site{net: n, relayed: relayed, dir: dir}
	if err := s.build(); err != nil {
		n.Close()
		return nil, err
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
	if err := s.server.Veth(serverInterface, s.machines, clientInterface); err != nil {
		return err
	}
	if !s.relayed {
		return s.server.Address(serverInterface, netip.MustParsePrefix(machinesGate+"/16"))
	}
	return s.behindRelay()
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
	err := s.net.Close()
	os.RemoveAll(s.dir)
	return err
}

// Address is the server's.
func (s *Site) Address() string {
	if s.relayed {
		return cableServer
	}
	return machinesGate
}

// Port is where the machines' messages leave and arrive.
func (s *Site) Port() (port *dhcp.Port, err error) {
	err = s.machines.Do(func() error {
		if s.relayed {
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
