package netboot

import (
	"net/netip"
	"slices"
	"strings"
)

// Firmware is what a client can fetch, and so the kind of answer it needs.
type Firmware uint8

// The kinds of firmware.
const (
	FirmwareNone Firmware = iota // an operating system or another plain DHCP client
	FirmwarePXE                  // fetches by TFTP
	FirmwareHTTP                 // UEFI HTTP boot: fetches by HTTP(S)
	FirmwareIPXE                 // fetches by TFTP and whatever its build has
)

var firmwareNames = []string{"none", "pxe", "http", "ipxe"}

// ParseFirmware reads a kind's name.
func ParseFirmware(s string) (Firmware, bool) {
	i := slices.Index(firmwareNames, s)
	return Firmware(max(i, 0)), i > 0
}

// String is the name that maps use.
func (f Firmware) String() string { return firmwareNames[f] }

// Client is who asks: all that one request tells about a machine. Text in it comes from the network and may be any
// bytes.
type Client struct {
	V6  bool // asked by DHCPv6
	MAC MAC
	// UUID is the SMBIOS UUID in text order: option 97, or a DUID-UUID.
	UUID UUID

	Arch   Arch
	ArchBy ArchSource

	Firmware Firmware
	// Asks is set for a client that is no boot firmware, yet requests a boot server or file (a switch or a phone that
	// provisions itself, GRUB, U-Boot without a class).
	Asks bool

	// Features are known for iPXE by DHCPv4 only: DHCPv6 has no option for them.
	Features      Features
	FeaturesKnown bool

	UserClasses []string // framed as RFC 3004 and RFC 8415 say, and for DHCPv4 the raw value too
	VendorClass string   // without trailing NULs
	Hostname    string
	Relay       Relay
	// Place is where a plugin that lends addresses found the client; the zero value: there is none.
	Place Place
	// Item is what the client chose from a PXE boot menu; the zero value: it did not choose.
	Item BootItem

	// What the reply holds so far. The reader of a request leaves them empty.
	IP    netip.Addr // the address that the client gets or has
	Local netip.Addr // our address on the client's side
}

// Relay is the agent that passed the request on.
type Relay struct {
	// Addr is giaddr, or the link-address nearest to the client that is one; invalid without a relay.
	Addr      netip.Addr
	CircuitID string // option 82.1, or the interface-id of DHCPv6
	RemoteID  string // option 82.2, or option 37 of DHCPv6 behind its enterprise number
}

// Boots tells whether the client wants to hear of a boot server or file at all.
func (c *Client) Boots() bool { return c.Firmware != FirmwareNone || c.Asks }

// Assume fills in the site's default for boot firmware that told no architecture.
func (c *Client) Assume(a Arch) {
	if c.ArchBy == ArchNotTold && c.Firmware != FirmwareNone {
		c.Arch, c.ArchBy = a, ArchByDefault
	}
}

// classify runs the ladder: option 93 or 61 for the CPU, the vendor class where it tells nothing, and the prefix of
// the vendor class for the protocol, since EDK2 looks at no more than that prefix in our reply.
func (c *Client) classify(option []byte, optionSent, ipxe bool) {
	c.Arch = archFromOption(option)
	c.ArchBy = ArchByOption
	if c.Arch == ArchUnknown {
		c.Arch, c.ArchBy = archFromVendorClass(c.VendorClass), ArchByVendorClass
	}
	if c.Arch == ArchUnknown {
		c.ArchBy = ArchNotTold
	}
	// U-Boot built without an architecture claims to be a BIOS; its vendor class knows better.
	if c.Arch == ArchBIOS && strings.HasPrefix(c.VendorClass, "U-Boot.armv") {
		c.Arch, c.ArchBy = archFromVendorClass(c.VendorClass), ArchByVendorClass
	}
	switch {
	case ipxe:
		c.Firmware = FirmwareIPXE
	case strings.HasPrefix(c.VendorClass, "HTTPClient"):
		c.Firmware = FirmwareHTTP
	case strings.HasPrefix(c.VendorClass, "PXEClient"):
		c.Firmware = FirmwarePXE
	case c.ArchBy == ArchByOption && c.Arch.HTTP():
		c.Firmware = FirmwareHTTP
	case optionSent || strings.HasPrefix(c.VendorClass, "U-Boot"):
		c.Firmware = FirmwarePXE
	}
}
