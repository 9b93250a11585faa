package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The options whose names the library lacks.
const (
	optionIPXE      = dhcpv4.GenericOptionCode(175)
	ipxeNoProxyDHCP = 176 // inside option 175
)

// Message is a DHCPv4 message, reduced to what decides a network boot.
type Message struct {
	At         time.Time
	From, To   netip.AddrPort
	Type       string // DISCOVER, OFFER, ...
	FromClient bool

	// What a client says of itself.
	Arch        int // option 93, -1 where absent
	IPXE        bool
	UserClass   string // option 77 as sent
	VendorClass string // option 60, of either side
	Broadcast   bool

	// What a server answers.
	Address    netip.Addr // yiaddr
	NextServer netip.Addr // siaddr
	ServerName string     // option 66
	File       string     // the header's file field, or option 67 where that is empty
	Options    map[uint8][]byte
	NoProxy    bool // iPXE is told not to wait for a ProxyDHCP server (175.176)

	// Exchange is the transaction id: an answer has that of its request.
	Exchange uint32

	machine string
}

// readDHCP reads a DHCPv4 message; ok is false for any other datagram.
func readDHCP(p packet) (m Message, ok bool) {
	if !dhcpPorts[p.from.Port()] && !dhcpPorts[p.to.Port()] {
		return Message{}, false
	}
	d, err := dhcpv4.FromBytes(p.payload)
	if err != nil {
		return Message{}, false
	}
	m = Message{
		At: p.at, From: p.from, To: p.to,
		Type:        strings.ToUpper(d.MessageType().String()),
		FromClient:  d.OpCode == dhcpv4.OpcodeBootRequest,
		Exchange:    binary.BigEndian.Uint32(d.TransactionID[:]),
		Arch:        -1,
		UserClass:   string(d.Options.Get(dhcpv4.OptionUserClassInformation)),
		VendorClass: text(d.Options.Get(dhcpv4.OptionClassIdentifier)),
		Broadcast:   d.IsBroadcast(),
		ServerName:  text(d.Options.Get(dhcpv4.OptionTFTPServerName)),
		File:        d.BootFileName,
		Options:     d.Options,
		machine:     d.ClientHWAddr.String(),
	}
	if v := d.Options.Get(dhcpv4.OptionClientSystemArchitectureType); len(v) >= 2 {
		m.Arch = int(binary.BigEndian.Uint16(v))
	}
	if m.File == "" {
		m.File = text(d.Options.Get(dhcpv4.OptionBootfileName))
	}
	// QEMU's ROM and ipxe.efi send the four letters bare; RFC 3004 wants a length before them.
	m.IPXE = m.UserClass == "iPXE" || m.UserClass == "\x04iPXE"
	m.Address, _ = netip.AddrFromSlice(d.YourIPAddr.To4())
	m.NextServer, _ = netip.AddrFromSlice(d.ServerIPAddr.To4())
	m.NoProxy = bytes.Contains(d.Options.Get(optionIPXE), []byte{ipxeNoProxyDHCP, 1, 1})
	return m, true
}

// text reads an option's text, which some write with a NUL at the end.
func text(v []byte) string { return strings.TrimRight(string(v), "\x00") }

// Has reports whether the message carries the option, whatever its value.
func (m Message) Has(option uint8) bool {
	_, has := m.Options[option]
	return has
}

// String is the message in one line, for a timeline.
func (m Message) String() string {
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if m.FromClient {
		if m.Arch >= 0 {
			say("%s (arch %d)", archName(m.Arch), m.Arch)
		}
		if m.UserClass != "" {
			say("user class %s", strings.TrimLeft(m.UserClass, "\x04"))
		}
		if m.VendorClass != "" {
			say("%s", m.VendorClass)
		}
		if m.Has(optionIPXE.Code()) && !m.IPXE {
			say("iPXE features")
		}
	} else {
		if m.Address.IsValid() && !m.Address.IsUnspecified() {
			say("%s", m.Address)
		}
		if m.File != "" {
			say("file %s", m.File)
			if !strings.Contains(m.File, "://") {
				say("from %s", m.NextServer)
			}
		}
		if m.VendorClass != "" {
			say("as %s", m.VendorClass)
		}
		if m.NoProxy {
			say("no ProxyDHCP wait")
		}
	}
	return strings.Join(words, "  ")
}

// archName names the architectures that the lab's machines have.
func archName(code int) string {
	switch code {
	case 0:
		return "BIOS"
	case 7, 9:
		return "UEFI x64"
	case 16:
		return "UEFI x64 HTTP"
	default:
		return "other"
	}
}
