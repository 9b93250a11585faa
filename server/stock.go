package server

import (
	"errors"

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
)

// ErrLeftOut is what the plugin range says in a build without cgo.
var ErrLeftOut = errors.New("range was left out of this build, because it needs cgo; install a C compiler and build with CGO_ENABLED=1")

// Stock are CoreDHCP's own; rangePlugin depends on cgo.
func Stock() []*plugins.Plugin {
	return []*plugins.Plugin{
		&autoconfigure.Plugin, &dns.Plugin, &file.Plugin, &ipv6only.Plugin, &leasetime.Plugin, &mtu.Plugin, &nbp.Plugin,
		&netmask.Plugin, &prefix.Plugin, rangePlugin(), &router.Plugin, &searchdomains.Plugin, &serverid.Plugin,
		&sleep.Plugin, &staticroute.Plugin,
	}
}
