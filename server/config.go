// Package server runs a CoreDHCP configuration: it finds and loads the file, and it is the packet engine that answers
// requests by the plugins of that configuration. README.md tells a packet's way through its files.
package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredhcp/coredhcp/config"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// searchPath is where CoreDHCP looks for config.yml. A directory of a variable that is not set is none: it would be
// one of the root.
func searchPath() []string {
	dirs := []string{"."}
	if base := os.Getenv("XDG_CONFIG_HOME"); base != "" {
		dirs = append(dirs, filepath.Join(base, "coredhcp"))
	}
	if home := os.Getenv("HOME"); home != "" {
		dirs = append(dirs, filepath.Join(home, ".coredhcp"))
	}
	return append(dirs, "/etc/coredhcp")
}

// Find is the absolute path of the configuration: the one named, or the first that CoreDHCP would find.
func Find(named string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("%s: cannot be read (%w); correct -c", named, cause(err))
		}
		return filepath.Abs(named)
	}
	for _, dir := range searchPath() {
		for _, name := range []string{"config.yml", "config.yaml"} {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err == nil {
				return filepath.Abs(path)
			}
		}
	}
	return "", fmt.Errorf("no config.yml in any of %s; name one with -c", strings.Join(searchPath(), ", "))
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Config is a CoreDHCP configuration, and where its parts stand in the file, which CoreDHCP forgets.
type Config struct {
	*config.Config
	Path    string // absolute
	plugins map[string][]conf.Pos
	listen  map[string]conf.Pos
	// groups are the multicast groups that are heard on every interface. CoreDHCP makes an address of each interface that
	// there is when it reads them.
	groups []net.IP
}

// Section is one server of a configuration.
type Section struct {
	Name string // server4 or server6
	*config.ServerConfig
}

// Sections are the servers that are configured.
func (c *Config) Sections() (all []Section) {
	for _, s := range []Section{{"server4", c.Server4}, {"server6", c.Server6}} {
		if s.ServerConfig != nil {
			all = append(all, s)
		}
	}
	return all
}

// Interfaces6 are the interfaces that the DHCPv6 server is bound to; nil: any.
func (c *Config) Interfaces6() (names []string) {
	if c.Server6 == nil {
		return nil
	}
	for _, a := range c.Server6.Addresses {
		if a.Zone == "" && !a.IP.IsMulticast() {
			return nil
		}
		if a.Zone != "" {
			names = append(names, a.Zone)
		}
	}
	return names
}

// Pos is where the i-th plugin of a section stands.
func (c *Config) Pos(section string, i int) conf.Pos {
	if i < len(c.plugins[section]) {
		return c.plugins[section][i]
	}
	return conf.Pos{File: c.Path}
}

// Listen is where a section says where to listen; without such a line, the file.
func (c *Config) Listen(section string) conf.Pos {
	if at := c.listen[section]; at.File != "" {
		return at
	}
	return conf.Pos{File: c.Path}
}

// Load reads the configuration at path by CoreDHCP's own loader, and looks for keys that it would ignore and for plugins
// that are not among known, all of them at once.
func Load(path string, known []string) (*Config, error) {
	// CoreDHCP ignores a key that it does not know: with a misspelt listen it would serve every interface.
	var problems conf.Problems
	var places layout
	_ = errors.As(conf.Load(path, &places), &problems)
	if !problems.Located() { // CoreDHCP would get no further, and wait for the writer of a FIFO
		return nil, problems
	}
	loaded, err := config.Load(path)
	if err != nil {
		if len(problems) == 0 { // what it says of a file that is wrong elsewhere is a consequence
			places.blame(path, err, &problems)
		}
		return nil, problems
	}
	c := &Config{Config: loaded, Path: path, plugins: places.plugins(), listen: places.listen(), groups: places.groups()}
	for _, s := range c.Sections() {
		for i, p := range s.Plugins {
			if !slices.Contains(known, p.Name) {
				problems.Add(c.Pos(s.Name, i), "%s: plugin %q is unknown; %s", s.Name, p.Name, conf.Suggest(p.Name, known))
			}
		}
	}
	return c, conf.Problems(nil).With(problems).Err()
}

