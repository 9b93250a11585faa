package main

import (
	"debug/pe"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the wanted texts of testdata anew")

// usual is what a case has unless it has a file of that name itself.
func usual() map[string]string {
	return map[string]string{
		"config.yml":              chain("server_id: 192.0.2.1", "range: leases 192.0.2.100 192.0.2.199 1h", "netmask: 255.255.255.0", "boot: boot.yml"),
		"boot.yml":                goodMap,
		"firmware/undionly.kpxe":  "\xea\x05\x00\xc0\x07 PXE->EB:",
		"firmware/pxelinux.0":     "\xfa\xfc",
		"firmware/hidden.0":       "\xea\x05\x00\xc0\x07 PXE->EB:",
		"firmware/ipxe.efi":       efiProgram(pe.IMAGE_FILE_MACHINE_AMD64),
		"firmware/ipxe-arm64.efi": efiProgram(pe.IMAGE_FILE_MACHINE_ARM64),
		"firmware/hidden.efi":     efiProgram(pe.IMAGE_FILE_MACHINE_AMD64) + "%s initialising devices...",
		"firmware/shimx64.efi":    efiProgram(pe.IMAGE_FILE_MACHINE_AMD64),
		"firmware/odd.efi":        efiProgram(pe.IMAGE_FILE_MACHINE_IA64),
		"firmware/kernel.elf":     "\x7fELF\x02\x01\x01",
		"firmware/core.gz":        "\x1f\x8b\x08",
		"firmware/boot.ipxe":      "#!ipxe\n",
	}
}

// efiProgram is the header of an EFI program for a PE/COFF machine type, and no more.
func efiProgram(machine uint16) string {
	b := make([]byte, 64, 128)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[60:], 64)
	b = append(b, "PE\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, machine)
	return string(append(b, make([]byte, 64)...))
}

var sectionOf = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// sections are the parts of a case: files, and what is wanted.
func sections(text string) (parts map[string]string) {
	parts = map[string]string{}
	marks := sectionOf.FindAllStringSubmatchIndex(text, -1)
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		parts[text[m[2]:m[3]]] = text[m[1]:end]
	}
	return parts
}

// Adding a case is adding a file to testdata/check: the files that differ from the usual ones, each behind a line
// "-- NAME --", and what check says, behind "-- want --". What stands before them is for people.
func TestCheckSaysWhatIsWrong(t *testing.T) {
	cases, err := filepath.Glob("testdata/check/*.txt")
	if err != nil || len(cases) < 60 {
		t.Fatalf("found %d cases, %v", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			golden, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			content, given := usual(), sections(string(text))
			for name, part := range given {
				content[name] = part
			}
			want := content["want"]
			delete(content, "want")
			dir := files(t, content)
			got, err := says(t, "check")
			got = strings.ReplaceAll(got, dir, "DIR")
			if *update {
				before, _, _ := strings.Cut(string(text), "-- want --\n")
				if err := os.WriteFile(golden, []byte(before+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("says:\n%s\nnot:\n%s", got, want)
			}
			if failed := errors.Is(err, errFound); failed == strings.Contains(want, "no mistakes") || err != nil && !failed {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
