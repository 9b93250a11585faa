package probe

import (
	"errors"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// datagram is a UDP packet with the hardware addresses that carried it.
type datagram struct {
	hwFrom, hwTo net.HardwareAddr
	from, to     netip.AddrPort
	payload      []byte
}

var (
	hwBroadcast = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	hwServers6  = []byte{0x33, 0x33, 0, 1, 0, 2} // of ff02::1:2
	hwUnknown   = []byte{0, 0, 0, 0, 0, 0}
)

// frame is the datagram as it goes on the wire.
func (d *datagram) frame() ([]byte, error) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(d.from.Port()), DstPort: layers.UDPPort(d.to.Port())}
	eth := &layers.Ethernet{SrcMAC: d.hwFrom, DstMAC: d.hwTo, EthernetType: layers.EthernetTypeIPv4}
	if d.from.Addr().Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: d.from.Addr().AsSlice(), DstIP: d.to.Addr().AsSlice()}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
		return serialized(eth, ip, udp, gopacket.Payload(d.payload))
	}
	eth.EthernetType = layers.EthernetTypeIPv6
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolUDP, SrcIP: d.from.Addr().AsSlice(), DstIP: d.to.Addr().AsSlice()}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	return serialized(eth, ip, udp, gopacket.Payload(d.payload))
}

func serialized(parts ...gopacket.SerializableLayer) ([]byte, error) {
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...)
	return b.Bytes(), err
}

// heard is what a frame holds for the machine; at most one field is set.
type heard struct {
	udp       *datagram
	arp       *layers.ARP
	neighbour *solicitation
}

// solicitation asks who has an IPv6 address.
type solicitation struct {
	hwFrom         net.HardwareAddr
	source, target netip.Addr
}

var errNotOurs = errors.New("nothing for the machine")

// read takes a frame apart. Checksums are not looked at: between interfaces of one host they are not there yet, and a
// card drops the frames whose checksum is wrong.
func read(frame []byte) (h heard, err error) {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true, Lazy: true})
	eth, ok := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if !ok {
		return h, errNotOurs
	}
	if arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		if len(arp.SourceHwAddress) != 6 || len(arp.SourceProtAddress) != 4 || len(arp.DstProtAddress) != 4 {
			return h, errNotOurs
		}
		h.arp = arp
		return h, nil
	}
	var from, to netip.Addr
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		from, to = addrOf(ip.SrcIP), addrOf(ip.DstIP)
	case *layers.IPv6:
		from, to = addrOf(ip.SrcIP), addrOf(ip.DstIP)
	}
	if !from.IsValid() || !to.IsValid() {
		return h, errNotOurs
	}
	if ns, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation); ok {
		h.neighbour = &solicitation{hwFrom: eth.SrcMAC, source: from, target: addrOf(ns.TargetAddress)}
		return h, nil
	}
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || p.ErrorLayer() != nil {
		return h, errNotOurs
	}
	h.udp = &datagram{
		hwFrom: append(net.HardwareAddr(nil), eth.SrcMAC...), hwTo: eth.DstMAC,
		from: netip.AddrPortFrom(from, uint16(udp.SrcPort)), to: netip.AddrPortFrom(to, uint16(udp.DstPort)),
		payload: append([]byte(nil), udp.Payload...),
	}
	return h, nil
}

// addrOf is invalid where the packet ended before the address.
func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}

// arpFrame asks who has an address (op 1), or tells who asked (op 2).
func arpFrame(op uint16, hwFrom, hwTo net.HardwareAddr, from, to netip.Addr) ([]byte, error) {
	outer, inner := hwTo, hwTo
	if op == layers.ARPRequest { // hwTo is what is asked for
		outer, inner = hwBroadcast, hwUnknown
	}
	return serialized(
		&layers.Ethernet{SrcMAC: hwFrom, DstMAC: outer, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
			SourceHwAddress: hwFrom, SourceProtAddress: from.AsSlice(), DstHwAddress: inner, DstProtAddress: to.AsSlice()})
}

// advertFrame answers an IPv6 neighbour's question.
func advertFrame(hwFrom net.HardwareAddr, ns *solicitation) ([]byte, error) {
	to := ns.source
	if to.IsUnspecified() {
		to = netip.IPv6LinkLocalAllNodes()
	}
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: ns.target.AsSlice(), DstIP: to.AsSlice()}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	return serialized(
		&layers.Ethernet{SrcMAC: hwFrom, DstMAC: ns.hwFrom, EthernetType: layers.EthernetTypeIPv6}, ip, icmp,
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: ns.target.AsSlice(), // solicited, override
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hwFrom}}})
}
