package boot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// counted compares the decisions that are shown, without their help.
func counted(t *testing.T, reg *prometheus.Registry, dir string, want ...string) {
	t.Helper()
	text := "# HELP netboot_boot_decisions_total Decisions, by the rule's place in the map, the client's architecture, and what its firmware fetches with.\n" +
		"# TYPE netboot_boot_decisions_total counter\n"
	for _, w := range want {
		text += "netboot_boot_decisions_total{" + strings.ReplaceAll(w, "DIR", dir) + "\n"
	}
	if len(want) == 0 {
		text = ""
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text), boot.MetricDecisions); err != nil {
		t.Error(err)
	}
}

func TestDecisionsAreCountedByRuleArchitectureAndFirmware(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "boot.yml")
	write := func(text string) { must(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(`next-server: [192.0.2.1, "2001:db8::1"]
rules:
  - {ipxe: true, file: boot.ipxe}
  - {mac: "52:54:00:00:00:09", ignore: true}
  - {arch: [bios, 77], file: undionly.kpxe}
  - {arch: uefi-x64, file: ipxe.efi}
hosts:
  - {mac: "52:54:00:aa:bb:01", file: one}
  - {mac: "52:54:00:aa:bb:02", file: two}
`)
	reg := prometheus.NewRegistry()
	c := chainIn(t, path, boot.Env{Metrics: reg})
	counted(t, reg, dir)
	for _, r := range []request4{
		biosROM, biosROM, asMAC(biosROM, "52:54:00:00:00:09"), ipxeEFI, biosROM.with(arch(77)),
		asMAC(biosROM, "52:54:00:aa:bb:01"), asMAC(biosROM, "52:54:00:aa:bb:02"), asMAC(biosROM, "52:54:00:aa:bb:02"),
	} {
		c.ask4(r.bytes())
	}
	c.ask6(message6(solicit, pxe6...))
	all := []string{
		`arch="bios",firmware="pxe",rule="DIR/boot.yml:4"} 1`, `arch="bios",firmware="pxe",rule="DIR/boot.yml:5"} 2`,
		`arch="bios",firmware="pxe",rule="DIR/boot.yml:hosts"} 3`, `arch="other",firmware="pxe",rule="DIR/boot.yml:5"} 1`,
		`arch="uefi-x64",firmware="ipxe",rule="DIR/boot.yml:3"} 1`, `arch="uefi-x64",firmware="pxe",rule="DIR/boot.yml:6"} 1`,
	}
	counted(t, reg, dir, all...)
	passed := "# HELP netboot_boot_passed_total Replies passed on without a boot answer, by reason.\n# TYPE netboot_boot_passed_total counter\n" +
		"netboot_boot_passed_total{reason=\"ignored\"} 1\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(passed), boot.MetricPassed); err != nil {
		t.Error(err)
	}
}

func TestTheSeriesOfARuleEndWithIt(t *testing.T) {
	reg := prometheus.NewRegistry()
	c, write := reloadingIn(t, "rules:\n  - {arch: uefi-x64, file: ipxe.efi}\n  - {arch: bios, file: one}\n", reg)
	c.until(t, "one")
	c.ask4(edk2.bytes())
	series := func(rule string) float64 {
		families, err := reg.Gather()
		must(t, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if f.GetName() == boot.MetricDecisions && l.GetName() == "rule" && strings.HasSuffix(l.GetValue(), rule) {
						return m.GetCounter().GetValue()
					}
				}
			}
		}
		return 0
	}
	if n := series("boot.yml:2"); n != 1 {
		t.Errorf("%v decisions before the change", n)
	}
	write("rules:\n  - {arch: uefi-x64, file: ipxe.efi}\n  - {arch: uefi-arm64, file: y}\n  - {arch: bios, file: two}\n")
	c.until(t, "two")
	if two, three, four := series("boot.yml:2"), series("boot.yml:3"), series("boot.yml:4"); two != 1 || three == 0 || four != 1 {
		t.Errorf("%v, %v, %v decisions: the first rule counts on, and the third is new", two, three, four)
	}
	write("rules: [{arch: bios, file: three}]\n")
	c.until(t, "three")
	if two, three := series("boot.yml:2"), series("boot.yml:3"); two != 0 || three != 0 {
		t.Errorf("%v, %v decisions of rules that are gone", two, three)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	p := hundredThousand(t)
	count := boot.Counting(p)
	for name, c := range map[string]*netboot.Client{"host": askingHost(77_777), "rule": askingHost(1 << 20)} {
		if n := testing.AllocsPerRun(100, func() { count(c) }); n != 0 {
			t.Errorf("%s: %v allocations for a decision", name, n)
		}
	}
}

func BenchmarkDecideAndCountAmong100000Hosts(b *testing.B) {
	count := boot.Counting(hundredThousand(b))
	clients := make([]*netboot.Client, 1024)
	for i := range clients {
		clients[i] = askingHost(i * 97)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		count(clients[i%len(clients)])
	}
}
