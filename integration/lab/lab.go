// Package lab boots machines with real firmware against real servers, on a wire of its own: a bridge in one network
// namespace, the server in another, and virtual machines whose network cards hang on the bridge. What a boot did is
// told from the wire and from the machine's serial console, not from what the servers say about themselves.
package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// The lab's addresses, from the block that RFC 5737 keeps free for documentation.
const (
	ServerIP  = "192.0.2.1"
	ServerIP6 = "2001:db8:1::1"
	FilesIP   = "192.0.2.3" // another address at which the suite serves files, as another host would
	PoolFirst = "192.0.2.100"
	PoolLast  = "192.0.2.150"
	httpBase  = "http://" + ServerIP + ":8080"

	ServerInterface = "srv0"

	bridge = "br0"
)

// Config says what to build.
type Config struct {
	// Dir is an existing directory for everything that the lab writes: the files it serves, configurations, logs,
	// captures. It stays when the lab is closed.
	Dir string
	// Server is who answers on the wire.
	Server Server
	// Addresses is another DHCP server, on a host of its own, that gives the addresses; Server then gives none. If
	// empty, Server gives them.
	Addresses AddressServer
	// OneHost has the address server on the host of Server, where it takes port 67 first.
	OneHost bool
	// ScriptBy is the protocol that iPXE is told to fetch its script by; HTTP if empty.
	ScriptBy wire.Protocol
	// Watch, if set, is told each finished line of a machine's console when it comes.
	Watch func(machine, line string)
	// Script has further iPXE commands, run before the line that proves that the script ran.
	Script []string
	// Rendered are the files of a directory of boot scripts, in which @lab@ stands for the lab's own commands. With
	// them the suite renders scripts per machine, and the boot directory has none.
	Rendered []File
	// DeadCards are network cards of each machine that nothing answers on; they come before the one on the wire.
	DeadCards int
	// System has the script boot Linux, where udhcpc asks for an address once more; see System.
	System *System
	// Six has the suite serve over IPv6 alone, for UEFI6 machines.
	Six bool
	// First is the script that iPXE is told to fetch; boot.ipxe if empty.
	First string
}

// Lab is a wire with a running server on it.
type Lab struct {
	Config
	nonce  string
	net    *nettest.Net
	wire   *nettest.Space
	server *nettest.Space
	other  *nettest.Space // the address server's, if there is one
	router *router

	mu       sync.Mutex
	programs []*program
	machines int
}

// Open builds the wire, starts the server and returns when that is ready to answer. The caller closes the lab.
func Open(c Config) (*Lab, error) {
	if c.ScriptBy == "" {
		c.ScriptBy = wire.HTTP
	}
	if c.First == "" {
		c.First = "boot.ipxe"
	}
	var nonce [4]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("random marker: %w", err)
	}
	l := &Lab{Config: c, nonce: hex.EncodeToString(nonce[:])}
	if err := l.build(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) build() error {
	if err := l.fillBootDir(); err != nil {
		return err
	}
	var err error
	if l.net, err = nettest.Open(); err != nil {
		return err
	}
	if l.wire, err = l.net.Space("wire"); err != nil {
		return err
	}
	// The wire's own namespace stays silent: what a capture shows comes from machines and servers.
	if err := l.wire.Sysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil {
		return err
	}
	if err := l.wire.Bridge(bridge); err != nil {
		return err
	}
	if l.server, err = l.host("server", ServerInterface); err != nil {
		return err
	}
	for _, ip := range []string{ServerIP, FilesIP} {
		if err := l.server.Address(ServerInterface, netip.PrefixFrom(netip.MustParseAddr(ip), 24)); err != nil {
			return err
		}
	}
	// Like a real server it has a default route; a program that broadcasts through a plain socket needs one.
	if err := l.server.IP("route", "add", "default", "dev", ServerInterface); err != nil {
		return err
	}
	says := advertisement
	if l.Six {
		says = managed
		if err := l.server.Address(ServerInterface, netip.MustParsePrefix(ServerIP6+"/64")); err != nil {
			return err
		}
	}
	if l.router, err = startRouter(l.server, ServerInterface, says); err != nil {
		return err
	}
	if err := l.startOther(); err != nil {
		return err
	}
	return l.serve()
}

