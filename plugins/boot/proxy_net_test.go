package boot_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// dhcpd is the program, built once.
var dhcpd = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "netboot-proxy-")
	if err != nil {
		return "", err
	}
	scratch.dirs = append(scratch.dirs, dir)
	cmd := exec.Command("go", "build", "-o", dir, "../../cmd/netboot-dhcpd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join(dir, "netboot-dhcpd"), nil
})

// scratch are directories to remove.
var scratch struct{ dirs []string }

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range scratch.dirs {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// site is a network with our server on it, and a station that plays every client, the relay and their frames.
type site struct {
	t      *testing.T
	server *nettest.Space
	socket *os.File // of the station, raw frames
	mac    net.HardwareAddr
	theirs net.HardwareAddr // the server's
}

// newSite runs netboot-dhcpd with this map in mode proxy. What before does in the server's namespace is done first.
func newSite(t *testing.T, text string, before func(*nettest.Space), flags ...string) *site {
	t.Helper()
	program, err := dhcpd()
	must(t, err)
	n := nettest.New(t)
	s := &site{t: t}
	s.server, err = n.Space("server")
	must(t, err)
	station, err := n.Space("station")
	must(t, err)
	must(t, s.server.Veth("eth1", station, "eth0"))
	must(t, s.server.Address("eth1", netip.MustParsePrefix("10.0.0.1/24")))
	for _, a := range []string{"10.0.0.150/24", "10.0.0.254/24"} { // the leased client's and the relay's; they answer ARP
		must(t, station.Address("eth0", netip.MustParsePrefix(a)))
	}
	must(t, s.server.IP("route", "add", "10.9.0.0/24", "via", "10.0.0.254"))
	must(t, s.server.Do(func() error {
		i, err := net.InterfaceByName("eth1")
		s.theirs = i.HardwareAddr
		return err
	}))
	must(t, station.Do(s.open))
	t.Cleanup(func() { s.socket.Close() })
	if before != nil {
		before(s.server)
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "boot.yml"), []byte(text), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "config.yml"), []byte("server4:\n  listen: [\"%eth1\", \"%eth1:4011\"]\n  plugins:\n    - boot: boot.yml\n"), 0o600))
	cmd := s.server.Command(program, append([]string{"-c", filepath.Join(dir, "config.yml"), "-L", "debug"}, flags...)...)
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("the server says:\n%s", b)
		}
		log.Close()
	})
	cmd.Stdout, cmd.Stderr = log, log
	p, err := s.server.Start(cmd)
	must(t, err)
	s.ready(p)
	return s
}

// knock is the transaction of requests that only find out whether the server answers.
const knock = 0xffffffff

// ready returns when requests to port 4011 are answered, which is opened last.
func (s *site) ready(p *nettest.Process) {
	s.t.Helper()
	message := asPXE(biosROM).bytes()
	binary.BigEndian.PutUint32(message[4:], knock)
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); {
		s.sends(message, netip.MustParseAddrPort("10.0.0.150:68"), netip.MustParseAddrPort(port4011))
		if _, err := s.listens(100 * time.Millisecond); err == nil {
			return
		}
		select {
		case <-p.Done():
			s.t.Fatalf("the server ended: %v", p.Err())
		default:
		}
	}
	s.t.Fatal("the server does not answer")
}

// open opens the station's socket.
func (s *site) open() error {
	i, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	s.mac = i.HardwareAddr
	const protocol = 0x0008 // IPv4, in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return err
	}
	s.socket = os.NewFile(uintptr(fd), "station")
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index})
}

// sends puts a request on the wire, as the client or relay would.
func (s *site) sends(message []byte, from, to netip.AddrPort) {
	s.t.Helper()
	eth := &layers.Ethernet{SrcMAC: s.mac, DstMAC: s.theirs, EthernetType: layers.EthernetTypeIPv4}
	if to.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		eth.DstMAC = layers.EthernetBroadcast
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	must(s.t, udp.SetNetworkLayerForChecksum(ip))
	b := gopacket.NewSerializeBuffer()
	must(s.t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(message)))
	_, err := s.socket.Write(b.Bytes())
	must(s.t, err)
}

// heard is a reply as it stood on the wire.
type heard struct {
	from, to netip.AddrPort
	payload  []byte
}

// hears is the next reply, but for those to knocks.
func (s *site) hears() heard {
	s.t.Helper()
	for {
		h, err := s.listens(20 * time.Second)
		must(s.t, err)
		if binary.BigEndian.Uint32(h.payload[4:]) != knock {
			return h
		}
	}
}

