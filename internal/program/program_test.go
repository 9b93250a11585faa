package program_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/program"
)

// pe is the smallest header that tells a machine type.
func pe(machine uint16, rest string) []byte {
	b := make([]byte, 0x80)
	copy(b, "MZ")
	b[0x3c] = 0x60
	copy(b[0x60:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x64:], machine)
	return append(b, rest...)
}

func at(off int, magic string) []byte { return append(make([]byte, off), magic...) }

func TestABootFileIsKnownByItsFirstBytes(t *testing.T) {
	for _, c := range []struct {
		head []byte
		want string
		runs string // names of machines
	}{
		{pe(0x8664, ""), "an EFI program for uefi-x64", "uefi-x64"},
		{pe(0x14c, ""), "an EFI program for uefi-ia32", "uefi-ia32"},
		{pe(0xaa64, ""), "an EFI program for uefi-arm64", "uefi-arm64"},
		{pe(0x6264, ""), "an EFI program for uefi-loong64", "uefi-loong64"},
		{pe(0x1234, ""), "an EFI program for the PE machine type 0x1234", ""},
		{[]byte("MZ\x90"), "no EFI program", "bios"},
		{at(0x3c, "\xff\xff\xff\xff"), "no EFI program", "bios"},
		{[]byte("\xea\x05\x00\xc0\x07"), "no EFI program", "bios"},
		{[]byte("#!ipxe\n"), "an iPXE script", ""},
		{[]byte("\xef\xbb\xbf \n<!DOCTYPE HTML>"), "an HTML page, perhaps that of a failed download", ""},
		{[]byte("<html>"), "an HTML page, perhaps that of a failed download", ""},
		{[]byte("\x7fELF"), "an ELF program", ""},
		{[]byte("\x1f\x8b\x08"), "a gzip archive", ""},
		{at(0x202, "HdrS"), "a Linux kernel without an EFI header", "bios"},
		{at(0x8001, "CD001"), "an ISO image", ""},
		{nil, "empty", ""},
	} {
		p := program.Head(c.head)
		var runs []string
		for _, name := range netboot.ArchNames() {
			codes, err := netboot.ParseArch(name)
			if err != nil {
				t.Fatal(err)
			}
			if (name == "bios" || strings.HasPrefix(name, "uefi-")) && p.RunsOn(codes[0]) {
				runs = append(runs, name)
			}
		}
		if p.String() != c.want || strings.Join(runs, " ") != c.runs {
			t.Errorf("%.20q is %s for %q, want %s for %q", c.head, p, runs, c.want, c.runs)
		}
	}
}

func TestIPXEIsKnownUnderAnyName(t *testing.T) {
	for name, ipxe := range map[string]bool{"/usr/lib/ipxe/ipxe.efi": true, "/usr/lib/ipxe/undionly.kpxe": true, "/bin/true": false} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "loader")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if p, err := program.Of(path); err != nil || p.IPXE != ipxe {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add(pe(0x8664, " initialising devices..."))
	f.Add(at(0x202, "HdrS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := program.Head(b); p.String() == "" || p.Kind == program.Empty != (len(b) == 0) {
			t.Errorf("%+v", p)
		}
	})
}
