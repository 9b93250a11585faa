package server

import (
	"io"
	"net"
	"slices"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// Private is how somebody who wants to see what a chain does sets it up: as in the daemon, but with stateful stock plugins on copies of their state, and without delays.
type Private struct {
	Leases store.Copies // whose directory is for all copies
	// OnlyBoot runs no stock plugin but server_id, and lends everybody the same address: for what does not depend on
	// who asked before.
	OnlyBoot bool
	// Heard is told what plugins log, at info or above; nil: nobody is.
	Heard func(level logrus.Level, text string)
}

// Quiet discards what CoreDHCP and its plugins log.
func Quiet() { logger.GetLogger("netbootctl").Logger.SetOutput(io.Discard) }

// Chain is the chain of c. own are plugins of ours, which keep no state.
// One such chain can exist at a time: stock plugins keep their settings in package variables.
func (p Private) Chain(c *Config, own ...*plugins.Plugin) (*Chain, error) {
	// CoreDHCP's logger is one for all its plugins.
	Quiet()
	stock := logger.GetLogger("netbootctl")
	if p.Heard != nil {
		stock.Logger.ReplaceHooks(logrus.LevelHooks{})
		stock.Logger.AddHook(logHook{p.Heard})
	}
	byName := map[string]*plugins.Plugin{}
	for _, plugin := range Stock() {
		switch {
		case plugin.Name == "sleep", p.OnlyBoot && plugin.Name != "server_id":
			byName[plugin.Name] = passing(plugin)
		default:
			byName[plugin.Name] = onCopies(plugin, p.Leases)
		}
	}
	for _, plugin := range own {
		byName[plugin.Name] = plugin
	}
	ch, err := NewChain(c, byName)
	if err != nil {
		return nil, err
	}
	if p.OnlyBoot {
		ch.four = slices.Insert(ch.four, 0, link[handler.Handler4]{Link{Plugin: "a lease"}, lend4, ordinary | GUIDAddress})
	}
	return ch, nil
}

// logHook hears what a logger logs.
type logHook struct {
	heard func(logrus.Level, string)
}

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level { return logrus.AllLevels[:logrus.InfoLevel+1] }

// Fire implements logrus.Hook.
func (l logHook) Fire(e *logrus.Entry) error {
	l.heard(e.Level, e.Message)
	return nil
}

// passing is a plugin with p's name and families that changes nothing.
func passing(p *plugins.Plugin) *plugins.Plugin {
	w := &plugins.Plugin{Name: p.Name}
	if p.Setup4 != nil {
		w.Setup4 = func(...string) (handler.Handler4, error) { return pass4, nil }
	}
	if p.Setup6 != nil {
		w.Setup6 = func(...string) (handler.Handler6, error) { return pass6, nil }
	}
	return w
}

func pass4(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) { return resp, false }
func pass6(_, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool)   { return resp, false }

func lend4(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	resp.YourIPAddr = net.IPv4(192, 0, 2, 100).To4()
	return resp, false
}

// onCopies is p, a stock plugin, kept from files that the daemon uses.
func onCopies(p *plugins.Plugin, copies store.Copies) *plugins.Plugin {
	w := &plugins.Plugin{Name: p.Name}
	if p.Setup4 != nil {
		w.Setup4 = func(args ...string) (handler.Handler4, error) {
			return setUpOnCopies(p.Name, p.Setup4, args, copies)
		}
	}
	if p.Setup6 != nil {
		w.Setup6 = func(args ...string) (handler.Handler6, error) {
			return setUpOnCopies(p.Name, p.Setup6, args, copies)
		}
	}
	return w
}

func setUpOnCopies[H any, S ~func(args ...string) (H, error)](name string, setUp S, args []string, copies store.Copies) (H, error) {
	args, err := private(config.PluginConfig{Name: name, Args: args}, copies)
	if err != nil {
		var none H
		return none, err
	}
	return setUp(args...)
}
