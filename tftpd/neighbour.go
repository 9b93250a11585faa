package tftpd

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Neighbour is the hardware address that the kernel knows for an address on one of this host's networks. It has just
// talked to who asks, so the entry is there; behind a router it is not known.
func Neighbour(a netip.Addr) (netboot.MAC, bool) {
	family := netlink.FAMILY_V4
	if a.Is6() {
		family = netlink.FAMILY_V6
	}
	link := 0 // any
	if a.Zone() != "" {
		l, err := netlink.LinkByName(a.Zone())
		if err != nil {
			return netboot.MAC{}, false
		}
		link = l.Attrs().Index
	}
	list, err := netlink.NeighList(link, family)
	if err != nil {
		return netboot.MAC{}, false
	}
	const useless = netlink.NUD_INCOMPLETE | netlink.NUD_FAILED | netlink.NUD_NOARP
	var found netboot.MAC
	for _, n := range list {
		ip, ok := netip.AddrFromSlice(n.IP)
		mac := netboot.MACFrom(n.HardwareAddr)
		switch {
		case !ok || ip.Unmap() != a.WithZone("") || n.State&useless != 0 || !mac.Known():
		case found.Known() && mac != found: // the same address on two networks: nobody can tell which
			return netboot.MAC{}, false
		default:
			found = mac
		}
	}
	return found, found.Known()
}
