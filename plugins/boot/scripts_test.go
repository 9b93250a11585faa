package boot_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	bootscript "github.com/coredhcp-netboot/suite/internal/script"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// What a machine says by DHCP may end in its script: through the URL that it is given.
func TestWhatAClientSaysByDHCPIsHarmlessInItsScript(t *testing.T) {
	policy, err := boot.Parse("boot.yml", []byte(`rules:
  - {ipxe: true, user-class: "iPXE*", file: "http://192.0.2.1:8080/boot.ipxe?mac={mac}&hostname={hostname}"}
  - {ipxe: true, file: "http://192.0.2.1:8080/boot.ipxe?mac={mac}"}
`))
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "boot.ipxe.tmpl"), []byte("#!ipxe\necho {{.mac}}-{{.hostname}}\n"), 0o644))
	library, err := bootscript.Load(dir)
	must(t, err)
	mac, err := netboot.ParseMAC("52:54:00:aa:bb:01")
	must(t, err)
	for _, evil := range []string{
		"x\nchain http://evil/", "\r\n", "a&mac=52:54:00:00:00:00", "a?b#c", "${net0/mac}", "%24%7Bnet0/mac%7D", "%0achain", "\x00", "..", "../..",
		`"'\`, "a || b", "a b", "+", "\xff\xfe", strings.Repeat("x", 64<<10), strings.Repeat("\n", 300),
	} {
		c := netboot.Client{
			MAC: mac, Firmware: netboot.FirmwareIPXE, Hostname: evil, UserClasses: []string{"iPXE" + evil},
			Features: netboot.FeatureHTTP, FeaturesKnown: true, Local: netip.MustParseAddr("192.0.2.1"),
		}
		a, mine := policy.Decide(&c)
		if !mine {
			t.Fatalf("%.20q is not answered at all", evil)
		}
		name, query, _ := strings.Cut(strings.TrimPrefix(a.File, "http://192.0.2.1:8080/"), "?")
		m, _ := bootscript.Ask(query)
		s, err := library.Render(name, m)
		must(t, err)
		rest, ok := strings.CutPrefix(string(s.Text), "#!ipxe\necho 52:54:00:aa:bb:01-")
		if !ok || strings.ContainsAny(strings.TrimSuffix(rest, "\n"), " \n\r\x00${}|&;#\\\"'/:") {
			t.Errorf("%.20q becomes %q", evil, s.Text)
		}
	}
}
