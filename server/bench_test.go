package server

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/coredhcp/coredhcp/plugins/dns"
	"github.com/coredhcp/coredhcp/plugins/leasetime"
	"github.com/coredhcp/coredhcp/plugins/netmask"
	"github.com/coredhcp/coredhcp/plugins/router"
	"github.com/coredhcp/coredhcp/plugins/serverid"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// listed is a plugin with its arguments, as a line of a configuration.
func listed(p plugins.Plugin, args ...string) *plugins.Plugin {
	w := &plugins.Plugin{Name: p.Name}
	w.Setup4 = func(...string) (handler.Handler4, error) { return p.Setup4(args...) }
	if p.Name == "boot" {
		w.Setup6 = func(...string) (handler.Handler6, error) { return p.Setup6(args...) }
	}
	return w
}

// bootOffice serves a map with this many hosts, behind stock plugins.
func bootOffice(b testing.TB, hosts int) *office {
	b.Helper()
	text := new(strings.Builder)
	text.WriteString("next-server: 10.0.0.1\nrules:\n  - {arch: bios, file: undionly.kpxe}\n  - {arch: uefi-x64, file: ipxe.efi}\nhosts:\n")
	for i := range hosts {
		fmt.Fprintf(text, "  - {mac: \"52:54:00:00:%02x:%02x\", file: \"http://10.0.0.1:8080/%d.ipxe\"}\n", i>>8, i&255, i)
	}
	path := filepath.Join(b.TempDir(), "boot.yml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	log, _ := logtest.NewNullLogger()
	log.SetLevel(logrus.WarnLevel)
	return open(b, Options{Workers: 1, Rate: &Rate{}}, nil,
		listed(serverid.Plugin, "10.0.0.1"), listed(netmask.Plugin, "255.255.255.0"), listed(router.Plugin, "10.0.0.254"),
		listed(dns.Plugin, "10.0.0.53"), listed(leasetime.Plugin, "1h"), listed(boot.New(boot.Env{Log: logrus.NewEntry(log)}), path))
}

// pxeDiscover is what a UEFI machine asks.
func pxeDiscover(tb testing.TB) []byte {
	tb.Helper()
	req, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3},
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64)), dhcpv4.WithGatewayIP(net.IPv4(10, 9, 0, 1)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, make([]byte, 17))))
	if err != nil {
		tb.Fatal(err)
	}
	return req.ToBytes()
}

func BenchmarkServeBoot(b *testing.B) {
	o := bootOffice(b, 10_000)
	o.sent.keep = false
	w, p := newWorker(o.Engine, o.queues[0]), &packet{data: pxeDiscover(b), via: o.four, facts: *relayed()}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.serve(p); err != nil {
			b.Fatal(err)
		}
	}
	w.outbox.flush()
	if o.sent.count == 0 {
		b.Fatal("nothing was sent")
	}
}
