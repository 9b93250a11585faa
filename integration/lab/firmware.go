package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// Kind is a sort of machine, by the firmware that does its first DHCP exchange.
type Kind int

// The machines of the lab.
const (
	BIOS     Kind = iota // SeaBIOS and QEMU's network ROM, which is iPXE and says so
	PlainPXE             // a BIOS machine that shows nothing of iPXE but its feature list
	UEFI                 // OVMF and EDK2's PXE client
	UEFIHTTP             // OVMF and EDK2's HTTP boot client
	UEFI6                // OVMF and EDK2's PXE client over IPv6, in a lab with Six
	UBoot                // U-Boot on a 32-bit ARM board, which fetches and runs a script of its own kind
)

// PlainClass is the user class that PlainPXE machines have in place of iPXE's.
const PlainClass = "PlainPXE"

// The first-stage files that the lab's servers give.
const (
	biosFile = "undionly.kpxe"
	uefiFile = "ipxe.efi"
	playFile = "ipxe.lkrn" // iPXE as a kernel, which plays the plain PXE ROM
)

// traits are what a kind of machine shows on the wire.
type traits struct {
	title string
	uefi  bool
	arch  []int         // option 93
	ipxe  bool          // the first DHCP exchange is already iPXE's
	first string        // the file that must come before iPXE can ask
	by    wire.Protocol // and how
	alone bool          // it never becomes iPXE
}

func (k Kind) traits() traits {
	switch k {
	case BIOS:
		return traits{title: "BIOS machine with an iPXE network card", arch: []int{0}, ipxe: true}
	case PlainPXE:
		return traits{title: "BIOS machine with a plain PXE network card", arch: []int{0}, first: biosFile, by: wire.TFTP}
	case UEFI:
		return traits{title: "UEFI machine, PXE boot", uefi: true, arch: []int{7, 9}, first: uefiFile, by: wire.TFTP}
	case UEFIHTTP:
		return traits{title: "UEFI machine, HTTP boot", uefi: true, arch: []int{16}, first: uefiFile, by: wire.HTTP}
	case UEFI6:
		return traits{title: "UEFI machine, PXE boot over IPv6", uefi: true, arch: []int{7, 9}, first: uefiFile}
	case UBoot:
		return traits{title: "ARM machine with U-Boot", arch: []int{21}, first: ubootFile, by: wire.TFTP, alone: true}
	default:
		panic(fmt.Sprintf("no such kind of machine: %d", int(k)))
	}
}

// String says what the machine is, in words for a person.
func (k Kind) String() string { return k.traits().title }

// Need reports, in one error, everything that this computer lacks to boot virtual machines.
func Need() error {
	errs := []error{nettest.Need("ip", qemu)}
	for _, name := range []string{biosFile, uefiFile, playFile} {
		_, err := ipxeFile(name)
		errs = append(errs, err)
	}
	_, _, err := ovmf()
	return errors.Join(append(errs, err)...)
}

// ipxeFile finds one of the files of the distribution's package "ipxe".
func ipxeFile(name string) (string, error) {
	for _, dir := range []string{"/usr/lib/ipxe", "/boot", "/usr/share/ipxe", "/usr/share/ipxe/x86_64"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed; install package ipxe, or run: sh integration/packages.sh demo", name)
}

// AutoexecIPXE finds an iPXE for x64 UEFI that asks for autoexec.ipxe by TFTP before it asks for an address, as iPXE
// does since 2022-01-17: in dir, where one is named, or in the distribution's package. An empty path: there is none.
func AutoexecIPXE(dir string) (path string) {
	candidates := []string{filepath.Join(dir, uefiFile)}
	if dir == "" {
		installed, err := ipxeFile(uefiFile)
		if err != nil {
			return ""
		}
		candidates = []string{installed}
	}
	for _, c := range candidates {
		if data, err := os.ReadFile(c); err == nil && bytes.Contains(data, []byte("autoexec.ipxe")) {
			return c
		}
	}
	return ""
}

// ovmf finds the UEFI firmware, and the initial content of its variable store.
func ovmf() (code, variables string, err error) {
	for _, pair := range [][2]string{
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},     // Debian, Ubuntu
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},           // the same, older
		{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"}, // Fedora
	} {
		if _, err := os.Stat(pair[0]); err != nil {
			continue
		}
		if _, err := os.Stat(pair[1]); err == nil {
			return pair[0], pair[1], nil
		}
	}
	return "", "", errors.New("UEFI firmware is not installed; install package ovmf, or run: " +
		"sh integration/packages.sh demo")
}
