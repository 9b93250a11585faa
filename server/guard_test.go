package server

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// slicing is a plugin as careless as stock ones: it wants 6 bytes of address, and panics without.
func slicing() *plugins.Plugin {
	return &plugins.Plugin{
		Name: "slicing",
		Setup4: func(args ...string) (handler.Handler4, error) {
			if len(args) > 0 {
				panic("cannot bear arguments")
			}
			return func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
				_ = req.ClientHWAddr[0:6]
				if req.ClientHWAddr[5] == 0xbb {
					panic("a bad machine")
				}
				return resp, false
			}, nil
		},
		Setup6: func(args ...string) (handler.Handler6, error) {
			if len(args) > 0 {
				return nil, errors.New("bad arguments")
			}
			return func(_, _ dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) { panic("always") }, nil
		},
	}
}

func guarded(t *testing.T) (*Guard, *plugins.Plugin, *logtest.Hook) {
	t.Helper()
	log, hook := logtest.NewNullLogger()
	g := NewGuard(logrus.NewEntry(log), prometheus.NewRegistry())
	return g, g.Wrap(slicing()), hook
}

func discover(t *testing.T, mac net.HardwareAddr) *dhcpv4.DHCPv4 {
	t.Helper()
	req, err := dhcpv4.NewDiscovery(mac)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestPanickingPluginCostsOnePacket(t *testing.T) {
	g, p, hook := guarded(t)
	h, err := p.Setup4()
	if err != nil {
		t.Fatal(err)
	}
	resp := new(dhcpv4.DHCPv4)
	if out, stop := h(discover(t, net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0xbb}), resp); out != nil || !stop {
		t.Error("the packet that panicked was not dropped")
	}
	if out, stop := h(discover(t, net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0xaa}), resp); out != resp || stop {
		t.Error("the next packet was not served")
	}
	if n := testutil.ToFloat64(g.drops.WithLabelValues("panic", "slicing")); n != 1 {
		t.Errorf("%v panics counted", n)
	}
	entry := hook.LastEntry()
	if entry == nil || entry.Data["because"] != "a bad machine" || !strings.Contains(entry.Data["stack"].(string), "guard_test.go") {
		t.Errorf("logged: %v", entry)
	}
}

func TestPanickingDHCPv6PluginCostsOnePacket(t *testing.T) {
	g, p, _ := guarded(t)
	h, err := p.Setup6()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out, stop := h(nil, nil); out != nil || !stop {
			t.Error("the packet was not dropped")
		}
	}
	if n := testutil.ToFloat64(g.drops.WithLabelValues("panic", "slicing")); n != 2 {
		t.Errorf("%v panics counted", n)
	}
}

func TestSetupErrorNamesThePlugin(t *testing.T) {
	_, p, _ := guarded(t)
	for want, setup := range map[string]func() error{
		"server4: plugin slicing: it panicked: cannot bear arguments; look at its arguments": func() error { _, err := p.Setup4("x"); return err },
		"server6: plugin slicing: bad arguments":                                             func() error { _, err := p.Setup6("x"); return err },
	} {
		if err := setup(); err == nil || err.Error() != want {
			t.Errorf("says %v, want %s", err, want)
		}
	}
}

func TestAddressOfAWrongLengthReachesNoPlugin(t *testing.T) {
	g, p, _ := guarded(t)
	h, err := p.Setup4()
	if err != nil {
		t.Fatal(err)
	}
	wrong := []struct {
		kind iana.HWType
		mac  net.HardwareAddr
	}{
		{iana.HWTypeEthernet, nil},
		{iana.HWTypeEthernet, net.HardwareAddr{1, 2, 3, 4, 5}},
		{iana.HWTypeEthernet, make(net.HardwareAddr, 16)}, // EDK2 with SendGUID
		{iana.HWTypeInfiniband, nil},
	}
	for _, w := range wrong {
		req := discover(t, net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0xaa})
		req.HWType, req.ClientHWAddr = w.kind, w.mac
		if out, stop := h(req, new(dhcpv4.DHCPv4)); out != nil || !stop {
			t.Errorf("type %d with %d bytes was not dropped", w.kind, len(w.mac))
		}
	}
	if n := testutil.ToFloat64(g.drops.WithLabelValues("hlen", "slicing")); n != float64(len(wrong)) {
		t.Errorf("%v drops counted", n)
	}
	if n := testutil.ToFloat64(g.drops.WithLabelValues("panic", "slicing")); n != 0 {
		t.Error("a plugin saw one of them")
	}
}
