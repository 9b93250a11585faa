package wire_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/integration/wire"
)

var (
	machine = net.HardwareAddr{0x52, 0x54, 0x00, 0x6c, 0x61, 0x01}
	other   = net.HardwareAddr{0x52, 0x54, 0x00, 0x6c, 0x61, 0x02}
	server  = net.HardwareAddr{0x52, 0x54, 0x00, 0x00, 0x00, 0x01}

	machineIP = net.IPv4(192, 0, 2, 100)
	serverIP  = net.IPv4(192, 0, 2, 1)
)

// cable collects frames, one each millisecond.
type cable struct {
	t      *testing.T
	frames []wire.Frame
}

func (c *cable) put(src, dst net.HardwareAddr, l ...gopacket.SerializableLayer) {
	c.t.Helper()
	eth := &layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: layers.EthernetTypeIPv4}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true}
	if err := gopacket.SerializeLayers(buf, opts, append([]gopacket.SerializableLayer{eth}, l...)...); err != nil {
		c.t.Fatal(err)
	}
	at := time.Unix(1000, 0).Add(time.Duration(len(c.frames)) * time.Millisecond)
	c.frames = append(c.frames, wire.Frame{At: at, Data: append([]byte(nil), buf.Bytes()...)})
}

// asks is a datagram from the machine to the server, tells one back.
func (c *cable) asks(from, to uint16, payload string) {
	c.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: machineIP, DstIP: serverIP}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	c.put(machine, server, ip, udp, gopacket.Payload(payload))
}

func (c *cable) tells(from, to uint16, payload string) {
	c.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: serverIP, DstIP: machineIP}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	c.put(server, machine, ip, udp, gopacket.Payload(payload))
}

// stream is a TCP segment, from the machine if fromMachine.
func (c *cable) stream(fromMachine bool, seq uint32, payload string) {
	c.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: serverIP, DstIP: machineIP}
	tcp := &layers.TCP{SrcPort: 8080, DstPort: 1024, Seq: seq, ACK: true}
	src, dst := server, machine
	if fromMachine {
		ip.SrcIP, ip.DstIP = machineIP, serverIP
		tcp.SrcPort, tcp.DstPort = 1024, 8080
		src, dst = machine, server
	}
	c.put(src, dst, ip, tcp, gopacket.Payload(payload))
}

func (c *cable) only() wire.Transfer {
	c.t.Helper()
	got := wire.Read(c.frames, machine).Transfers
	if len(got) != 1 {
		c.t.Fatalf("saw %d transfers, want 1: %+v", len(got), got)
	}
	return got[0]
}

func TestATFTPTransferIsWholeWhenItsLastBlockIsConfirmed(t *testing.T) {
	c := &cable{t: t}
	c.asks(2000, 69, "\x00\x01boot.ipxe\x00octet\x00blksize\x00512\x00tsize\x000\x00")
	c.tells(3000, 2000, "\x00\x06blksize\x00512\x00tsize\x00515\x00")
	c.asks(2000, 3000, "\x00\x04\x00\x00")
	c.tells(3000, 2000, "\x00\x03\x00\x01"+strings.Repeat("x", 512))
	c.asks(2000, 3000, "\x00\x04\x00\x01")
	c.tells(3000, 2000, "\x00\x03\x00\x01"+strings.Repeat("x", 512)) // sent again, must not count again
	c.tells(3000, 2000, "\x00\x03\x00\x02end")
	if got := c.only(); got.Whole || got.Received != 515 || got.Size != 515 || got.Name != "boot.ipxe" {
		t.Errorf("before the last confirmation: %+v", got)
	}
	c.asks(2000, 3000, "\x00\x04\x00\x02")
	if got := c.only(); !got.Whole || got.End.Sub(got.Start) != 7*time.Millisecond {
		t.Errorf("after it: %+v", got)
	}
}

func TestARefusedOACKIsAProbeForTheSizeAndNoFailure(t *testing.T) {
	c := &cable{t: t}
	c.asks(2000, 69, "\x00\x01ipxe.efi\x00octet\x00tsize\x000\x00blksize\x001468\x00")
	c.tells(3000, 2000, "\x00\x06tsize\x00850528\x00blksize\x001468\x00")
	c.asks(2000, 3000, "\x00\x05\x00\x08User aborted the transfer\x00")
	got := c.only()
	if !got.Probe || got.Whole || got.Size != 850528 || got.Error != "client 8 User aborted the transfer" {
		t.Errorf("%+v", got)
	}
}

func TestAMissingFileIsAnErrorOfTheServers(t *testing.T) {
	c := &cable{t: t}
	c.asks(2000, 69, "\x00\x01autoexec.ipxe\x00octet\x00")
	c.asks(2000, 69, "\x00\x01autoexec.ipxe\x00octet\x00") // asked again, before the answer
	c.tells(3000, 2000, "\x00\x05\x00\x01file not found\x00")
	if got := c.only(); got.Error != "server 1 file not found" || got.Probe || got.Whole {
		t.Errorf("%+v", got)
	}
}

func TestAnHTTPAnswerIsWholeWhenAllItsBytesPassed(t *testing.T) {
	c := &cable{t: t}
	c.stream(true, 1, "GET /boot.ipxe HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")
	c.stream(false, 1, "HTTP/1.1 200 OK\r\nContent-Le")
	c.stream(false, 27, "ngth: 10\r\n\r\n#!ipxe")
	c.stream(false, 27, "ngth: 10\r\n\r\n#!ipxe") // sent again, must not count again
	if got := c.only(); got.Whole || got.Status != 200 || got.Size != 10 || got.Received != 6 {
		t.Errorf("half way: %+v", got)
	}
	c.stream(false, 45, "exit")
	if got := c.only(); !got.Whole || got.Name != "/boot.ipxe" || got.Method != http.MethodGet {
		t.Errorf("at the end: %+v", got)
	}
}

func TestOnlyTheMachinesOwnMessagesAreHeard(t *testing.T) {
	c := &cable{t: t}
	discover := func(mac net.HardwareAddr, class dhcpv4.Option) string {
		d, err := dhcpv4.NewDiscovery(mac, dhcpv4.WithOption(class),
			dhcpv4.WithGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 7}))
		if err != nil {
			t.Fatal(err)
		}
		return string(d.ToBytes())
	}
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	say := func(mac net.HardwareAddr, payload string) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4zero, DstIP: net.IPv4bcast}
		c.put(mac, broadcast, ip, &layers.UDP{SrcPort: 68, DstPort: 67}, gopacket.Payload(payload))
	}
	say(other, discover(other, dhcpv4.OptUserClass("plain")))
	say(machine, discover(machine, dhcpv4.OptUserClass("iPXE")))
	say(machine, discover(machine, dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("\x04iPXE"))))

	got := wire.Read(c.frames, machine).DHCP
	if len(got) != 2 {
		t.Fatalf("heard %d messages, want 2: %v", len(got), got)
	}
	for _, m := range got {
		if m.Type != "DISCOVER" || !m.FromClient || !m.IPXE || m.Arch != 7 {
			t.Errorf("%+v", m)
		}
	}
}
