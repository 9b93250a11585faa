package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// Findings are what Check has to say.
type Findings struct{ Problems, Warnings conf.Problems }

// Check looks at the configuration without serving it. Each plugin among stock is set up as the server would do it, on
// a copy of its state below scratch; own are names of plugins that are checked by their own means.
func Check(path string, stock []*plugins.Plugin, own []string, scratch string) (*Config, Findings) {
	var f Findings
	known := slices.Clone(own)
	byName := map[string]*plugins.Plugin{}
	for _, p := range stock {
		known = append(known, p.Name)
		byName[p.Name] = p
	}
	slices.Sort(known)
	c, err := Load(path, known)
	if err != nil && !errors.As(err, &f.Problems) {
		f.Problems.Add(conf.Pos{File: path}, "%v", errors.Unwrap(err))
	}
	if c == nil {
		return nil, f
	}
	for _, s := range c.Sections() {
		f.order(c, s)
		for i, p := range s.Plugins {
			if plugin := byName[p.Name]; plugin != nil {
				f.setUp(c.Pos(s.Name, i), s.Name, plugin, p, scratch)
			}
		}
	}
	f.shared(c)
	f.Problems, f.Warnings = conf.Problems(nil).With(f.Problems), conf.Problems(nil).With(f.Warnings)
	return c, f
}

// order looks for plugins that come too late, or after the end of the chain.
func (f *Findings) order(c *Config, s Section) {
	at := func(name string) int {
		return slices.IndexFunc(s.Plugins, func(p config.PluginConfig) bool { return p.Name == name })
	}
	boot, id := at("boot"), at("server_id")
	switch {
	case boot >= 0 && id < 0:
		f.Problems.Add(c.Pos(s.Name, boot), "%s: boot without server_id: no machine would be told where to boot from; put server_id first in the chain", s.Name)
	case boot >= 0 && id > boot:
		f.Problems.Add(c.Pos(s.Name, id), "%s: server_id comes after boot, which needs its address; put server_id first in the chain", s.Name)
	}
	if nbp := at("nbp"); nbp >= 0 && nbp < len(s.Plugins)-1 {
		f.Warnings.Add(c.Pos(s.Name, nbp), "%s: nbp ends the chain, so %s and what follows never run; remove nbp, or put it last", s.Name, s.Plugins[nbp+1].Name)
	}
}

// shared looks for stock plugins that keep their state in package variables: listed in both families, the second
// listing overwrites the first.
func (f *Findings) shared(c *Config) {
	sections := c.Sections()
	if len(sections) < 2 {
		return
	}
	for i, p := range sections[1].Plugins {
		if p.Name == "file" && slices.ContainsFunc(sections[0].Plugins, func(q config.PluginConfig) bool { return q.Name == p.Name }) {
			f.Problems.Add(c.Pos(sections[1].Name, i), "plugin %s keeps one table for both families: the one loaded last serves DHCPv4 and DHCPv6 alike; use it in one of them", p.Name)
		}
	}
}

// setUp tries a plugin's arguments.
func (f *Findings) setUp(at conf.Pos, section string, plugin *plugins.Plugin, p config.PluginConfig, scratch string) {
	args, err := private(p, scratch)
	if err != nil {
		f.Problems.Add(at, "%s: plugin %s: %v", section, p.Name, err)
		return
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	wrapped := NewGuard(logrus.NewEntry(quiet), prometheus.NewRegistry()).Wrap(plugin)
	switch {
	case section == "server4" && wrapped.Setup4 != nil:
		_, err = wrapped.Setup4(args...)
	case section == "server6" && wrapped.Setup6 != nil:
		_, err = wrapped.Setup6(args...)
	default:
		f.Warnings.Add(at, "%s: plugin %s does not serve this family, and is left out; remove the line", section, p.Name)
	}
	var failed *pluginError
	switch {
	case errors.Is(err, ErrLeftOut):
		f.Warnings.Add(at, "%s: plugin %s: %v", section, p.Name, ErrLeftOut)
	case errors.As(err, &failed):
		f.Problems.Add(at, "%s: plugin %s: %v; see what it wants in CoreDHCP's README", section, p.Name, failed.cause)
	}
}

// private are a plugin's arguments with its state replaced by a copy, and without what would go on running.
func private(p config.PluginConfig, scratch string) ([]string, error) {
	args := slices.Clone(p.Args)
	switch {
	case p.Name == "file" && len(args) > 1: // autorefresh
		return args[:1], nil
	case p.Name == "range" && len(args) > 0:
		copied := filepath.Join(scratch, fmt.Sprintf("range-%d", os.Getpid()))
		if err := os.RemoveAll(copied); err != nil {
			return nil, err
		}
		err := copyFile(args[0], copied)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is made at the first start
			return nil, err
		}
		args[0] = copied
	}
	return args, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
