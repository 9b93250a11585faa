package boot_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// served is the configuration behind the vectors: S = 10.0.0.1, which lends L = 10.0.0.100 first.
const served = `server4:
  listen: "%srv0"
  plugins:
    - server_id: 10.0.0.1
    - range: leases.sqlite3 10.0.0.100 10.0.0.150 1h
    - netmask: 255.255.255.0
    - router: 10.0.0.254
    - dns: 10.0.0.53
    - boot: boot.yml
server6:
  listen: "[ff02::1:2%srv0]:547"
  plugins:
    - server_id: LL 52:54:00:00:00:01
    - dns: 2001:db8::53
    - boot: boot.yml
`

// An asking is a vector's request, and the change of the map that it goes with.
type asking struct {
	name    string
	edit    func(string) string
	request []byte
	v6      bool
}

// askings are the requests of every vector.
func askings() (all []asking) {
	for _, v := range vectors4 {
		all = append(all, asking{v.id + " " + v.name, v.edit, v.request.bytes(), false})
	}
	for _, v := range vectors6 {
		all = append(all, asking{v.id + " " + v.name, nil, message6(v.kind, v.options...), true})
	}
	return append(all, asking{"S11 through a relay", nil, relay6("2001:db8:9::1", message6(solicit, pxe6...)), true})
}

func TestExplainSaysWhatIsOnTheWireForEveryVector(t *testing.T) {
	dhcpd, ctl := built(t, "netboot-dhcpd"), built(t, "netbootctl")
	for _, group := range groups(askings()) {
		n := newNet(t)
		dir := configured(t, group[0].edit)
		n.serves(t, dhcpd, dir)
		for _, a := range group {
			t.Run(a.name, func(t *testing.T) {
				want := explained(t, ctl, dir, a.request)
				if got := padded(n.answer(t, a, len(want) > 0)); !bytes.Equal(got, want) {
					t.Errorf("on the wire:\n%x\nexplain says:\n%x", got, want)
				}
			})
		}
	}
}

// padded is a reply with the padding to BOOTP's 300 bytes, which CoreDHCP's own loop leaves out where it makes an Ethernet
// frame of a reply (server/sendEthernet.go): for clients without the broadcast flag.
func padded(reply []byte) []byte {
	if len(reply) > 240 && len(reply) < 300 && reply[len(reply)-1] == 255 {
		return append(reply, make([]byte, 300-len(reply))...)
	}
	return reply
}

// groups puts those together that one map serves.
func groups(all []asking) (list [][]asking) {
	var plain []asking
	for _, a := range all {
		if a.edit == nil {
			plain = append(plain, a)
		} else {
			list = append(list, []asking{a})
		}
	}
	return append(list, plain)
}

func TestExplainReplaysACaptureOfEveryVector(t *testing.T) {
	ctl := built(t, "netbootctl")
	dir := configured(t, nil)
	for _, format := range []string{"pcap", "pcapng"} {
		path := filepath.Join(dir, "vectors."+format)
		recorded(t, path, format, askings())
		out, err := exec.Command(ctl, "explain", "-c", filepath.Join(dir, "config.yml"), "--pcap", path, "--json").Output()
		must(t, err)
		var got struct {
			Phases []struct{ Type, Machine, Reply, Answer string }
			Notes  []string
		}
		must(t, json.Unmarshal(out, &got))
		told := map[string]string{}
		for _, p := range got.Phases {
			told[p.Type+" "+p.Machine] = p.Reply + " " + p.Answer
		}
		for phase, want := range map[string]string{
			"DISCOVER bios/pxe":                 "OFFER undionly.kpxe from 10.0.0.1",
			"REQUEST uefi-x64/pxe":              "REPLY tftp://[2001:db8::1]/ipxe-x86_64.efi",
			"DISCOVER uefi-x64/ipxe":            "OFFER " + script,
			"DISCOVER uefi-x64/http":            "OFFER http://10.0.0.1:8080/ipxe-x86_64.efi",
			"SOLICIT uefi-x64/http":             "ADVERTISE http://10.0.0.1:8080/ipxe-x86_64.efi",
			"INFORMATION-REQUEST uefi-x64/ipxe": "REPLY " + script6,
			"SOLICIT unknown/none":              "ADVERTISE no boot answer: the client is no boot firmware, and asks for no boot file",
		} {
			if told[phase] != want {
				t.Errorf("%s: %s was told %q, not %q", format, phase, told[phase], want)
			}
		}
		if len(got.Notes) != 0 {
			t.Errorf("%s: notes %q", format, got.Notes)
		}
	}
}

