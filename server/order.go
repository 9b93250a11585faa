package server

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp/coredhcp/config"
)

// What is known of CoreDHCP's plugins, from their sources.
//
// Which end the chain: nbp always; file for a machine that it knows, of DHCPv4 only; ipv6only for a client that does
// not want IPv4, which is its purpose. The others end it only for requests that they drop.
//
// Where they keep their state: file has one table for all listings of both families. nbp, dns, searchdomains and
// server_id have one for each family, and autoconfigure, ipv6only, lease_time, mtu, netmask, router and staticroute
// serve DHCPv4 only: those clash with themselves, and not across the families. range, prefix and sleep have none.

// repeats tells what becomes of a plugin that is listed twice in one chain.
var repeats = map[string]string{
	"autoconfigure": lastCounts, "ipv6only": lastCounts, "lease_time": lastCounts, "mtu": lastCounts, "nbp": lastCounts,
	"netmask": lastCounts, "searchdomains": lastCounts, "server_id": lastCounts, "staticroute": lastCounts,
	"file":    "its one table is that of the last listing; put all machines into one file",
	"subnets": "each lends every machine an address, and the last one's is told; put all networks into one file",
	"range":   "each lends every machine an address, and the last one's is told; keep one",
	"prefix":  "each lends every client prefixes; keep one",
}

const lastCounts = "it has one setting, so all listings act by the last one; keep one"

func (f *Findings) repeated(c *Config, s Section) {
	for i, p := range s.Plugins {
		first := slices.IndexFunc(s.Plugins, named(p.Name))
		if first == i {
			continue
		}
		if what, clashes := repeats[p.Name]; clashes {
			f.Problems.Add(c.Pos(s.Name, i), "%s: plugin %s is listed already, on line %d: %s", s.Name, p.Name, c.Pos(s.Name, first).Line, what)
		} else if p.Name == "dns" || p.Name == "router" {
			f.Warnings.Add(c.Pos(s.Name, i), "%s: plugin %s is listed already, on line %d: both listings send the addresses of both; write them in one line", s.Name, p.Name, c.Pos(s.Name, first).Line)
		}
	}
}

func named(name string) func(config.PluginConfig) bool {
	return func(p config.PluginConfig) bool { return p.Name == name }
}

// order looks for plugins that come too late, or after the end of the chain. CheckBoot looks at boot's own place.
func (f *Findings) order(c *Config, s Section) {
	at := func(name string) int { return slices.IndexFunc(s.Plugins, named(name)) }
	if at("boot") < 0 && at("server_id") < 0 && (at("subnets") < 0 || s.Name == "server6") {
		f.Problems.Add(c.Pos(s.Name, 0), "%s: there is no server_id, and clients drop replies without one; put it first in the chain", s.Name)
	}
	f.ends(c, s, at("nbp"), "nbp ends the chain, so these never run: %s; remove nbp, or put it last")
	if s.Name == "server4" {
		f.ends(c, s, at("file"), "file ends the chain for the machines that it knows, and these never run for them: %s; put it last")
	}
	if auto := at("autoconfigure"); auto >= 0 {
		for _, lender := range []string{"range", "file", "subnets"} {
			if i := at(lender); i > auto {
				f.Problems.Add(c.Pos(s.Name, auto), "%s: autoconfigure comes before %s: it drops what has no address yet, which is every DISCOVER; put it behind", s.Name, lender)
			}
		}
	}
}

// ends tells of the plugins behind the i-th, which ends the chain. Where boot is one of them, no machine boots.
func (f *Findings) ends(c *Config, s Section, i int, what string) {
	if i < 0 || i == len(s.Plugins)-1 {
		return
	}
	var behind []string
	for _, p := range s.Plugins[i+1:] {
		behind = append(behind, p.Name)
	}
	to := &f.Warnings
	if slices.Contains(behind, "boot") {
		to = &f.Problems
	}
	to.Add(c.Pos(s.Name, i), "%s: "+what, s.Name, strings.Join(behind, ", "))
}

