package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Link types that gopacket has no number for, or another one.
const (
	linkRaw12  = 12
	linkRaw14  = 14
	linkSLL2   = 276
	headerSLL2 = 20
)

// ports are those of DHCPv4, DHCPv6 and of PXE's boot servers.
var ports = []uint16{67, 68, 546, 547, 4011}

// frame looks for a DHCP datagram in one packet. What is none of IP, or cut short, is passed over.
func (f *file) frame(link uint32, at time.Time, data []byte) error {
	first, data, err := decoder(link, data)
	if err != nil || first == nil {
		return err
	}
	p := gopacket.NewPacket(data, first, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || !slices.Contains(ports, uint16(udp.DstPort)) && !slices.Contains(ports, uint16(udp.SrcPort)) {
		return nil
	}
	d := Datagram{At: at, Payload: slices.Clone(udp.Payload)}
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		d.From, d.To = addrPort(ip.SrcIP, uint16(udp.SrcPort)), addrPort(ip.DstIP, uint16(udp.DstPort))
	case *layers.IPv6:
		d.From, d.To = addrPort(ip.SrcIP, uint16(udp.SrcPort)), addrPort(ip.DstIP, uint16(udp.DstPort))
	}
	return f.each(d)
}

func addrPort(ip []byte, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}

// decoder is what a packet of a link begins with; nil: nothing that can hold DHCP.
func decoder(link uint32, data []byte) (gopacket.Decoder, []byte, error) {
	switch link {
	case linkRaw12, linkRaw14, uint32(layers.LinkTypeRaw):
		return layers.LinkTypeRaw, data, nil
	case uint32(layers.LinkTypeIPv4):
		return layers.LayerTypeIPv4, data, nil
	case uint32(layers.LinkTypeIPv6):
		return layers.LayerTypeIPv6, data, nil
	case linkSLL2: // "tcpdump -i any": the protocol, and 18 bytes more
		if len(data) < headerSLL2 {
			return nil, nil, nil
		}
		return layers.EthernetType(binary.BigEndian.Uint16(data)), data[headerSLL2:], nil
	case uint32(layers.LinkTypeNull), uint32(layers.LinkTypeEthernet), uint32(layers.LinkTypePPP), uint32(layers.LinkTypeLoop),
		uint32(layers.LinkTypeLinuxSLL), uint32(layers.LinkTypeIEEE802_11), uint32(layers.LinkTypeIEEE80211Radio):
		return layers.LinkType(link), data, nil
	}
	return nil, nil, fmt.Errorf("was taken on a link of type %d, which is not known here; capture on an Ethernet interface", link)
}