// listens waits for a reply.
func (s *site) listens(patience time.Duration) (heard, error) {
	must(s.t, s.socket.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 2048)
	for {
		n, err := s.socket.Read(buf)
		if err != nil {
			return heard{}, fmt.Errorf("nobody answers: %w", err)
		}
		p := gopacket.NewPacket(append([]byte(nil), buf[:n]...), layers.LayerTypeEthernet, gopacket.Default)
		eth, _ := p.LinkLayer().(*layers.Ethernet)
		ip, _ := p.NetworkLayer().(*layers.IPv4)
		udp, _ := p.TransportLayer().(*layers.UDP)
		if eth == nil || ip == nil || udp == nil || !bytes.Equal(eth.SrcMAC, s.theirs) {
			continue
		}
		src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
		dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
		return heard{netip.AddrPortFrom(src, uint16(udp.SrcPort)), netip.AddrPortFrom(dst, uint16(udp.DstPort)), udp.Payload}, nil
	}
}

// asks sends a request, and behind it another of the same client to the same port that is answered for sure, since the
// replies of one client and one port keep their order. Nil: only that one was answered.
func (s *site) asks(number int, r request4, from, to netip.AddrPort) (request []byte, reply *heard) {
	s.t.Helper()
	request = r.bytes()
	binary.BigEndian.PutUint32(request[4:], uint32(2*number))
	s.sends(request, from, to)
	sure, at := asMAC(biosROM, r.mac), netip.MustParseAddrPort(port67)
	if to.Port() == 4011 {
		sure, at = asPXE(sure), to
	}
	marker := sure.bytes()
	binary.BigEndian.PutUint32(marker[4:], uint32(2*number+1))
	s.sends(marker, netip.MustParseAddrPort("10.0.0.150:68"), at)
	for {
		h := s.hears()
		switch binary.BigEndian.Uint32(h.payload[4:]) {
		case uint32(2 * number):
			reply = &h
		case uint32(2*number + 1):
			return request, reply
		default:
			s.t.Errorf("unasked: %+v", h)
		}
	}
}

// proxyVectorsOn asks every vector of mode proxy.
func proxyVectorsOn(t *testing.T, before func(*nettest.Space), flags ...string) {
	sites := map[string]*site{}
	for i, v := range vectorsProxy {
		text := proxyMap(t, v.edit)
		if sites[text] == nil {
			sites[text] = newSite(t, text, before, flags...)
		}
		s := sites[text]
		t.Run(v.id+" "+v.name, func(t *testing.T) {
			s.t = t
			from, to := "0.0.0.0", netip.MustParseAddrPort(v.to)
			back := netip.MustParseAddrPort("255.255.255.255:68")
			port := uint16(68)
			if v.from != 0 {
				port = uint16(v.from)
			}
			switch {
			case v.request.giaddr != "":
				from, back = v.request.giaddr, netip.AddrPortFrom(ip(v.request.giaddr), 67)
			case v.request.ciaddr != "":
				from, back = v.request.ciaddr, netip.AddrPortFrom(ip(v.request.ciaddr), port)
			}
			request, h := s.asks(i, v.request, netip.AddrPortFrom(ip(from), port), to)
			if v.want.none {
				if h != nil {
					t.Fatalf("was answered: %+v", h)
				}
				return
			}
			if h == nil {
				t.Fatal("was not answered")
			}
			if want := netip.AddrPortFrom(ip("10.0.0.1"), to.Port()); h.from != want || h.to != back { // I11
				t.Errorf("from %s to %s, want from %s to %s", h.from, h.to, want, back)
			}
			r := parse4(t, h.payload)
			invariants(t, request, v.request, r, v.want.file)
			noLease(t, request, r)
			checkWant(t, r, v.want)
		})
		s.t = t
	}
}

func TestProxyVectorsOverTheWire(t *testing.T) { proxyVectorsOn(t, nil) }

// Another server of the host has port 67, and hears every request too.
func TestProxyVectorsOnAHostWhoseDHCPServerHasPort67(t *testing.T) {
	proxyVectorsOn(t, func(server *nettest.Space) {
		must(t, server.Do(func() error {
			c, err := net.ListenPacket("udp4", ":67")
			if err == nil {
				t.Cleanup(func() { c.Close() })
			}
			return err
		}))
	}, "--beside")
}

func TestAnOfferWaitsOnTheWireAndNobodyWaitsForIt(t *testing.T) {
	s := newSite(t, "reply-delay: 1s\n"+proxyMap(t, nil), nil)
	start := time.Now()
	slow, quick := biosROM.bytes(), asPXE(biosROM).bytes()
	binary.BigEndian.PutUint32(quick[4:], 7)
	s.sends(slow, netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort(port67))
	s.sends(quick, netip.MustParseAddrPort("10.0.0.150:68"), netip.MustParseAddrPort(port4011))
	if first := s.hears(); first.from.Port() != 4011 {
		t.Errorf("the offer came first, from %s", first.from)
	}
	if second := s.hears(); second.from.Port() != 67 || time.Since(start) < time.Second {
		t.Errorf("the offer came from %s after %s", second.from, time.Since(start))
	}
}
