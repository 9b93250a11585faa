package policy_test

import (
	"net"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// site is a usual one: options at every level, three classes with conditions, a host.
const site = declarations + `
option domain-name "example.net";
option domain-name-servers 192.0.2.53, 192.0.2.54;
option ntp-servers 192.0.2.123;
option domain-search "example.net", "lab.example.net";
default-lease-time 3600; max-lease-time 7200; authoritative true;
class "ipxe" { match if exists user-class and option user-class = "iPXE"; filename "http://192.0.2.9/boot.ipxe"; option ipxe.no-pxedhcp 1; }
class "uefi" { match if option arch = 00:07 or option arch = 00:09; filename "ipxe.efi"; }
class "pxe" { match if substring(option vendor-class-identifier, 0, 9) = "PXEClient"; next-server 192.0.2.9; filename "undionly.kpxe"; option root-path "/r"; }
subnet 192.0.2.0 netmask 255.255.255.0 {
	option routers 192.0.2.1; option broadcast-address 192.0.2.255; option interface-mtu 1500; option time-offset 0;
	if option arch = 00:0b { filename "ipxe-arm64.efi"; } elsif option arch = 00:00 { option log-servers 192.0.2.9; } else { option log-servers 192.0.2.8; }
	pool { option host-name "pooled"; default-lease-time 600; range 192.0.2.100 192.0.2.200; }
}
group { option nis-domain "lab"; host web { hardware ethernet 52:54:00:00:00:01; option host-name "web"; option netbios-node-type 8; option tftp-server-name "192.0.2.9"; } }
`

func BenchmarkSite(b *testing.B) {
	c := readConfig(site)
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	options := map[uint8][]byte{53: {1}, 60: []byte("PXEClient:Arch:00007:UNDI:003016"), 77: []byte("iPXE"), 93: {0, 7}, 94: {1, 3, 16},
		97: make([]byte, 17), 57: {5, 0xc0}, 55: {1, 3, 6, 7, 12, 15, 17, 26, 28, 42, 43, 60, 66, 67, 119, 175, 203}}
	all := c.classes
	host := c.hosts["\x01"+string(mac)]
	b.Run("evaluate", func(b *testing.B) {
		env := &policy.Env{Options: option.FromMap(options), Hardware: append([]byte{1}, mac...), Known: true}
		b.ReportAllocs()
		for b.Loop() {
			var matched [4]*policy.Class
			classes := policy.Match(matched[:0], env, all)
			out := c.policy.Evaluate(env, policy.Path{Network: c.network, Pool: c.pool, Classes: classes, Host: host})
			if out.Text(policy.Filename) != "http://192.0.2.9/boot.ipxe" || len(classes) != 3 {
				b.Fatal("evaluates to", out.Text(policy.Filename), len(classes))
			}
		}
	})
	b.Run("evaluate and reply", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			env := &policy.Env{Options: option.FromMap(options), Hardware: append([]byte{1}, mac...), Known: true}
			var matched [4]*policy.Class
			classes := policy.Match(matched[:0], env, all)
			out := c.policy.Evaluate(env, policy.Path{Network: c.network, Pool: c.pool, Classes: classes, Host: host})
			out.Set(53, []byte{2})
			out.Set(54, []byte{192, 0, 2, 1})
			out.SetDefault(1, []byte{255, 255, 255, 0})
			if got := len(out.Reply4()); got != 15 {
				b.Fatal(got, "options")
			}
		}
	})
}