// Host plugs a further host into the wire: a namespace with one interface, eth0, that is up and has no address.
func (l *Lab) Host(name string) (*nettest.Space, error) { return l.host(name, "eth0") }

func (l *Lab) host(name, ifname string) (*nettest.Space, error) {
	s, err := l.net.Space(name)
	if err != nil {
		return nil, err
	}
	// No wait for duplicates of a link-local address on a wire that is new.
	if err := s.Sysctl("net/ipv6/conf/default/accept_dad", "0"); err != nil {
		return nil, err
	}
	port := "to-" + name // at most 15 characters, the kernel's limit
	return s, errors.Join(s.Veth(ifname, l.wire, port), l.wire.Plug(port, bridge))
}

// Record captures what passes a host's port of the wire, for stories without a virtual machine.
func (l *Lab) Record(host *nettest.Space, ifname, file string) (capture *wire.Capture, err error) {
	err = host.Do(func() error {
		capture, err = wire.Record(ifname, filepath.Join(l.Dir, file))
		return err
	})
	return capture, err
}

// Close stops everything and removes the namespaces; the files stay. It may be called on a half-built lab.
func (l *Lab) Close() error {
	var errs []error
	if l.router != nil {
		errs = append(errs, l.router.Close())
	}
	if l.net != nil {
		errs = append(errs, l.net.Close())
	}
	for _, p := range l.programs {
		errs = append(errs, p.log.Close())
	}
	l.programs = nil
	return errors.Join(errs...)
}

// BootDir is the directory whose files the server offers.
func (l *Lab) BootDir() string { return filepath.Join(l.Dir, "boot") }

// scriptURL is what iPXE is told to fetch.
func (l *Lab) scriptURL() string {
	if l.Six {
		return "tftp://[" + ServerIP6 + "]/" + l.First
	}
	if l.ScriptBy == wire.HTTP {
		return httpBase + "/" + l.First
	}
	return l.First
}

// fillBootDir copies the first-stage files, since distributions link them to places outside the directory that a
// confined server may serve, and writes the script.
func (l *Lab) fillBootDir() error {
	if err := os.MkdirAll(l.BootDir(), 0o755); err != nil {
		return fmt.Errorf("make boot directory: %w", err)
	}
	for _, name := range []string{biosFile, uefiFile} {
		from, err := ipxeFile(name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("copy first-stage file: %w", err)
		}
		if err := os.WriteFile(filepath.Join(l.BootDir(), name), data, 0o644); err != nil {
			return fmt.Errorf("copy first-stage file: %w", err)
		}
	}
	if err := l.fillUBoot(); err != nil {
		return fmt.Errorf("write U-Boot's script: %w", err)
	}
	if l.System != nil {
		if err := l.System.fill(l.BootDir()); err != nil {
			return err
		}
	}
	if len(l.Rendered) == 0 {
		return os.WriteFile(filepath.Join(l.BootDir(), l.First), []byte(l.script()), 0o644)
	}
	return l.fillScriptDir()
}

// scriptDir is the directory of the scripts that are rendered.
func (l *Lab) scriptDir() string { return filepath.Join(l.Dir, "scripts") }

func (l *Lab) fillScriptDir() error {
	if err := os.MkdirAll(l.scriptDir(), 0o755); err != nil {
		return fmt.Errorf("make script directory: %w", err)
	}
	own := strings.TrimPrefix(l.script(), "#!ipxe\n")
	for _, f := range l.Rendered {
		text := strings.ReplaceAll(f.Content, "@lab@", own)
		if err := os.WriteFile(filepath.Join(l.scriptDir(), f.Name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write script: %w", err)
		}
	}
	return nil
}
