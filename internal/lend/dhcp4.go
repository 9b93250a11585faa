// Package lend is what the plugins that lend addresses have in common: how leases are counted, and how a DHCPv4 message says
// what was decided.
package lend

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Owner is a machine's identity: its hardware address. ROM, iPXE and system of one machine send different client
// identifiers, and all of them are to have one address.
func Owner(htype uint8, mac []byte) string { return string(append([]byte{htype}, mac...)) }

// Addr is an IPv4 address of a message; invalid: it is none, or unspecified.
func Addr(b []byte) netip.Addr {
	a, ok := netip.AddrFromSlice(b)
	if a = a.Unmap(); !ok || !a.Is4() || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// MaxEcho bounds a client identifier: every reply must have it unaltered (RFC 6842 section 3), and in the 576 bytes that every
// client takes there is room for one option of full length beside what a lease needs, and not for two.
const MaxEcho = 255

// MeansUs tells whether the server that a client names is the one that the reply is from. One that is not told is us.
func MeansUs(req, resp *dhcpv4.DHCPv4) bool {
	meant, ours := netboot.Server4(req), netboot.Server4(resp)
	return !meant.IsValid() || meant.IsUnspecified() || !ours.IsValid() || meant == ours
}

// Refuse makes the reply a NAK, which tells the client to begin anew.
func Refuse(nak *dhcpv4.DHCPv4) {
	for code := range nak.Options {
		switch dhcpv4.GenericOptionCode(code) {
		case dhcpv4.GenericOptionCode(54), dhcpv4.GenericOptionCode(61), dhcpv4.GenericOptionCode(82):
		default:
			delete(nak.Options, code)
		}
	}
	nak.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
	nak.UpdateOption(dhcpv4.OptMessage("requested address not available"))
	nak.YourIPAddr, nak.ServerIPAddr, nak.ClientIPAddr = []byte{0, 0, 0, 0}, []byte{0, 0, 0, 0}, []byte{0, 0, 0, 0}
	nak.BootFileName, nak.ServerHostName = "", ""
	nak.SetBroadcast()
}
