package boot_test

import (
	"fmt"
	"net/netip"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"

	"github.com/coredhcp-netboot/suite/server"
	"github.com/coredhcp-netboot/suite/server/request"
)

// engine is the same plugins on the suite's own packet engine, as it runs them for a request from the wire.
func (c *chain) engine() *server.Chain {
	c.t.Helper()
	byName := map[string]*plugins.Plugin{}
	section := func(n int, plugin func(i int) *plugins.Plugin) *config.ServerConfig {
		s := new(config.ServerConfig)
		for i := range n {
			p := plugin(i)
			byName[p.Name] = p
			s.Plugins = append(s.Plugins, config.PluginConfig{Name: p.Name})
		}
		return s
	}
	four := section(len(c.four), func(i int) *plugins.Plugin {
		return &plugins.Plugin{Name: fmt.Sprint("four", i), Setup4: func(...string) (handler.Handler4, error) { return c.four[i], nil }}
	})
	six := section(len(c.six), func(i int) *plugins.Plugin {
		return &plugins.Plugin{Name: fmt.Sprint("six", i), Setup6: func(...string) (handler.Handler6, error) { return c.six[i], nil }}
	})
	ch, err := server.NewChain(&server.Config{Config: &config.Config{Server4: four, Server6: six}}, byName)
	must(c.t, err)
	return ch
}

// engine4 is what the engine makes of a request that came in on an interface with our address; nil is silence.
func (c *chain) engine4(asked []byte) []byte {
	reply, err := c.engine().AnswerFrom4(asked, request.Facts{
		Interface: request.Interface{Index: 2, Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
		Peer:      netip.MustParseAddrPort("0.0.0.0:68"), Local: netip.MustParseAddrPort("255.255.255.255:67"),
	}, nil)
	if err != nil {
		c.t.Logf("dropped: %v", err)
	}
	return reply
}

// engine6 is engine4 for DHCPv6.
func (c *chain) engine6(asked []byte) []byte {
	reply, err := c.engine().Answer6(asked, nil)
	if err != nil {
		c.t.Logf("dropped: %v", err)
	}
	return reply
}
