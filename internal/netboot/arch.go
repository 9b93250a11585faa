package netboot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Arch is what a machine can run: a code of IANA's "Processor Architecture Types" (RFC 4578 section 2.1, RFC 5970
// section 3.3), as option 93 of DHCPv4 and option 61 of DHCPv6 carry it.
type Arch uint16

// Codes that the code itself speaks of. 37 to 41 are registered later than RFC 5970.
const (
	ArchBIOS       Arch = 0
	ArchUEFIx64    Arch = 7
	ArchUBootARM32 Arch = 21
	ArchUBootARM64 Arch = 22
	ArchRPi        Arch = 41
	// ArchUnknown is no registered code. iPXE on s390x and U-Boot without CONFIG_DHCP_PXE_CLIENTARCH send it.
	ArchUnknown Arch = 65535
)

// archNames has every code of a machine, PXE and HTTP, under the name that maps use. 9 and 17 are "EBC" in the
// registry, yet RFC 4578 was printed with 7 and 9 swapped, so what sends 9 is an x64 machine (iPXE before 2016, some
// vendors' ROMs); 20 is BIOS over HTTP.
var archNames = []struct {
	name  string
	codes []Arch
}{
	{"bios", []Arch{ArchBIOS, 20}},
	{"uefi-ia32", []Arch{6, 15}},
	{"uefi-x64", []Arch{ArchUEFIx64, 9, 16, 17}},
	{"uefi-arm32", []Arch{10, 18}},
	{"uefi-arm64", []Arch{11, 19}},
	{"uefi-riscv32", []Arch{25, 26}},
	{"uefi-riscv64", []Arch{27, 28}},
	{"uefi-loong64", []Arch{39, 40}},
	{"uboot-arm32", []Arch{ArchUBootARM32, 23}},
	{"uboot-arm64", []Arch{ArchUBootARM64, 24}},
	{"rpi", []Arch{ArchRPi}},
}

// httpArchs are the codes that mean UEFI HTTP boot, or its like.
var httpArchs = []Arch{15, 16, 17, 18, 19, 20, 23, 24, 26, 28, 30, 38, 40}

// uefiArchs are the codes of UEFI firmware, which is EDK2 or made from it.
var uefiArchs = []Arch{2, 6, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19, 25, 26, 27, 28, 29, 30, 33, 34, 35, 36, 37, 38, 39, 40}

// ArchNames are the names that ParseArch knows.
func ArchNames() []string {
	names := make([]string, len(archNames))
	for i, a := range archNames {
		names[i] = a.name
	}
	return names
}

// ParseArch gives the codes that s stands for: every code of a named machine, or just the one of a number.
func ParseArch(s string) ([]Arch, error) {
	for _, a := range archNames {
		if a.name == s {
			return a.codes, nil
		}
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return []Arch{Arch(n)}, nil
	}
	return nil, fmt.Errorf("arch %q is unknown; use one of %s, or a number", s, strings.Join(ArchNames(), ", "))
}

// String is the machine's name, "unknown", or the code as a number.
func (a Arch) String() string {
	if a == ArchUnknown {
		return "unknown"
	}
	for _, n := range archNames {
		if slices.Contains(n.codes, a) {
			return n.name
		}
	}
	return strconv.Itoa(int(a))
}

// HTTP tells codes that ask for a boot by HTTP.
func (a Arch) HTTP() bool { return slices.Contains(httpArchs, a) }

// UEFI tells codes of UEFI firmware.
func (a Arch) UEFI() bool { return slices.Contains(uefiArchs, a) }

// ArchSource is the rung of the ladder that told a client's architecture.
type ArchSource uint8

// The rungs, from the most to the least trusted.
const (
	ArchNotTold       ArchSource = iota // nothing told it
	ArchByPi                            // a Raspberry Pi, whose ROM claims to be an x86 BIOS
	ArchByOption                        // option 93 (DHCPv4) or 61 (DHCPv6)
	ArchByVendorClass                   // the text of option 60 (DHCPv4) or 16 (DHCPv6)
	ArchByDefault                       // the site's configured default
)

// String is for logs.
func (s ArchSource) String() string {
	return [...]string{"nothing", "raspberry-pi", "arch option", "vendor class", "default"}[s]
}

// archFromOption reads option 93 or 61: a list of 16-bit codes whose first entry counts. A list of odd length or
// without an entry is malformed and tells nothing.
func archFromOption(b []byte) Arch {
	if len(b) < 2 || len(b)%2 != 0 {
		return ArchUnknown
	}
	return Arch(b[0])<<8 | Arch(b[1])
}

// archFromVendorClass reads "PXEClient:Arch:00007:UNDI:003016" and its like. U-Boot's EFI boot method prints the
// number in hexadecimal ("0000b"), so what is no decimal number is read as that. "U-Boot.armv8" is U-Boot itself.
func archFromVendorClass(class string) Arch {
	switch {
	case strings.HasPrefix(class, "U-Boot.armv7"):
		return ArchUBootARM32
	case strings.HasPrefix(class, "U-Boot.armv8"):
		return ArchUBootARM64
	}
	_, rest, ok := strings.Cut(class, ":Arch:")
	if !ok {
		return ArchUnknown
	}
	digits, _, _ := strings.Cut(rest, ":")
	for _, base := range []int{10, 16} {
		if n, err := strconv.ParseUint(digits, base, 16); err == nil {
			return Arch(n)
		}
	}
	return ArchUnknown
}
