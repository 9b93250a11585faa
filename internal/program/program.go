// Package program tells by the first bytes of a boot file what it is and which machines can run it. The bytes may come
// from anywhere.
package program

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// MaxLook is how many bytes of a file are looked at. An ISO image has its name at 32 KiB; a larger file is no iPXE.
const MaxLook = 8 << 20

// Kind is what a file is.
type Kind uint8

// The kinds.
const (
	Raw    Kind = iota // without a header that tells: a BIOS program has none
	EFI                // PE/COFF
	Script             // of iPXE
	HTML
	ELF
	Linux   // a kernel for x86 that is no EFI program as well
	Archive // gzip
	ISO
	Empty
)

// Program is what a boot file is, as far as its first bytes tell.
type Program struct {
	Kind    Kind
	Machine uint16 // of an EFI program: the PE/COFF machine type
	IPXE    bool   // it is iPXE itself, whatever its name
}

// Texts that every build of iPXE has: in an EFI program, and in the uncompressed beginning of one for BIOS
// (iPXE: core/main.c, arch/x86/prefix/pxeprefix.S).
var (
	ipxeInEFI  = []byte(" initialising devices...")
	ipxeInBIOS = []byte("PXE->EB:")
)

// efiMachines are the PE/COFF machine types of each architecture (UEFI specification, section 2.1.1).
var efiMachines = map[uint16]string{
	pe.IMAGE_FILE_MACHINE_I386: "uefi-ia32", pe.IMAGE_FILE_MACHINE_AMD64: "uefi-x64",
	pe.IMAGE_FILE_MACHINE_ARMNT: "uefi-arm32", pe.IMAGE_FILE_MACHINE_ARM64: "uefi-arm64",
	pe.IMAGE_FILE_MACHINE_RISCV32: "uefi-riscv32", pe.IMAGE_FILE_MACHINE_RISCV64: "uefi-riscv64",
	pe.IMAGE_FILE_MACHINE_LOONGARCH64: "uefi-loong64",
}

// Of looks at a file. Its error does not repeat the path.
func Of(path string) (Program, error) {
	f, err := os.Open(path)
	if err != nil {
		return Program{}, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, MaxLook))
	if err != nil {
		var failed *os.PathError
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return Program{}, err
	}
	return Head(head), nil
}

// Head looks at the first bytes of a file; MaxLook of them, or all that it has.
func Head(b []byte) Program {
	at := func(off int, magic string) bool {
		return len(b) >= off+len(magic) && string(b[off:off+len(magic)]) == magic
	}
	if machine, ok := peMachine(b); ok {
		return Program{Kind: EFI, Machine: machine, IPXE: bytes.Contains(b, ipxeInEFI)}
	}
	switch {
	case len(b) == 0:
		return Program{Kind: Empty}
	case at(0, "#!ipxe"), at(0, "#!gpxe"):
		return Program{Kind: Script}
	case isHTML(b):
		return Program{Kind: HTML}
	case at(0, "\x7fELF"):
		return Program{Kind: ELF}
	case at(0, "\x1f\x8b"):
		return Program{Kind: Archive}
	case at(0x202, "HdrS") && !bytes.Contains(b[:min(len(b), 4096)], ipxeInBIOS):
		return Program{Kind: Linux}
	case at(0x8001, "CD001"):
		return Program{Kind: ISO}
	}
	return Program{Kind: Raw, IPXE: bytes.Contains(b[:min(len(b), 4096)], ipxeInBIOS)}
}

// peMachine reads the machine type of a PE/COFF file. debug/pe reads all of the header, and does not promise to hold
// against a hostile one.
func peMachine(b []byte) (uint16, bool) {
	if len(b) < 0x40 || string(b[:2]) != "MZ" {
		return 0, false
	}
	at := int64(binary.LittleEndian.Uint32(b[0x3c:]))
	if at+6 > int64(len(b)) || string(b[at:at+4]) != "PE\x00\x00" {
		return 0, false
	}
	return binary.LittleEndian.Uint16(b[at+4:]), true
}

func isHTML(b []byte) bool {
	b = bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), 512)], []byte("\xef\xbb\xbf")), " \t\r\n"))
	return bytes.HasPrefix(b, []byte("<!doctype")) || bytes.HasPrefix(b, []byte("<html"))
}

// RunsOn tells whether a machine of this code can run it. U-Boot and Raspberry Pis take files of any kind.
func (p Program) RunsOn(code netboot.Arch) bool {
	switch name := code.String(); {
	case p.Kind == HTML, p.Kind == Empty:
		return false
	case name == "bios":
		return p.Kind == Raw || p.Kind == Linux
	case strings.HasPrefix(name, "uefi-"):
		return p.Kind == EFI && efiMachines[p.Machine] == name
	}
	return true
}

// String is for a person.
func (p Program) String() string {
	switch p.Kind {
	case EFI:
		if name := efiMachines[p.Machine]; name != "" {
			return "an EFI program for " + name
		}
		return fmt.Sprintf("an EFI program for the PE machine type %#x", p.Machine)
	case Script:
		return "an iPXE script"
	case HTML:
		return "an HTML page, perhaps that of a failed download"
	case ELF:
		return "an ELF program"
	case Linux:
		return "a Linux kernel without an EFI header"
	case ISO:
		return "an ISO image"
	case Empty:
		return "empty"
	case Archive:
		return "a gzip archive"
	}
	return "no EFI program"
}