// recorded writes the requests to a capture as a client's interface would see them.
func recorded(t *testing.T, path, format string, all []asking) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	var write func(gopacket.CaptureInfo, []byte) error
	if format == "pcap" {
		w := pcapgo.NewWriter(f)
		must(t, w.WriteFileHeader(65536, layers.LinkTypeEthernet))
		write = w.WritePacket
	} else {
		w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
		must(t, err)
		defer func() { must(t, w.Flush()) }()
		write = w.WritePacket
	}
	for i, a := range all {
		b := frame(t, a)
		must(t, write(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(b), Length: len(b)}, b))
	}
}

// frame is a request as it leaves the client's interface.
func frame(t testing.TB, a asking) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}, DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: 68, DstPort: 67}
	var ip gopacket.SerializableLayer
	if a.v6 {
		eth.DstMAC, eth.EthernetType = net.HardwareAddr{0x33, 0x33, 0, 1, 0, 2}, layers.EthernetTypeIPv6
		udp.SrcPort, udp.DstPort = 546, 547
		six := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, HopLimit: 1, SrcIP: net.ParseIP("fe80::1"), DstIP: net.ParseIP("ff02::1:2")}
		must(t, udp.SetNetworkLayerForChecksum(six))
		ip = six
	} else {
		four := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4zero.To4(), DstIP: net.IPv4bcast.To4()}
		must(t, udp.SetNetworkLayerForChecksum(four))
		ip = four
	}
	buf := gopacket.NewSerializeBuffer()
	must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(a.request)))
	return buf.Bytes()
}

// configured is a directory with the vectors' map and configuration.
func configured(t *testing.T, edit func(string) string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "config.yml"), []byte(served), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "boot.yml"), []byte(vectorMap(t, edit)), 0o644))
	return dir
}

// explained is what explain says that the request is answered, nil for silence.
func explained(t *testing.T, ctl, dir string, request []byte) []byte {
	t.Helper()
	cmd := exec.Command(ctl, "explain", "-c", filepath.Join(dir, "config.yml"), "--json", "--hex", "-")
	cmd.Stdin = strings.NewReader(hex.EncodeToString(request))
	out, err := cmd.Output()
	must(t, err)
	var x struct {
		Reply *struct{ Hex string }
	}
	must(t, json.Unmarshal(out, &x))
	if x.Reply == nil {
		return nil
	}
	b, err := hex.DecodeString(x.Reply.Hex)
	must(t, err)
	return b
}

