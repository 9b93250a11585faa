// Package wire watches a cable and tells what was said on it: the DHCP messages of one machine, its TFTP and HTTP
// transfers, and when. It decodes by itself and shares nothing with the servers it watches, because a referee that
// uses a player's eyes sees the player's mistakes as correct.
package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sort"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Protocol is what a file travelled by.
type Protocol string

// The protocols that boot firmware fetches files by.
const (
	TFTP Protocol = "TFTP"
	HTTP Protocol = "HTTP"
)

// Trace is everything that one machine said and was told, each part in the order it happened.
type Trace struct {
	DHCP      []Message
	DHCP6     []Message6
	Transfers []Transfer
}

// Transfer is one request for a file and what became of it.
type Transfer struct {
	Protocol Protocol
	Method   string // RRQ, GET, HEAD
	Name     string // as asked: ipxe.efi, /boot.ipxe
	Start    time.Time
	End      time.Time // the last packet that belongs to it
	Size     int64     // of the file, as the server announced it; -1 if it did not
	Received int64     // bytes of the file that passed, repetitions not counted
	Whole    bool      // all of it passed, and for TFTP the client confirmed the last block
	Status   int       // HTTP's status; 0 for TFTP or before an answer
	Error    string    // TFTP: the error that ended it, "client 8 User aborted" or "server 1 not found"
	Options  string    // TFTP: the options asked for, "blksize=1468 tsize=0"
	Granted  string    // TFTP: the options that the server agreed to, likewise
	Probe    bool      // the client only wanted to know the size
}

// The ports on which files are asked for.
const (
	tftpPort = 69
	httpPort = 8080
)

// packet is an IPv4 datagram or segment, as far as it matters here.
type packet struct {
	at       time.Time
	from, to netip.AddrPort
	tcp      *layers.TCP // nil for UDP
	payload  []byte
}

// Read tells the story of the machine with the given hardware address.
func Read(frames []Frame, machine net.HardwareAddr) Trace {
	var messages []Message
	tftp := newTFTPWatch()
	http := newHTTPWatch()
	var eth layers.Ethernet
	var ip layers.IPv4
	var udp layers.UDP
	var tcp layers.TCP
	var payload gopacket.Payload
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip, &udp, &tcp, &payload)
	parser.IgnoreUnsupported = true
	var decoded []gopacket.LayerType
	for _, f := range frames {
		// A frame that does not parse is not one of ours; the machine's own fate shows what it was worth.
		_ = parser.DecodeLayers(f.Data, &decoded)
		if !mine(eth, machine) {
			continue
		}
		switch p := (packet{at: f.At}); last(decoded, layers.LayerTypeUDP, layers.LayerTypeTCP) {
		case layers.LayerTypeUDP:
			p.from, p.to = ends(ip, uint16(udp.SrcPort), uint16(udp.DstPort))
			p.payload = udp.Payload
			if m, ok := readDHCP(p); ok {
				if m.machine == machine.String() {
					messages = append(messages, m)
				}
				continue
			}
			tftp.see(p)
		case layers.LayerTypeTCP:
			p.from, p.to = ends(ip, uint16(tcp.SrcPort), uint16(tcp.DstPort))
			p.payload = tcp.Payload
			p.tcp = &tcp
			http.see(p)
		}
	}
	t := Trace{DHCP: messages, DHCP6: read6(frames, machine), Transfers: append(tftp.transfers(), http.transfers()...)}
	sort.SliceStable(t.Transfers, func(i, j int) bool { return t.Transfers[i].Start.Before(t.Transfers[j].Start) })
	return t
}

// mine reports whether the machine sent the frame or may have received it.
func mine(eth layers.Ethernet, machine net.HardwareAddr) bool {
	const group = 1 // the bit of the first octet that marks broadcast and multicast
	to := eth.DstMAC
	return string(eth.SrcMAC) == string(machine) || string(to) == string(machine) ||
		len(to) == 6 && to[0]&group != 0
}

// last tells which of the wanted layers ended the decoding, or 0.
func last(decoded []gopacket.LayerType, wanted ...gopacket.LayerType) gopacket.LayerType {
	for _, d := range decoded {
		for _, w := range wanted {
			if d == w {
				return d
			}
		}
	}
	return 0
}

func ends(ip layers.IPv4, from, to uint16) (netip.AddrPort, netip.AddrPort) {
	src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
	dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
	return netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
}

func native(b []byte) int64 { return int64(binary.NativeEndian.Uint64(b)) }

// dhcpPorts are the ones that BOOTP and PXE use.
var dhcpPorts = map[uint16]bool{dhcpv4.ServerPort: true, dhcpv4.ClientPort: true, 4011: true}
