package server

import (
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/coredhcp/coredhcp/plugins/autoconfigure"
	"github.com/coredhcp/coredhcp/plugins/dns"
	"github.com/coredhcp/coredhcp/plugins/file"
	"github.com/coredhcp/coredhcp/plugins/ipv6only"
	"github.com/coredhcp/coredhcp/plugins/leasetime"
	"github.com/coredhcp/coredhcp/plugins/mtu"
	"github.com/coredhcp/coredhcp/plugins/nbp"
	"github.com/coredhcp/coredhcp/plugins/netmask"
	"github.com/coredhcp/coredhcp/plugins/prefix"
	"github.com/coredhcp/coredhcp/plugins/router"
	"github.com/coredhcp/coredhcp/plugins/searchdomains"
	serverid "github.com/coredhcp/coredhcp/plugins/serverid"
	"github.com/coredhcp/coredhcp/plugins/sleep"
	"github.com/coredhcp/coredhcp/plugins/staticroute"
	"github.com/prometheus/client_golang/prometheus"
)

// Stock are CoreDHCP's own; range is ours in a build without cgo.
func Stock() []*plugins.Plugin { return StockCounted(nil) }

// StockCounted is Stock with the metrics of what has any in r.
func StockCounted(r prometheus.Registerer) []*plugins.Plugin {
	return []*plugins.Plugin{
		&autoconfigure.Plugin, &dns.Plugin, &file.Plugin, &ipv6only.Plugin, &leasetime.Plugin, &mtu.Plugin, &nbp.Plugin,
		&netmask.Plugin, &prefix.Plugin, rangePlugin(r), &router.Plugin, &searchdomains.Plugin, &serverid.Plugin,
		&sleep.Plugin, &staticroute.Plugin,
	}
}

// takeGUIDs are the plugins to which a hardware address of any length is as good as another. Stock range is none.
func takeGUIDs() map[string]Messages {
	takes := map[string]Messages{"boot": GUIDAddress}
	for _, p := range Stock() {
		if p.Name != "range" {
			takes[p.Name] = GUIDAddress
		}
	}
	return takes
}
