// Package server runs a CoreDHCP configuration: it finds and loads the file, and keeps plugins from ending the daemon.
package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredhcp/coredhcp/config"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// searchPath is where CoreDHCP looks for config.yml.
func searchPath() []string {
	return []string{".", os.ExpandEnv("$XDG_CONFIG_HOME/coredhcp"), os.ExpandEnv("$HOME/.coredhcp"), "/etc/coredhcp"}
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

// Pos is where the i-th plugin of a section stands.
func (c *Config) Pos(section string, i int) conf.Pos {
	if i < len(c.plugins[section]) {
		return c.plugins[section][i]
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
	loaded, err := config.Load(path)
	if err != nil && len(problems) > 0 {
		return nil, problems
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := &Config{Config: loaded, Path: path, plugins: places.plugins()}
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
	Plugins   []conf.At[conf.Any] `yaml:"plugins"`
	Listen    conf.Any            `yaml:"listen"`
	Interface conf.Any            `yaml:"interface"`
}

func (l *layout) plugins() map[string][]conf.Pos {
	lines := map[string][]conf.Pos{}
	for name, s := range map[string]section{"server4": l.Server4, "server6": l.Server6} {
		for _, p := range s.Plugins {
			lines[name] = append(lines[name], p.Pos)
		}
	}
	return lines
}
