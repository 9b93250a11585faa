package main

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

// findConfig is the absolute path of the configuration: the one named, or the first that CoreDHCP would find.
func findConfig(named string) (string, error) {
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

// loadConfig reads the configuration and looks for plugins that do not exist, all of them at once.
func loadConfig(path string, known []string) (*config.Config, error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var problems conf.Problems
	lines := pluginLines(path)
	for section, server := range map[string]*config.ServerConfig{"server4": c.Server4, "server6": c.Server6} {
		if server == nil {
			continue
		}
		for i, p := range server.Plugins {
			if !slices.Contains(known, p.Name) {
				problems.Add(lines.at(section, i), "%s: plugin %q is unknown; %s", section, p.Name, conf.Suggest(p.Name, known))
			}
		}
	}
	return c, conf.Problems(nil).With(problems).Err()
}

// chainLines are the places of each section's plugins, which CoreDHCP's loader forgets.
type chainLines struct {
	path    string
	plugins map[string][]conf.Pos
}

// chainSection is no more of the configuration than places are needed of: CoreDHCP reads it all.
type chainSection struct {
	Plugins []conf.At[conf.Any] `yaml:"plugins"`
	Listen  conf.Any            `yaml:"listen"`
	Iface   conf.Any            `yaml:"interface"`
}

func pluginLines(path string) chainLines {
	var f struct {
		Server4 chainSection `yaml:"server4"`
		Server6 chainSection `yaml:"server6"`
	}
	_ = conf.Load(path, &f) // CoreDHCP is more lenient; what it takes and this does not has no line
	lines := chainLines{path, map[string][]conf.Pos{}}
	for section, s := range map[string]chainSection{"server4": f.Server4, "server6": f.Server6} {
		for _, p := range s.Plugins {
			lines.plugins[section] = append(lines.plugins[section], p.Pos)
		}
	}
	return lines
}

func (l chainLines) at(section string, i int) conf.Pos {
	if i < len(l.plugins[section]) {
		return l.plugins[section][i]
	}
	return conf.Pos{File: l.path}
}
