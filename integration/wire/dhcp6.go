package wire

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Message6 is a DHCPv6 message on a client's own link.
type Message6 struct {
	At       time.Time
	From, To netip.AddrPort
	Type     string // SOLICIT, ADVERTISE, ...
	Exchange dhcpv6.TransactionID
	// Lent are the addresses (as prefixes of 128 bits) and prefixes that have a lifetime, in the order of the message.
	Lent []netip.Prefix
	// What a client says of itself.
	Client string // its DUID, as on the wire
	Arch   int    // option 61, -1 where absent
	IPXE   bool
	// File is what a server answers in option 59.
	File string
}

// read6 tells what the machine with the given hardware address said in DHCPv6 and what it was told, in order.
func read6(frames []Frame, machine net.HardwareAddr) (messages []Message6) {
	var eth layers.Ethernet
	var ip layers.IPv6
	var udp layers.UDP
	var payload gopacket.Payload
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip, &udp, &payload)
	parser.IgnoreUnsupported = true
	var decoded []gopacket.LayerType
	for _, f := range frames {
		_ = parser.DecodeLayers(f.Data, &decoded) // as in Read
		own := bytes.Equal(eth.SrcMAC, machine) || bytes.Equal(eth.DstMAC, machine)
		if !own || last(decoded, layers.LayerTypeUDP) == 0 {
			continue
		}
		from, _ := netip.AddrFromSlice(ip.SrcIP)
		to, _ := netip.AddrFromSlice(ip.DstIP)
		m := Message6{At: f.At, From: netip.AddrPortFrom(from, uint16(udp.SrcPort)), To: netip.AddrPortFrom(to, uint16(udp.DstPort))}
		if m.read(udp.Payload) {
			messages = append(messages, m)
		}
	}
	return messages
}

// read is false for what is no message of a client or a server.
func (m *Message6) read(b []byte) bool {
	if m.From.Port() != dhcpv6.DefaultClientPort && m.To.Port() != dhcpv6.DefaultClientPort {
		return false
	}
	d, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		return false
	}
	m.Type, m.Exchange = strings.ToUpper(d.MessageType.String()), d.TransactionID
	m.File, m.Arch = d.Options.BootFileURL(), -1
	if id := d.Options.ClientID(); id != nil {
		m.Client = string(id.ToBytes())
	}
	if archs := d.Options.ArchTypes(); len(archs) > 0 {
		m.Arch = int(archs[0])
	}
	for _, class := range d.Options.UserClasses() {
		m.IPXE = m.IPXE || string(class) == "iPXE"
	}
	for _, o := range d.Options.Options {
		switch o := o.(type) {
		case *dhcpv6.OptIANA:
			for _, a := range o.Options.Addresses() {
				if ip, ok := netip.AddrFromSlice(a.IPv6Addr); ok && a.ValidLifetime > 0 {
					m.Lent = append(m.Lent, netip.PrefixFrom(ip, 128))
				}
			}
		case *dhcpv6.OptIAPD:
			for _, p := range o.Options.Prefixes() {
				if p.Prefix == nil || p.ValidLifetime == 0 {
					continue
				}
				bits, _ := p.Prefix.Mask.Size()
				if ip, ok := netip.AddrFromSlice(p.Prefix.IP); ok {
					m.Lent = append(m.Lent, netip.PrefixFrom(ip, bits))
				}
			}
		}
	}
	return true
}
