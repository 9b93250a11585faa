package boot

import (
	"bytes"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// program is what a boot file is, as far as its bytes tell.
type program struct {
	kind    kind
	machine uint16 // of an EFI program: the PE/COFF machine type
	ipxe    bool   // it is iPXE itself, whatever its name
}

// kind is a file format.
type kind uint8

const (
	raw        kind = iota // without a header: what a BIOS runs, and everything that is not known here
	efi                    // PE/COFF
	ipxeScript             // iPXE's
	elf
	archive // gzip
	iso
	html
	empty
)

// efiMachines are the PE/COFF machine types of each architecture (UEFI specification, section 2.1.1).
var efiMachines = []struct {
	name    string
	machine uint16
}{
	{"uefi-ia32", pe.IMAGE_FILE_MACHINE_I386}, {"uefi-x64", pe.IMAGE_FILE_MACHINE_AMD64},
	{"uefi-arm32", pe.IMAGE_FILE_MACHINE_ARMNT}, {"uefi-arm64", pe.IMAGE_FILE_MACHINE_ARM64},
	{"uefi-riscv32", pe.IMAGE_FILE_MACHINE_RISCV32}, {"uefi-riscv64", pe.IMAGE_FILE_MACHINE_RISCV64},
	{"uefi-loong64", pe.IMAGE_FILE_MACHINE_LOONGARCH64},
}

// Texts that every build of iPXE has: in an EFI program, and in the uncompressed beginning of one for BIOS
// (iPXE: core/main.c, arch/x86/prefix/pxeprefix.S).
var (
	ipxeInEFI  = []byte(" initialising devices...")
	ipxeInBIOS = []byte("PXE->EB:")
)

// maxLook bounds what is read of a file; a large one is no iPXE.
const maxLook = 8 << 20

// programOf looks at a file. What has no PE/COFF header is no EFI program; BIOS programs have no header at all.
func programOf(path string) (program, error) {
	f, err := os.Open(path)
	if err != nil {
		return program{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxLook))
	if err != nil {
		var failed *os.PathError
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return program{}, err
	}
	start := bytes.TrimLeft(content[:min(len(content), 64)], "\ufeff \t\r\n")
	has := func(at int, magic string) bool {
		return len(content) >= at+len(magic) && string(content[at:at+len(magic)]) == magic
	}
	switch {
	case len(content) == 0:
		return program{kind: empty}, nil
	case has(0, "#!ipxe"), has(0, "#!gpxe"): // iPXE: image/script.c
		return program{kind: ipxeScript}, nil
	case has(0, "\x7fELF"):
		return program{kind: elf}, nil
	case has(0, "\x1f\x8b"):
		return program{kind: archive}, nil
	case has(0x8001, "CD001"):
		return program{kind: iso}, nil
	case bytes.HasPrefix(bytes.ToLower(start), []byte("<!doctype")), bytes.HasPrefix(bytes.ToLower(start), []byte("<html")):
		return program{kind: html}, nil
	}
	image, err := pe.NewFile(f)
	if err != nil {
		return program{ipxe: bytes.Contains(content[:min(len(content), 4096)], ipxeInBIOS)}, nil //nolint:nilerr // not an EFI program is what was asked
	}
	return program{kind: efi, machine: image.Machine, ipxe: bytes.Contains(content, ipxeInEFI)}, nil
}

// runsOn tells whether a machine of this code can run it. U-Boot and Raspberry Pis take files of many kinds.
func (p program) runsOn(code netboot.Arch) bool {
	name := code.String()
	switch {
	case p.kind == empty || p.kind == html:
		return false
	case name == "bios":
		return p.kind == raw
	case strings.HasPrefix(name, "uefi-"):
		return p.kind == efi && p.arch() == name
	}
	return true
}

// arch is the architecture that an EFI program is for; empty: none of those with a name.
func (p program) arch() string {
	i := slices.IndexFunc(efiMachines, func(m struct {
		name    string
		machine uint16
	}) bool {
		return m.machine == p.machine
	})
	if p.kind != efi || i < 0 {
		return ""
	}
	return efiMachines[i].name
}

// String is for a person.
func (p program) String() string {
	switch {
	case p.kind != efi:
		return [...]string{
			raw: "no EFI program", ipxeScript: "an iPXE script", elf: "an ELF program", archive: "a gzip archive", iso: "an ISO image",
			html: "an HTML page, perhaps that of a failed download", empty: "empty",
		}[p.kind]
	case p.arch() != "":
		return "an EFI program for " + p.arch()
	}
	return fmt.Sprintf("an EFI program for the PE machine type %#x", p.machine)
}
