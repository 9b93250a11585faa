package server_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// patient bounds a wait for something that must happen.
const patient = 20 * time.Second

// station is a network card at the far end of the server's cable, which speaks and hears whole frames.
type station struct {
	t     *testing.T
	file  *os.File
	index int
	mac   net.HardwareAddr
}

func newStation(t *testing.T, space *nettest.Space, name string) *station {
	t.Helper()
	s := &station{t: t}
	must(t, space.Do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.file, s.index, s.mac = os.NewFile(uintptr(fd), name), ifi.Index, ifi.HardwareAddr
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: ifi.Index}) // ETH_P_IP
	}))
	t.Cleanup(func() { s.file.Close() })
	return s
}

// say sends a DHCP message in a frame to everybody.
func (s *station) say(from, to string, msg *dhcpv4.DHCPv4) {
	s.t.Helper()
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	must(s.t, udp.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	must(s.t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: s.mac, DstMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(msg.ToBytes())))
	_, err := s.file.Write(buf.Bytes())
	must(s.t, err)
}

// heard is a reply as it came over the wire.
type heard struct {
	*dhcpv4.DHCPv4
	way string // "source -> destination at MAC"
}

// hears waits for the reply to the transaction; false: there is none in that time.
func (s *station) hears(xid dhcpv4.TransactionID, patience time.Duration) (heard, bool) {
	s.t.Helper()
	must(s.t, s.file.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 2048)
	for {
		n, err := s.file.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return heard{}, false
		}
		if errors.Is(err, unix.ENETDOWN) {
			continue
		}
		must(s.t, err)
		p := gopacket.NewPacket(buf[:n], layers.LayerTypeEthernet, gopacket.Default)
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok {
			continue
		}
		resp, err := dhcpv4.FromBytes(udp.Payload)
		if err != nil || resp.OpCode != dhcpv4.OpcodeBootReply || resp.TransactionID != xid {
			continue
		}
		ip := p.NetworkLayer().(*layers.IPv4)
		s.checksums(buf[14 : 14+int(ip.Length)])
		to := p.LinkLayer().(*layers.Ethernet).DstMAC.String()
		return heard{resp, fmt.Sprintf("%s:%d -> %s:%d at %s", ip.SrcIP, udp.SrcPort, ip.DstIP, udp.DstPort, to)}, true
	}
}

// checksums checks those of an IP packet with a UDP datagram, a word at a time.
func (s *station) checksums(packet []byte) {
	s.t.Helper()
	sum := func(b []byte, acc uint32) uint32 {
		for ; len(b) > 1; b = b[2:] {
			acc += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			acc += uint32(b[0]) << 8
		}
		for acc > 0xffff {
			acc = acc>>16 + acc&0xffff
		}
		return acc
	}
	pseudo := sum(packet[12:20], 17+uint32(len(packet)-20))
	if header, datagram := sum(packet[:20], 0), sum(packet[20:], pseudo); header != 0xffff || datagram != 0xffff {
		s.t.Errorf("checksums of % x", packet)
	}
}

// insists asks again and again until there is a reply.
func (s *station) insists(from, to string, msg *dhcpv4.DHCPv4) heard {
	s.t.Helper()
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		s.say(from, to, msg)
		if h, ok := s.hears(msg.TransactionID, 300*time.Millisecond); ok {
			return h
		}
	}
	s.t.Fatal("nobody answers")
	return heard{}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
