package boot_test

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// efiProgram is the header of an EFI program for a PE/COFF machine type, and no more.
func efiProgram(machine uint16) []byte {
	b := make([]byte, 64, 128)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[60:], 64)
	b = append(b, "PE\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, machine)
	return append(b, make([]byte, 64)...)
}

// Adding a case is adding a map to testdata/check.
func TestCheckFindsWhatPeopleForget(t *testing.T) {
	maps, err := filepath.Glob("testdata/check/*.yml")
	if err != nil || len(maps) < 10 {
		t.Fatalf("found %d maps, %v", len(maps), err)
	}
	for _, path := range maps {
		t.Run(filepath.Base(path), func(t *testing.T) {
			dir := t.TempDir()
			for _, sub := range []string{"firmware", "scripts", "broken"} {
				must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
			}
			text, err := os.ReadFile(path)
			must(t, err)
			for name, content := range map[string][]byte{
				"boot.yml":                text,
				"firmware/undionly.kpxe":  []byte("\xea\x05\x00\xc0\x07"),
				"firmware/ipxe.efi":       efiProgram(pe.IMAGE_FILE_MACHINE_AMD64),
				"firmware/ipxe-arm64.efi": efiProgram(pe.IMAGE_FILE_MACHINE_ARM64),
				"firmware/odd.efi":        efiProgram(pe.IMAGE_FILE_MACHINE_IA64),
				"firmware/boot.ipxe":      []byte("#!ipxe\n"),
				"scripts/site.ipxe.tmpl":  []byte("#!ipxe\necho {{.values.disk}}\n"),
				"scripts/machines.yml":    []byte("machines: [{serial: A, script: site.ipxe, values: {disk: x}}]\n"),
				"broken/site.ipxe.tmpl":   []byte("#!ipxe\necho {{.values.disk}}\n"),
				"broken/chain.ipxe.tmpl":  []byte("#!ipxe\nkernel x\n{{if eq .arch \"rpi\"}}{{.pi}}{{end}}"),
				"broken/never.ipxe.tmpl":  []byte("#!ipxe\nkernel {{.vaules.kernel}}\n"),
				"broken/machines.yml":     []byte("machines:\n  - {serial: A, script: site.ipxe, values: {kernel: x}}\n  - {serial: B, script: site.ipxe}\n"),
			} {
				must(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
			}
			problems, warnings := boot.Check(filepath.Join(dir, "boot.yml"))
			got := strings.ReplaceAll(findings("error", problems)+findings("warning", warnings), dir+"/", "")
			isGolden(t, path, got)
		})
	}
}

func findings(kind string, ps conf.Problems) (text string) {
	for _, p := range ps {
		text += kind + ": " + p.Error() + "\n"
	}
	return text
}

// A rule of nested lists stands for more machines than anybody can look at.
func TestCheckOfARuleForMillionsOfMachinesEnds(t *testing.T) {
	var macs, hosts []string
	for i := range 2000 {
		macs = append(macs, fmt.Sprintf(`"52:54:00:00:%02x:%02x"`, i>>8, i&255))
		hosts = append(hosts, fmt.Sprintf("{hostname: node-%d}", i))
	}
	path := filepath.Join(t.TempDir(), "boot.yml")
	must(t, os.WriteFile(path, []byte("rules:\n  - {arch: bios, lacks: nfs, file: undionly.kpxe, mac: ["+strings.Join(macs, ", ")+"],\n"+
		"     any: [{mac: \"52:54:*\", any: ["+strings.Join(hosts, ", ")+"]}, {any: ["+strings.Join(hosts, ", ")+"]}]}\n"), 0o600))
	problems, _ := boot.Check(path)
	if len(problems) != 1 || !strings.Contains(problems.Error(), "boot.yml:2: boot loop: ") {
		t.Errorf("says %v", problems)
	}
}
