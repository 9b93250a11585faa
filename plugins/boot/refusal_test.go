package boot_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// asks is the client that a request tells of, at a server with an address.
func asks(t testing.TB, r request4) *netboot.Client {
	t.Helper()
	req, err := dhcpv4.FromBytes(r.bytes())
	must(t, err)
	c, err := netboot.Client4(req)
	must(t, err)
	c.Local = ip("10.0.0.1")
	return &c
}

func TestARefusalTellsWhatWasWantedAndWhatWasSent(t *testing.T) {
	named := biosROM.with(opt(12, "node\x1b[2J7"))
	for _, s := range []struct {
		rule  string
		asks  request4
		wants string
	}{
		{"arch: bios, file: x", edk2, "arch does not match: the rule wants bios, the client is uefi-x64 (7) by arch option"},
		{"arch: [16, rpi], file: x", edk2, "arch does not match: the rule wants code 16, rpi, the client is uefi-x64 (7) by arch option"},
		{"arch: bios, file: x", edk2.without(93).with(opt(60, "PXEClient")), "arch does not match: the rule wants bios, the client told none"},
		{"ipxe: true, file: x", edk2, "ipxe does not match: the rule wants iPXE, the client is pxe"},
		{"ipxe: false, file: x", ipxeEFI, "ipxe does not match: the rule wants anything but iPXE, the client is ipxe"},
		{"firmware: [http, ipxe], file: x", edk2, "firmware does not match: the rule wants http, ipxe, the client is pxe"},
		{"features: [http, menu], file: x", ipxeBIOS.with(bin(175, poor175)), "an iPXE feature is missing: the rule wants all of http, menu, the client has dns, pxe, tftp"},
		{"features: http, file: x", ipxeBIOS.without(175), "an iPXE feature is missing: the rule wants all of http, the client did not tell its features"},
		{"lacks: http, file: x", edk2, "no iPXE feature is missing: the rule wants one without http, the client is not iPXE"},
		{"user-class: [a, 0x00ff], file: x", edk2, `user-class does not match: the rule wants "a", 0x00ff, the client sent none`},
		{"user-class: a, file: x", biosROM.with(opt(77, "b\n")), `user-class does not match: the rule wants "a", the client sent "b\n"`},
		{"vendor-class: HTTP*, file: x", edk2, `vendor-class does not match: the rule wants "HTTP*", the client sent "PXEClient:Arch:00007:UNDI:003016"`},
		{`mac: ["52:54:01:*", "00:00:00:00:00:01"], file: x`, edk2, "mac does not match: the rule wants 52:54:01:*, 00:00:00:00:00:01, the client has 52:54:00:aa:bb:cc"},
		{"uuid: 00000000-0000-0000-0000-000000000001, file: x", edk2.without(97), "uuid does not match: the rule wants 00000000-0000-0000-0000-000000000001, the client told none"},
		{"hostname: web*, file: x", named, `hostname does not match: the rule wants "web*", the client sent "node\x1b[2J7"`},
		{"relay: {from: 10.8.0.0/16, circuit-id: eth1}, file: x", relayed4(edk2), `relay does not match: the rule wants from 10.8.0.0/16, circuit-id "eth1", the client came through 10.9.0.1, circuit-id "eth0", remote-id none`},
		{"relay: {from: 10.8.0.0/16}, file: x", edk2, "relay does not match: the rule wants from 10.8.0.0/16, the client came through none"},
		{"not: [{arch: bios, ipxe: false}, {firmware: http}], file: x", biosROM, "a not matches: the rule wants none of {arch: bios, ipxe: anything but iPXE}, {firmware: http}, the client is bios (0)/pxe"},
		{"any: [{arch: bios}, {firmware: http}], file: x", edk2, "no any matches: the rule wants one of {arch: bios}, {firmware: http}, the client is uefi-x64 (7)/pxe"},
		{"file: undionly.kpxe", ipxeBIOS, "iPXE is not handed iPXE again: undionly.kpxe"},
		{"file: boot.ipxe", edk2, "only iPXE runs an iPXE script: boot.ipxe"},
		{"file: \"http://10.0.0.1/x\"", edk2, "this firmware cannot fetch such a URL: http://10.0.0.1/x"},
		{"file: \"http://10.0.0.1/x\"", ipxeBIOS.with(bin(175, poor175)), "this iPXE was built without that protocol: http://10.0.0.1/x"},
		{"file: x", httpBoot, "HTTP firmware needs the map's http: base: x"},
		{`file: "{hostname}/{uuid}"`, edk2.without(97), `the client did not send what a placeholder needs: "{hostname}/{uuid}" needs {hostname} and {uuid}`},
		{`file: "h/{hostname}"`, named, `what the client sent would leave the directory or the name: "h/{hostname}" with hostname "node\x1b[2J7"`},
	} {
		var got []string
		p := mustParse(t, "rules: [{"+s.rule+"}]\n")
		_, mine := p.DecideTraced(asks(t, s.asks), func(c *netboot.Client, r boot.Refusal) {
			got = append(got, r.Entry+": "+r.Text(c))
		})
		if want := "boot.yml:1: " + s.wants; mine || len(got) != 1 || got[0] != want {
			t.Errorf("%s says %q, not %q", s.rule, got, want)
		}
	}
}

func TestALongListOfARuleIsCutShort(t *testing.T) {
	var macs []string
	for i := range 300 {
		macs = append(macs, fmt.Sprintf("%q", fmt.Sprintf("52:54:00:00:%02x:%02x", i/256, i%256)))
	}
	p := mustParse(t, "rules: [{mac: ["+strings.Join(macs, ", ")+"], file: x}]\n")
	p.DecideTraced(asks(t, edk2), func(c *netboot.Client, r boot.Refusal) {
		if text := r.Text(c); len(text) > 400 || !strings.Contains(text, " or 292 more") {
			t.Errorf("says %s", text)
		}
	})
}

func TestWhoExplainsHearsEachDecision(t *testing.T) {
	path := t.TempDir() + "/boot.yml"
	must(t, os.WriteFile(path, []byte("rules:\n  - {arch: bios, file: undionly.kpxe}\n  - {arch: uefi-x64, file: ipxe.efi}\n  - {arch: rpi, ignore: true}\n"), 0o600))
	var heard []boot.Decision
	c := chainIn(t, path, boot.Env{Decided: func(d boot.Decision) { heard = append(heard, d) }, Local6: ip("2001:db8::7")})
	c.ask4(edk2.bytes())
	c.ask4(pi3.bytes())
	c.ask4(windows.bytes())
	if len(heard) != 3 {
		t.Fatalf("%d decisions", len(heard))
	}
	if d := heard[0]; !d.Answered || d.Answer.File != "ipxe.efi" || len(d.Refused) != 1 || d.Refused[0].Why != boot.ReasonArch || d.Client.Arch != netboot.ArchUEFIx64 {
		t.Errorf("of EDK2: %+v", d)
	}
	if d := heard[1]; d.Answered || !strings.HasSuffix(d.Answer.Because, "boot.yml:4") {
		t.Errorf("of a Pi: %+v", d)
	}
	if d := heard[2]; d.Answered || d.Client.Boots() || len(d.Refused) != 0 {
		t.Errorf("of Windows: %+v", d)
	}
	_, got := options6(t, c.ask6(message6(solicit, pxe6...)))
	if url := string(get6(got, 59)); url != "tftp://[2001:db8::7]/ipxe.efi" {
		t.Errorf("the URL is %q", url)
	}
}
