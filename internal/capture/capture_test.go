package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/coredhcp-netboot/suite/internal/capture"
)

const payload = "a request"

// ipPacket is a UDP datagram from a client without an address.
func ipPacket(t testing.TB, port layers.UDPPort) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4zero.To4(), DstIP: net.IPv4bcast.To4()}
	udp := &layers.UDP{SrcPort: 68, DstPort: port}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// links are the same datagram on the links that it is captured on.
func links(t testing.TB) map[string]struct {
	link  uint32
	frame []byte
} {
	ip := ipPacket(t, 67)
	type framed = struct {
		link  uint32
		frame []byte
	}
	macs := make([]byte, 12)
	return map[string]framed{
		"Ethernet":       {1, slices.Concat(macs, []byte{8, 0}, ip)},
		"VLAN":           {1, slices.Concat(macs, []byte{0x81, 0, 0, 7, 8, 0}, ip)},
		"QinQ":           {1, slices.Concat(macs, []byte{0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0}, ip)},
		"tcpdump -i any": {113, slices.Concat([]byte{0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}, ip)},
		"SLL2":           {276, slices.Concat([]byte{8, 0}, make([]byte, 18), ip)},
		"raw":            {101, ip},
		"raw of BSD":     {12, ip},
		"IPv4":           {228, ip},
		"loopback":       {0, slices.Concat([]byte{2, 0, 0, 0}, ip)},
	}
}

func pcap(order binary.ByteOrder, magic, link uint32, frames ...[]byte) []byte {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, order, v)
		}
	}
	put(magic, uint16(2), uint16(4), uint32(0), uint32(0), uint32(65535), link)
	for i, f := range frames {
		put(uint32(1000+i), uint32(500), uint32(len(f)), uint32(len(f)))
		b.Write(f)
	}
	return b.Bytes()
}

func read(b []byte) (list []capture.Datagram, err error) {
	err = capture.Read(bytes.NewReader(b), func(d capture.Datagram) error {
		list = append(list, d)
		return nil
	})
	return list, err
}

func TestADatagramIsFoundOnEveryUsualLink(t *testing.T) {
	for name, l := range links(t) {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			got, err := read(pcap(order, 0xa1b2c3d4, l.link, l.frame))
			if err != nil || len(got) != 1 || string(got[0].Payload) != payload || got[0].To.Port() != 67 || got[0].From.String() != "0.0.0.0:68" {
				t.Errorf("%s, %s: %v, %v", name, order, got, err)
			}
		}
	}
}

func TestTimesAreReadInEachResolution(t *testing.T) {
	frame := links(t)["Ethernet"].frame
	for magic, want := range map[uint32]time.Duration{0xa1b2c3d4: 500 * time.Microsecond, 0xa1b23c4d: 500} {
		got, err := read(pcap(binary.LittleEndian, magic, 1, frame))
		if err != nil || len(got) != 1 || !got[0].At.Equal(time.Unix(1000, int64(want))) {
			t.Errorf("%x: %v, %v", magic, got, err)
		}
	}
}

func TestPcapngIsReadWithItsInterfacesAndTimes(t *testing.T) {
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := w.AddInterface(pcapgo.NgInterface{Name: "tun0", LinkType: layers.LinkTypeRaw, SnapLength: 0, TimestampResolution: 9})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1764000000, 123456000)
	for i, frame := range [][]byte{links(t)["Ethernet"].frame, links(t)["raw"].frame} {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame), Length: len(frame), InterfaceIndex: i * raw}, frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := read(b.Bytes())
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, d := range got {
		if string(d.Payload) != payload || d.At.Sub(at).Abs() > time.Microsecond {
			t.Errorf("%+v", d)
		}
	}
}

func TestOnlyDHCPIsTaken(t *testing.T) {
	macs := append(make([]byte, 12), 8, 0)
	got, err := read(pcap(binary.LittleEndian, 0xa1b2c3d4, 1, slices.Concat(macs, ipPacket(t, 53)), slices.Concat(macs, ipPacket(t, 4011)), []byte("noise")))
	if err != nil || len(got) != 2 { // from port 68 both are
		t.Errorf("%v, %v", got, err)
	}
}

func TestAFileThatEndsEarlyIsReadUpToThere(t *testing.T) {
	frame := links(t)["Ethernet"].frame
	whole := pcap(binary.LittleEndian, 0xa1b2c3d4, 1, frame, frame)
	for cut := range len(frame) + 16 {
		got, err := read(whole[:len(whole)-cut])
		switch {
		case cut == 0 && (err != nil || len(got) != 2), cut > 0 && (!errors.Is(err, capture.ErrCut) || len(got) != 1):
			t.Fatalf("without %d bytes: %d, %v", cut, len(got), err)
		}
	}
}

func TestHostileFilesAreRefusedBeforeTheyCostMemory(t *testing.T) {
	huge := pcap(binary.LittleEndian, 0xa1b2c3d4, 1, []byte("x"))
	binary.LittleEndian.PutUint32(huge[24+8:], 0xfffffff0)
	section := []byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0}
	block := func(kind, size uint32, body ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(bytes.Clone(section), kind)
		return append(binary.LittleEndian.AppendUint32(b, size), body...)
	}
	for want, file := range map[string][]byte{
		"has a packet of 4294967280 bytes":                        huge,
		"has a block of 4294967292 bytes":                         block(6, 0xfffffffc),
		"has a block of 5 bytes, which the format does not allow": block(6, 5),
		"has a packet without its interface":                      block(6, 32, make([]byte, 24)...),
		"describes an interface in too few bytes":                 block(1, 12, 12, 0, 0, 0),
		"ends in the middle of a packet":                          block(99, 0xfffffff0, 1, 2),
		"has a section without its byte order":                    append(bytes.Clone(section[:8]), 1, 2, 3, 4),
		"was taken on a link of type 147":                         pcap(binary.LittleEndian, 0xa1b2c3d4, 147, []byte("x")),
		"is neither pcap nor pcapng":                              []byte("#!ipxe"),
		"is no capture":                                           nil,
	} {
		if _, err := read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

func FuzzReadTakesAnyBytes(f *testing.F) {
	for _, l := range links(f) {
		f.Add(pcap(binary.LittleEndian, 0xa1b2c3d4, l.link, l.frame, l.frame))
	}
	var b bytes.Buffer
	if w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet); err == nil {
		frame := links(f)["Ethernet"].frame
		_ = w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(frame), Length: len(frame)}, frame)
		_ = w.Flush()
	}
	f.Add(b.Bytes())
	if real, err := os.ReadFile("../../cmd/netbootctl/testdata/explain/real-clients.pcap"); err == nil {
		f.Add(real[:4096])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, _ := read(file)
		for _, d := range got {
			if len(d.Payload) > len(file) {
				t.Errorf("%d bytes came out of %d", len(d.Payload), len(file))
			}
		}
	})
}