// shared looks for stock plugins that keep one state for both families: the second listing overwrites the first.
func (f *Findings) shared(c *Config) {
	sections := c.Sections()
	if len(sections) < 2 {
		return
	}
	if i := slices.IndexFunc(sections[1].Plugins, named("file")); i >= 0 && slices.ContainsFunc(sections[0].Plugins, named("file")) {
		f.Problems.Add(c.Pos(sections[1].Name, i), "plugin file keeps one table for both families: the one loaded last serves DHCPv4 and DHCPv6 alike; use it in one of them")
	}
}

// lends looks at the addresses that range gives out: they must not be somebody's, and lie in one network.
func (f *Findings) lends(c *Config, s Section) {
	i := slices.IndexFunc(s.Plugins, named("range"))
	if s.Name != "server4" || i < 0 || len(s.Plugins[i].Args) < 3 {
		return
	}
	args := s.Plugins[i].Args
	from, to := address4(args[1]), address4(args[2])
	if !from.IsValid() || !to.IsValid() {
		return // it says so itself
	}
	mask := slices.IndexFunc(s.Plugins, named("netmask"))
	if mask < 0 {
		f.Warnings.Add(c.Pos(s.Name, i), "%s: there is no netmask, and UEFI drops a lease without one; add one, like `- netmask: 255.255.255.0`", s.Name)
	}
	for j, p := range s.Plugins {
		if p.Name != "server_id" && p.Name != "router" {
			continue
		}
		for _, text := range p.Args {
			a := address4(text)
			if !a.IsValid() {
				continue
			}
			if from.Compare(a) <= 0 && a.Compare(to) <= 0 {
				f.Problems.Add(c.Pos(s.Name, i), "%s: range lends %s, which is that of %s on line %d; leave it out", s.Name, a, p.Name, c.Pos(s.Name, j).Line)
			} else if p.Name == "router" && mask >= 0 && !together(s.Plugins[mask].Args, from, a) {
				f.Problems.Add(c.Pos(s.Name, j), "%s: machines with an address of range cannot reach the router %s: it is outside their network; correct it, or netmask", s.Name, a)
			}
		}
	}
	if mask >= 0 && !together(s.Plugins[mask].Args, from, to) {
		f.Problems.Add(c.Pos(s.Name, i), "%s: range goes from %s to %s, which is more than one network of netmask; correct one of the two", s.Name, from, to)
	}
}

func address4(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}
	}
	return a
}

// together tells whether two addresses are in one network of the netmask that args are; of a mask that is none, yes.
func together(args []string, a, b netip.Addr) bool {
	if len(args) != 1 || !address4(args[0]).IsValid() {
		return true
	}
	bits := func(a netip.Addr) uint32 { four := a.As4(); return binary.BigEndian.Uint32(four[:]) }
	mask := bits(address4(args[0]))
	return bits(a)&mask == bits(b)&mask
}

// withSubnets looks for plugins that say what subnets says, or that give addresses beside it.
func (f *Findings) withSubnets(c *Config, s Section) {
	at := slices.IndexFunc(s.Plugins, named("subnets"))
	if at < 0 {
		return
	}
	for i, p := range s.Plugins {
		switch p.Name {
		case "range", "file", "prefix":
			f.Problems.Add(c.Pos(s.Name, i), "%s: plugin %s gives addresses, and so does subnets on line %d; keep one, with the machines of file as reservations", s.Name, p.Name, c.Pos(s.Name, at).Line)
		case "netmask", "lease_time":
			f.Warnings.Add(c.Pos(s.Name, i), "%s: plugin %s says one thing to all networks, which subnets knows of each; remove the line", s.Name, p.Name)
		case "server_id":
			if i > at {
				f.Problems.Add(c.Pos(s.Name, i), "%s: server_id comes after subnets, which needs its address; put server_id first in the chain", s.Name)
			}
		}
	}
}
