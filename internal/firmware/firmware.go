// Package firmware makes the requests that boot firmware sends: its options, in its order, with its sizes and flags. What
// each sends was read from its source (EDK2 NetworkPkg, iPXE dhcp.c and dhcpv6.c, U-Boot bootp.c) or captured.
package firmware

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Machine is whom a request comes from. The zero value of a field is what a machine has that does not tell it.
type Machine struct {
	V6       bool
	Arch     netboot.Arch
	Firmware netboot.Firmware // FirmwareNone: an operating system
	MAC      netboot.MAC
	UUID     netboot.UUID
	Hostname string

	Features    netboot.Features // of iPXE
	UserClass   string           // instead of iPXE's own
	VendorClass string           // instead of the firmware's own

	Relay               netip.Addr // valid: the request comes through it
	CircuitID, RemoteID string
}

// Request is the first message of the machine's boot: a DISCOVER or a SOLICIT.
func (m Machine) Request() []byte {
	if m.V6 {
		return m.solicit()
	}
	return m.discover()
}

// CodeFor is the code that this firmware of a machine sends, of those that the machine's name covers. A single code
// stays what it is.
func CodeFor(codes []netboot.Arch, f netboot.Firmware) netboot.Arch {
	for _, code := range codes {
		if code.HTTP() == (f == netboot.FirmwareHTTP) {
			return code
		}
	}
	return codes[0]
}

func (m *Machine) uBoot() bool { return strings.HasPrefix(m.Arch.String(), "uboot-") }
func (m *Machine) bios() bool  { return m.Arch.String() == "bios" }
func (m *Machine) pi() bool    { return m.Arch == netboot.ArchRPi }

// class is the vendor class: option 60, and the text of 16 in DHCPv6.
func (m *Machine) class() string {
	client, undi := "PXEClient", "003000" // OVMF and AAVMF
	switch {
	case m.VendorClass != "" || m.Firmware == netboot.FirmwareNone:
		return m.VendorClass
	case m.Firmware == netboot.FirmwareHTTP:
		client = "HTTPClient"
	case m.Firmware == netboot.FirmwareIPXE && m.bios(), m.bios(), m.pi() && !m.V6:
		undi = "002001"
	case m.Firmware == netboot.FirmwareIPXE:
		undi = "003010"
	case m.uBoot() && m.Arch.String() == "uboot-arm32":
		return "U-Boot.armv7"
	case m.uBoot():
		return "U-Boot.armv8"
	}
	return fmt.Sprintf("%s:Arch:%05d:UNDI:%s", client, m.code(), undi)
}

// code is what the machine claims to be: a Raspberry Pi's ROM says that it is an x86 BIOS.
func (m *Machine) code() netboot.Arch {
	if m.pi() && !m.V6 && m.Firmware == netboot.FirmwarePXE {
		return netboot.ArchBIOS
	}
	return m.Arch
}

// undi is option 94, and 62 of DHCPv6: type and version of the firmware's network interface.
func (m *Machine) undi() []byte {
	switch {
	case m.Firmware != netboot.FirmwareIPXE && m.uBoot():
		return []byte{1, 0, 0}
	case m.bios() || m.pi():
		return []byte{1, 2, 1}
	case m.Firmware == netboot.FirmwareIPXE:
		return []byte{1, 3, 10}
	}
	return []byte{1, 3, 0}
}

// guid is the UUID as it lies in memory, which is how EDK2 and iPXE send it.
func guid(u netboot.UUID) []byte {
	return []byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

// features is option 175 as iPXE sends it: the card's bus, each feature with its version, and iPXE's own.
func (m *Machine) features() []byte {
	b := []byte{177, 5, 1, 0x80, 0x86, 0x10, 0x0e}
	for code := byte(16); code < 64; code++ {
		if m.Features.Has(1 << code) {
			b = append(b, code, 1, 1)
		}
	}
	return append(b, 235, 3, 2, 0, 0)
}

// cut is a text as far as an option holds it.
func cut(s string, most int) []byte { return []byte(s[:min(len(s), most)]) }
