package netboot

import (
	"net/netip"
)

// Limits of the fields that carry a boot file.
const (
	// MaxHeaderFile is what the DHCPv4 header's `file` holds with its NUL. A longer name goes into option 67 only: cut
	// short it would be another name, and iPXE, shim and U-Boot look at `file` first.
	MaxHeaderFile = 127
	// MaxFile is what one option 67 holds with its NUL. Firmware reads only the first of two (RFC 3396 is not in EDK2
	// or iPXE).
	MaxFile = 254
	// MaxServerName is what the DHCPv4 header's `sname` holds with its NUL.
	MaxServerName = 63
)

// Profile is a set of fields that one family of machines wants.
type Profile uint8

// The profiles.
const (
	ProfileNone Profile = iota
	// ProfileRaspberryPi lets the boot ROM of a Pi 2 or 3, and the EEPROM of a Pi 4 or 5, take the offer: it looks for
	// the text "Raspberry Pi Boot" in option 43, takes the server's address from option 66 and asks for files of fixed
	// names.
	ProfileRaspberryPi
	// ProfileFast spares UEFI firmware beside another DHCP server the second request, to port 4011. EDK2 from before April
	// 2017 drops such an offer (its commit 8cdd559be6).
	ProfileFast
)

// Mode is the part that this server plays on its network.
type Mode uint8

// The modes.
const (
	ModeFull  Mode = iota // it gives the address and the boot file
	ModeProxy             // it gives the boot file alone, beside the server that gives the address (ProxyDHCP)
)

// Option is one DHCP option, encoded.
type Option struct {
	Code  uint16
	Value []byte
}

// Answer is what a client is told: immutable, and complete, so that OFFER and ACK of a boot are alike.
type Answer struct {
	Mode       Mode       // with the next two it decides options 43, 60 and 175
	Arch       Arch       // whom it is for
	Firmware   Firmware   // whom it is for
	Server     netip.Addr // siaddr and option 66
	ServerName string     // sname, at most MaxServerName bytes
	File       string     // a TFTP name or a URL, at most MaxFile bytes; for DHCPv6 a URL
	Profile    Profile
	Menu       *Menu    // instead of a file: a choice of them; for PXE firmware and ModeProxy only
	Item       BootItem // the menu's item that the file is for; the zero value: none was chosen
	Options    []Option // further options, of the client's DHCP family
	IPXE       []byte   // value of option 175, only told to iPXE
	Because    string   // the rule that gave it: boot.yml:41
}

// vendorRaspberryPi is option 43 as a Pi's ROM accepts it: discovery control 3, menu prompt "PXE", and a boot menu
// whose one entry is named "Raspberry Pi Boot" (captured from a working setup).
var vendorRaspberryPi = append([]byte{6, 1, 3, 10, 4, 0, 'P', 'X', 'E', 9, 20, 0, 0, 17}, append([]byte("Raspberry Pi Boot"), 255)...)
