package server

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// Plugins of CoreDHCP that make no sense beside another server, which gives the lease.
var (
	lenders    = []string{"range", "file", "subnets"}
	ofTheLease = []string{"netmask", "router", "dns", "lease_time", "mtu", "searchdomains", "staticroute", "ipv6only", "autoconfigure", "nbp"}
)

// portPXE is where a ProxyDHCP server is asked for the boot file.
const portPXE = 4011

// CheckBoot looks at the place of the i-th plugin of a section, which is boot: what it needs before it, and, if its map
// is for mode proxy, what must not be there since another server gives the addresses.
func (c *Config) CheckBoot(s Section, i int, proxy bool) (f Findings) {
	id := slices.IndexFunc(s.Plugins, named("server_id"))
	proxy = proxy && s.Name == "server4" // DHCPv6 knows no proxies
	switch {
	case id < 0 && proxy: // it takes the interface's address
	case id < 0 && s.Name == "server4" && slices.ContainsFunc(s.Plugins[:i], named("subnets")): // which names the server
	case id < 0:
		f.Problems.Add(c.Pos(s.Name, i), "%s: boot without server_id: no machine would be told where to boot from; put server_id first in the chain", s.Name)
	case id > i:
		f.Problems.Add(c.Pos(s.Name, id), "%s: server_id comes after boot, which needs its address; put server_id first in the chain", s.Name)
	}
	if !proxy {
		return f
	}
	for j, p := range s.Plugins {
		switch {
		case slices.Contains(lenders, p.Name):
			f.Problems.Add(c.Pos(s.Name, j), "%s: plugin %s gives addresses, yet the boot map says mode: proxy, where another server does; remove the plugin, or write mode: full", s.Name, p.Name)
		case slices.Contains(ofTheLease, p.Name):
			f.Warnings.Add(c.Pos(s.Name, j), "%s: plugin %s has no effect: the boot map says mode: proxy, so the lease is another server's; remove the line", s.Name, p.Name)
		}
	}
	var missing []string
	for _, a := range s.Addresses {
		pxe := a
		pxe.Port = portPXE
		if !slices.ContainsFunc(s.Addresses, func(b net.UDPAddr) bool { return b.String() == pxe.String() }) {
			missing = append(missing, fmt.Sprintf("%q", listenEntry(pxe.Zone, pxe.IP.String())))
		}
	}
	if len(missing) > 0 {
		f.Problems.Add(c.Pos(s.Name, i), "%s: the boot map says mode: proxy, but UEFI asks port 4011, which is not listened on; add %s to listen", s.Name, strings.Join(missing, ", "))
	}
	return f
}

// listenEntry is an entry of listen for port 4011.
func listenEntry(zone, ip string) string {
	if ip == "0.0.0.0" || ip == "<nil>" {
		ip = ""
	}
	if zone != "" {
		ip += "%" + zone
	}
	return fmt.Sprintf("%s:%d", ip, portPXE)
}
