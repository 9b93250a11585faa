package boot_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// isGolden compares what is said of a map with the text beside it.
func isGolden(t *testing.T, mapPath, got string) {
	t.Helper()
	golden := strings.TrimSuffix(mapPath, ".yml") + ".want"
	if *update {
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if got != string(want) {
		t.Errorf("says:\n%s\nnot:\n%s", got, want)
	}
}

// Adding a case is adding a map to testdata/errors.
func TestEveryMistakeInAMapIsExplained(t *testing.T) {
	maps, err := filepath.Glob("testdata/errors/*.yml")
	if err != nil || len(maps) < 8 {
		t.Fatalf("found %d maps, %v", len(maps), err)
	}
	for _, path := range maps {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := boot.Load(path)
			if err == nil {
				t.Fatal("was taken")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/errors/", "") + "\n"
			isGolden(t, path, got)
		})
	}
}

func TestAMapIsWarnedAboutWhatItMayNotMean(t *testing.T) {
	dir := t.TempDir()
	firmware := filepath.Join(dir, "firmware")
	must(t, os.MkdirAll(filepath.Join(firmware, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(firmware, "sub", "here.efi"), nil, 0o644))
	path := filepath.Join(dir, "boot.yml")
	must(t, os.WriteFile(path, []byte(`http: http://boot.example.net
firmware: [firmware, gone]
rules:
  - {user-class: PlainPXE, file: sub/undionly.kpxe}
  - {arch: bios, file: "`+strings.Repeat("n", 130)+`/{mac}"}
  - {arch: uefi-x64, file: sub/here.efi}
  - {arch: uefi-arm64, file: "{arch}/not-looked-up.efi"}
`), 0o644))
	p, err := boot.Load(path)
	must(t, err)
	got := strings.ReplaceAll(p.Warnings.Error(), dir+"/", "")
	want := `boot.yml:1: http names the host "boot.example.net": HTTP firmware drops the offer unless it also carries name servers; put the plugin dns before boot, or use an address
boot.yml:2: firmware directory gone does not exist; create it, or remove the line: names cannot be looked up there
boot.yml:4: an iPXE whose script set the user class "PlainPXE" would be handed sub/undionly.kpxe again and again; make sure that the second stage has another class
boot.yml:4: file "sub/undionly.kpxe" is in none of the firmware directories firmware (or a link that leads out of them); copy it there, or correct the name
boot.yml:5: file has 136 bytes; what stands in the header's file field is at most 127 long, and PXE ROMs read no other: shorten it`
	if got != want {
		t.Errorf("warns:\n%s\nnot:\n%s", got, want)
	}
}

func TestSetupSaysWhatIsMissing(t *testing.T) {
	plugin := boot.New(boot.Env{})
	for want, args := range map[string][]string{
		"boot: names no map; give a file, like `- boot: boot.yml`": nil,
		"boot: takes one file, but has 2 words":                    {"my", "boot.yml"},
		"nowhere.yml: no such file":                                {"nowhere.yml"},
	} {
		if _, err := plugin.Setup4(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Setup4(%q): %v, want ...%s...", args, err, want)
		}
		if _, err := plugin.Setup6(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Setup6(%q): %v, want ...%s...", args, err, want)
		}
	}
}

func TestDHCPv6WithoutAnAddressOfOurOwnIsRefusedAtLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.yml")
	must(t, os.WriteFile(path, []byte("rules:\n  - {ipxe: true, file: \"http://192.0.2.1/boot.ipxe\"}\n"), 0o644))
	plugin := boot.New(boot.Env{Listen6: []string{"lo"}})
	if _, err := plugin.Setup6(path); err != nil {
		t.Errorf("a map that needs no address: %v", err)
	}
	must(t, os.WriteFile(path, []byte("rules:\n  - {ipxe: true, file: \"http://192.0.2.1/boot.ipxe\"}\n  - {arch: uefi-x64, file: ipxe.efi}\n"), 0o644))
	plugin = boot.New(boot.Env{Listen6: []string{"lo"}})
	_, err := plugin.Setup6(path)
	want := "boot.yml:3: next-server is auto for DHCPv6, but [lo] has no global IPv6 address; write one, like next-server: 2001:db8::1"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("says %v, want ...%s", err, want)
	}
	if _, err := plugin.Setup4(path); err != nil {
		t.Errorf("DHCPv4, which takes the address of server_id: %v", err)
	}
	if _, err := plugin.Setup6(path); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("behind DHCPv4: says %v, want ...%s", err, want)
	}
}

// hundredThousand is a map of that many hosts.
func hundredThousand(t testing.TB) *boot.Policy {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("next-server: 192.0.2.1\nrules: [{arch: bios, file: undionly.kpxe}]\nhosts:\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "  - {mac: \"52:54:00:%02x:%02x:%02x\", file: \"hosts/%d.0\"}\n", i>>16, i>>8&255, i&255, i)
	}
	return mustParse(t, b.String())
}

func askingHost(i int) *netboot.Client {
	return &netboot.Client{
		MAC:  netboot.MACFrom([]byte{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)}),
		Arch: netboot.ArchBIOS, ArchBy: netboot.ArchByOption, Firmware: netboot.FirmwarePXE, Local: ip("192.0.2.1"),
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	p := hundredThousand(t)
	for name, c := range map[string]*netboot.Client{"host": askingHost(77_777), "rule": askingHost(1 << 20)} {
		if n := testing.AllocsPerRun(100, func() {
			if _, mine := p.Decide(c); !mine {
				t.Fatal("no answer")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a decision", name, n)
		}
	}
}

func BenchmarkDecideAmong100000Hosts(b *testing.B) {
	p := hundredThousand(b)
	clients := make([]*netboot.Client, 1024)
	for i := range clients {
		clients[i] = askingHost(i * 97)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, mine := p.Decide(clients[i%len(clients)]); !mine {
			b.Fatal("no answer")
		}
	}
}

func BenchmarkDecideByTheLastOfTenRules(b *testing.B) {
	text := "next-server: 192.0.2.1\nrules:\n"
	for i := range 9 {
		text += fmt.Sprintf("  - {arch: uefi-x64, relay: {from: 10.%d.0.0/16}, file: x}\n", i)
	}
	p := mustParse(b, text+"  - {arch: bios, file: undionly.kpxe}\n")
	c := askingHost(1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, mine := p.Decide(c); !mine {
			b.Fatal("no answer")
		}
	}
}
