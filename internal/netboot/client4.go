package netboot

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Options of DHCPv4 by number, where the library has no constant that reads better.
const (
	optVendor43  = 43
	optClass60   = 60
	optServer66  = 66
	optFile67    = 67
	optUser77    = 77
	optType53    = 53
	optServer54  = 54
	optClient61  = 61
	optRelay82   = 82
	optArch93    = 93
	optUUID97    = 97
	optBootSize  = 13
	optOverload  = 52
	subCircuitID = 1
	subRemoteID  = 2
)

func option4(m *dhcpv4.DHCPv4, code uint8) []byte { return m.Options[code] }

// Type4 is m.MessageType, which builds a reader for its one byte.
func Type4(m *dhcpv4.DHCPv4) dhcpv4.MessageType {
	if v := option4(m, optType53); len(v) == 1 {
		return dhcpv4.MessageType(v[0])
	}
	return dhcpv4.MessageTypeNone
}

// Server4 is the server that m is from, by option 54; invalid: it does not say.
func Server4(m *dhcpv4.DHCPv4) netip.Addr {
	if v := option4(m, optServer54); len(v) == 4 {
		return netip.AddrFrom4([4]byte(v))
	}
	return netip.Addr{}
}

// Client4 reads a DHCPv4 request. It fails only on a message that no client sends.
func Client4(req *dhcpv4.DHCPv4) (Client, error) {
	if req.OpCode != dhcpv4.OpcodeBootRequest {
		return Client{}, errors.New("is a reply, not a request")
	}
	c := Client{
		MAC:         MACFrom(req.ClientHWAddr),
		VendorClass: text(option4(req, optClass60)),
		Hostname:    text(req.Options.Get(dhcpv4.OptionHostName)),
		UserClasses: userClasses4(option4(req, optUser77)),
		Relay:       relay4(req),
	}
	features := option4(req, OptionIPXE)
	ipxe := len(features) > 0
	for _, class := range c.UserClasses {
		ipxe = ipxe || isIPXEClass(class)
	}
	if len(features) > 0 {
		c.Features, c.FeaturesKnown = featuresFrom(features), true
	}
	arch := option4(req, optArch93)
	c.classify(arch, len(arch) > 0, ipxe)
	c.Item, _ = bootItemFrom(option4(req, optVendor43))
	c.UUID = uuid4(option4(req, optUUID97), c.VendorClass)
	if isPi(&c, option4(req, optUUID97)) {
		c.Arch, c.ArchBy = ArchRPi, ArchByPi
	}
	if c.Firmware == FirmwareNone {
		prl := req.Options.Get(dhcpv4.OptionParameterRequestList)
		c.Asks = bytes.IndexByte(prl, optServer66) >= 0 || bytes.IndexByte(prl, optFile67) >= 0
	}
	return c, nil
}

// Bounds of what a client's words may be. A DHCPv4 option holds 255 bytes, but the library joins options that are sent
// several times (RFC 3396), which no firmware does.
const (
	maxText    = 255
	maxClasses = 16
)

// text is a string option without the NULs that some clients count in.
func text(b []byte) string { return strings.TrimRight(string(b[:min(len(b), maxText)]), "\x00") }

// userClasses4 reads option 77. RFC 3004 wants a length before each class; iPXE and Microsoft's clients send the text
// bare, so the value as a whole counts as a class too.
func userClasses4(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	b = b[:min(len(b), maxText)]
	classes := []string{text(b)}
	for rest := b; len(rest) > 0 && len(classes) <= maxClasses; {
		n := int(rest[0])
		if n == 0 || n >= len(rest) {
			return classes[:1] // not framed
		}
		classes = append(classes, text(rest[1:1+n]))
		rest = rest[1+n:]
	}
	return classes
}

// uuid4 reads option 97: a type of 0 and 16 bytes, little-endian from EDK2, iPXE and vendors' ROMs, plain from U-Boot.
func uuid4(b []byte, class string) UUID {
	switch {
	case len(b) != 17 || b[0] != 0:
		return UUID{}
	case strings.HasPrefix(class, "U-Boot"):
		return UUID(b[1:])
	}
	return uuidLittleEndian(b[1:])
}

func relay4(req *dhcpv4.DHCPv4) (r Relay) {
	if gw, ok := netip.AddrFromSlice(req.GatewayIPAddr.To4()); ok && !gw.IsUnspecified() {
		r.Addr = gw
	}
	agent := req.RelayAgentInfo()
	if agent == nil {
		return r
	}
	r.CircuitID = string(agent.Get(dhcpv4.GenericOptionCode(subCircuitID)))
	r.RemoteID = string(agent.Get(dhcpv4.GenericOptionCode(subRemoteID)))
	return r
}

// piPrefixes are Raspberry Pi's vendor prefixes.
var piPrefixes = [][]byte{
	{0xb8, 0x27, 0xeb}, {0xdc, 0xa6, 0x32}, {0xe4, 0x5f, 0x01}, {0xd8, 0x3a, 0xdd}, {0x2c, 0xcf, 0x67}, {0x28, 0xcd, 0xc1},
}

const uuidPi3 = "DDDDDDDDDDDDDDDD"

// isPi tells a Raspberry Pi's own boot ROM or EEPROM, which claims to be an x86 BIOS. The ROM of the Pi 2 and 3 sends
// 16 times 0x44 as UUID, the EEPROM of the Pi 4 and 5 one that begins with "RPi". UEFI, U-Boot or iPXE on a Pi tell
// their own architecture and are left alone.
func isPi(c *Client, uuid []byte) bool {
	if c.Firmware != FirmwarePXE || c.Arch != ArchBIOS && c.Arch != ArchRPi && c.Arch != ArchUnknown ||
		strings.HasPrefix(c.VendorClass, "U-Boot") {
		return false
	}
	return fromPi(c.MAC, uuid)
}

// fromPi tells whether a Raspberry Pi's hardware sent this.
func fromPi(mac MAC, uuid []byte) bool {
	if len(uuid) == 17 && uuid[0] == 0 &&
		(string(uuid[1:]) == uuidPi3 || bytes.HasPrefix(uuid[1:], []byte("RPi"))) {
		return true
	}
	for _, p := range piPrefixes {
		if mac.HasPrefix(p) {
			return true
		}
	}
	return false
}

// IsPiROM4 tells the boot ROM or EEPROM of a Raspberry Pi, which takes an OFFER for its lease and sends no REQUEST. For all
// other machines it is cheap.
func IsPiROM4(req *dhcpv4.DHCPv4) bool {
	class := option4(req, optClass60)
	if !bytes.HasPrefix(class, []byte("PXEClient")) || !fromPi(MACFrom(req.ClientHWAddr), option4(req, optUUID97)) &&
		archFromOption(option4(req, optArch93)) != ArchRPi && archFromVendorClass(text(class)) != ArchRPi {
		return false
	}
	c, err := Client4(req)
	return err == nil && c.Arch == ArchRPi && c.Firmware == FirmwarePXE
}
