package lab

import (
	"fmt"
	"path"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/integration/wire"
)

// judge6 holds a boot over IPv6 against what it must have been. That the files came whole is told by what they did: iPXE asks,
// and the script speaks.
func (l *Lab) judge6(b *Boot) []Check {
	k := b.Kind.traits()
	asked := make(map[dhcpv6.TransactionID]wire.Message6)
	var firmware, ipxe wire.Message6 // by which each was given its file
	first := -1
	for _, m := range b.Trace.DHCP6 {
		switch q := asked[m.Exchange]; {
		case m.Type != "REPLY" && m.Type != "ADVERTISE":
			asked[m.Exchange] = m
			if first < 0 {
				first = m.Arch // EDK2's IP stack may ask before, without one
			}
		case m.Type == "ADVERTISE" || m.File == "" || len(m.Lent) == 0:
		case q.IPXE:
			ipxe = m
		default:
			firmware = m
		}
	}
	return []Check{
		{What: fmt.Sprintf("the machine asks first as firmware of architecture %v", k.arch), OK: slices.Contains(k.arch, first), Note: fmt.Sprint(first)},
		{What: "the firmware is given an address and " + k.first, OK: path.Base(firmware.File) == k.first, Note: firmware.File},
		{What: "iPXE is given an address and its script, " + l.scriptURL(), OK: ipxe.File == l.scriptURL(), Note: ipxe.File},
		{What: "the script's last line is on the console", OK: !b.Done.IsZero()},
	}
}
