package boot

import (
	"debug/pe"
	"fmt"
	"os"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// program is what a boot file can run on, as far as its first bytes tell.
type program struct {
	efi     bool
	machine uint16 // of an EFI program: the PE/COFF machine type
}

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

// programOf looks at a file. What has no PE/COFF header is no EFI program; BIOS programs have no header at all.
func programOf(path string) (program, error) {
	f, err := os.Open(path)
	if err != nil {
		return program{}, err
	}
	defer f.Close()
	image, err := pe.NewFile(f)
	if err != nil {
		return program{}, nil //nolint:nilerr // not an EFI program is what was asked
	}
	return program{efi: true, machine: image.Machine}, nil
}

// runsOn tells whether a machine of this code can run it. U-Boot and Raspberry Pis take files of any kind.
func (p program) runsOn(code netboot.Arch) bool {
	switch name := code.String(); {
	case name == "bios":
		return !p.efi
	case slices.ContainsFunc(efiMachines, func(m struct {
		name    string
		machine uint16
	}) bool {
		return m.name == name
	}):
		return p.efi && p.String() == "an EFI program for "+name
	}
	return true
}

// String is for a person.
func (p program) String() string {
	if !p.efi {
		return "no EFI program"
	}
	for _, m := range efiMachines {
		if m.machine == p.machine {
			return "an EFI program for " + m.name
		}
	}
	return fmt.Sprintf("an EFI program for the PE machine type %#x", p.machine)
}