// built is one of the programs.
func built(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// A wireNet is a server and a client on one cable.
type wireNet struct {
	server, client *nettest.Space
	frames         chan []byte // UDP payloads that the client's interface saw from a server
	v4             net.Conn
	v6             *net.UDPConn
}

// newNet makes the network. The client has every address that a vector is answered at.
func newNet(t *testing.T) *wireNet {
	t.Helper()
	n := nettest.New(t)
	w := &wireNet{frames: make(chan []byte, 64)}
	var err error
	w.server, err = n.Space("server")
	must(t, err)
	w.client, err = n.Space("client")
	must(t, err)
	for _, s := range []*nettest.Space{w.server, w.client} {
		must(t, s.Sysctl("net/ipv6/conf/default/accept_dad", "0")) // link-local addresses are usable at once
	}
	must(t, w.server.Veth("srv0", w.client, "eth0"))
	must(t, w.server.Address("srv0", netip.MustParsePrefix("10.0.0.1/24")))
	for _, a := range []string{"10.0.0.100/24", "10.0.0.150/24", "10.9.0.1/24"} {
		must(t, w.client.Address("eth0", netip.MustParsePrefix(a)))
	}
	must(t, w.server.IP("route", "add", "10.9.0.0/24", "dev", "srv0"))
	must(t, w.client.Do(func() error { return w.open(t) }))
	return w
}

func (w *wireNet) open(t *testing.T) error {
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}); err != nil {
		return err
	}
	seen := os.NewFile(uintptr(fd), "eth0")
	done := make(chan struct{})
	go func() { // ends when the socket is closed
		defer close(done)
		w.listen(seen)
	}()
	t.Cleanup(func() { seen.Close(); <-done })
	if w.v6, err = net.ListenUDP("udp6", &net.UDPAddr{Port: 546}); err != nil {
		return err
	}
	t.Cleanup(func() { w.v6.Close() })
	raw, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(raw, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		return err
	}
	w.v4 = fileConn{os.NewFile(uintptr(raw), "eth0")}
	t.Cleanup(func() { w.v4.Close() })
	return nil
}

// fileConn is a packet socket to write frames to.
type fileConn struct{ *os.File }

func (fileConn) LocalAddr() net.Addr  { return nil }
func (fileConn) RemoteAddr() net.Addr { return nil }

func (w *wireNet) listen(socket io.Reader) {
	buf := make([]byte, 65536)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return
		}
		p := gopacket.NewPacket(buf[:n], layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true})
		if udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && (udp.SrcPort == 67 || udp.SrcPort == 547) && fromServer(udp.Payload) {
			w.frames <- bytes.Clone(udp.Payload)
		}
	}
}

// fromServer tells a reply from what the client itself sent.
func fromServer(b []byte) bool {
	if len(b) > 240 && bytes.Equal(b[236:240], []byte{99, 130, 83, 99}) {
		return b[0] == 2
	}
	return len(b) > 0 && (b[0] == 2 || b[0] == 7 || b[0] == 13)
}

// serves runs the daemon on the server's side until it is ready.
func (w *wireNet) serves(t *testing.T, program, dir string) {
	t.Helper()
	cmd := w.server.Command(program, "-c", filepath.Join(dir, "config.yml"))
	stderr, err := cmd.StderrPipe()
	must(t, err)
	ready := make(chan string, 1)
	process, err := w.server.Start(cmd)
	must(t, err)
	go func() { // ends with the daemon
		var log strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "msg=ready") {
				ready <- ""
			}
		}
		ready <- log.String()
	}()
	select {
	case log := <-ready:
		if log != "" {
			t.Fatalf("the daemon ended at once:\n%s", log)
		}
	case <-process.Done():
		t.Fatal("the daemon ended at once")
	case <-time.After(30 * time.Second):
		t.Fatal("the daemon is not ready after 30 s")
	}
}

// sentinel is a request that is always answered, so that silence to another can be told.
func sentinel() asking {
	b := grub.bytes()
	copy(b[4:8], "done")
	return asking{name: "sentinel", request: b}
}

// answer sends a request, and returns what comes back. Where nothing should, it asks something else, and waits for that.
func (w *wireNet) answer(t *testing.T, a asking, expected bool) []byte {
	t.Helper()
	w.send(t, a)
	if !expected {
		w.send(t, sentinel())
	}
	for {
		select {
		case b := <-w.frames:
			switch done := bytes.Equal(b[4:8], []byte("done")); {
			case done && !expected:
				return nil
			case !done:
				return b
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing came back in 30 s")
		}
	}
}

func (w *wireNet) send(t *testing.T, a asking) {
	t.Helper()
	if !a.v6 {
		_, err := w.v4.Write(frame(t, a))
		must(t, err)
		return
	}
	_, err := w.v6.WriteToUDP(a.request, &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547, Zone: "eth0"})
	must(t, err)
}
