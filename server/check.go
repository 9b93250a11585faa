package server

import (
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/plugins"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
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
	var loading conf.Problems
	_ = errors.As(err, &loading) // it is nothing else
	if c == nil {
		f.Problems = loading
		return nil, f
	}
	for _, s := range c.Sections() {
		f.order(c, s)
		f.repeated(c, s)
		f.withSubnets(c, s)
		f.lends(c, s)
		f.listens(c, s)
		for i, p := range s.Plugins {
			if plugin := byName[p.Name]; plugin != nil {
				f.setUp(c.Pos(s.Name, i), s.Name, plugin, p, scratch)
			}
		}
	}
	f.shared(c)
	f.Problems, f.Warnings = loading.With(f.Problems), conf.Problems(nil).With(f.Warnings)
	return c, f
}

// setUp tries a plugin's arguments.
func (f *Findings) setUp(at conf.Pos, section string, plugin *plugins.Plugin, p config.PluginConfig, scratch string) {
	if p.Name == "file" && len(p.Args) > 1 && p.Args[1] != "autorefresh" {
		f.Warnings.Add(at, "%s: plugin file: the word %q is ignored, and changes are not seen; %s", section, p.Args[1], conf.Suggest(p.Args[1], []string{"autorefresh"}))
	}
	args, err := private(p, store.Copies{Scratch: scratch})
	if err != nil {
		f.Problems.Add(at, "%s: plugin %s: %v", section, p.Name, err)
		return
	}
	switch {
	case section == "server4" && plugin.Setup4 != nil:
		_, err = setUp(plugin.Setup4, args)
	case section == "server6" && plugin.Setup6 != nil:
		_, err = setUp(plugin.Setup6, args)
	default:
		f.Warnings.Add(at, "%s: plugin %s does not serve this family, and is left out; remove the line", section, p.Name)
	}
	if err != nil {
		text := err.Error()
		if len(args) > 0 { // a copy
			text = strings.ReplaceAll(text, args[0], p.Args[0])
		}
		f.Problems.AddAbsence(at, "%s: plugin %s: %s; write it like `- %s`", section, p.Name, text, written[section+" "+p.Name])
	}
}

// written are plugins as they are written in each section.
var written = map[string]string{
	"server4 autoconfigure": `autoconfigure: "0"`,
	"server4 dns":           "dns: 192.0.2.53", "server6 dns": "dns: 2001:db8::53",
	"server4 file": "file: hosts.txt autorefresh` with lines like `52:54:00:aa:bb:01 192.0.2.9", "server6 file": "file: hosts6.txt autorefresh` with lines like `52:54:00:aa:bb:01 2001:db8::9",
	"server4 ipv6only":   "ipv6only: 30m",
	"server4 lease_time": "lease_time: 1h",
	"server4 mtu":        "mtu: 1500",
	"server4 nbp":        "nbp: tftp://192.0.2.1/undionly.kpxe", "server6 nbp": "nbp: tftp://[2001:db8::1]/ipxe.efi",
	"server4 netmask":       "netmask: 255.255.255.0",
	"server6 prefix":        "prefix: 2001:db8::/48 64",
	"server4 range":         "range: leases.sqlite3 192.0.2.100 192.0.2.199 1h",
	"server4 router":        "router: 192.0.2.1",
	"server4 searchdomains": "searchdomains: example.net", "server6 searchdomains": "searchdomains: example.net",
	"server4 server_id": "server_id: 192.0.2.1", "server6 server_id": "server_id: LL 52:54:00:00:00:01",
	"server4 sleep": "sleep: 1s", "server6 sleep": "sleep: 1s",
	"server4 staticroute": "staticroute: 198.51.100.0/24,192.0.2.1",
}

// listens looks for interfaces that this host does not have, each once, on however many ports it is heard. It opens
// nothing.
func (f *Findings) listens(c *Config, s Section) {
	looked := map[string]bool{"": true}
	for _, a := range s.Addresses {
		if looked[a.Zone] {
			continue
		}
		looked[a.Zone] = true
		if _, err := net.InterfaceByName(a.Zone); err != nil {
			f.Warnings.Add(c.listen[s.Name], "%s: this host has no interface %q; correct listen if the server is to run here", s.Name, a.Zone)
		}
	}
}