// layout is the configuration as far as it has places to remember: CoreDHCP reads the rest.
type layout struct {
	Server4 section `yaml:"server4"`
	Server6 section `yaml:"server6"`
}

type section struct {
	conf.Pos
	Plugins   []entry           `yaml:"plugins"`
	Listen    conf.At[texts]    `yaml:"listen"`
	Interface conf.At[conf.Any] `yaml:"interface"`
}

// texts are a word, several with spaces between, or a list.
type texts []string

// DecodeConf implements conf.Custom. What it complains about CoreDHCP tells.
func (t *texts) DecodeConf(v conf.Value) {
	if v.IsList() {
		for _, item := range v.Items() {
			t.DecodeConf(item)
		}
		return
	}
	if text, ok := v.Text(); ok {
		*t = append(*t, strings.Fields(text)...)
	}
}

// groups are the groups without an interface that the DHCPv6 server listens on.
func (l *layout) groups() (all []net.IP) {
	if l.Server6.Listen.Line == 0 && l.Server6.Interface.Line == 0 { // CoreDHCP's default
		return []net.IP{dhcpv6.AllDHCPRelayAgentsAndServers}
	}
	for _, text := range l.Server6.Listen.V {
		host, _, err := net.SplitHostPort(text)
		if err != nil {
			host = strings.Trim(text, "[]")
		}
		if ip := net.ParseIP(host); ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast() {
			all = append(all, ip)
		}
	}
	return all
}

// entry is one plugin of a chain.
type entry struct{ conf.Pos }

// DecodeConf implements conf.Custom. What it complains about CoreDHCP takes for something else.
func (e *entry) DecodeConf(v conf.Value) {
	e.Pos = v.Pos
	names := 0
	if v.IsMap() {
		v.Pairs(func(name string, _ conf.Pos, arguments conf.Value) {
			names++
			if arguments.IsList() {
				v.Fail("plugin %s: a list never reaches a plugin; write the arguments in one line, like `- dns: 192.0.2.1 192.0.2.2`", name)
			}
		})
	}
	if names != 1 {
		v.Fail("a plugin is its name, a colon and its arguments, like `- server_id: 192.0.2.1`; write each behind a dash of its own")
	}
}

// blame adds what CoreDHCP's loader says, which knows no lines and names the wrong family for some mistakes.
func (l *layout) blame(path string, err error, problems *conf.Problems) {
	text := strings.TrimPrefix(err.Error(), "error parsing config: ")
	for name, s := range l.sections() {
		fact, mine := strings.CutPrefix(text, strings.Replace(name, "server", "dhcpv", 1)+": ")
		switch {
		case mine && strings.Contains(fact, "listen"):
			problems.Add(l.listen()[name], "%s: %s; write an address, \"%%eth0\" for an interface, or a list of them", name, fact)
			return
		case mine:
			problems.Add(s.Pos, "%s: %s; list the plugins of the chain, server_id first", name, fact)
			return
		}
	}
	problems.Add(conf.Pos{File: path}, "%v", err)
}

// sections are the parts of the file by their names.
func (l *layout) sections() map[string]section {
	return map[string]section{"server4": l.Server4, "server6": l.Server6}
}

// listen is where each section says what it listens on, or where the section begins.
func (l *layout) listen() map[string]conf.Pos {
	places := map[string]conf.Pos{}
	for name, s := range l.sections() {
		for _, at := range []conf.Pos{s.Listen.Pos, s.Interface.Pos, s.Pos} {
			if places[name].Line == 0 {
				places[name] = at
			}
		}
	}
	return places
}

func (l *layout) plugins() map[string][]conf.Pos {
	lines := map[string][]conf.Pos{}
	for name, s := range l.sections() {
		for _, p := range s.Plugins {
			lines[name] = append(lines[name], p.Pos)
		}
	}
	return lines
}
