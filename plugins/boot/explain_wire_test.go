package boot_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
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
	port    uint16 // that it goes to; 0: 67 or 547
	from    uint16 // that it comes from; 0: 68 or 546
}

// askings are the requests of every vector.
func askings() (all []asking) {
	for _, v := range vectors4 {
		all = append(all, asking{v.id + " " + v.name, v.edit, v.request.bytes(), false, 0, 0})
	}
	for _, v := range vectors6 {
		all = append(all, asking{v.id + " " + v.name, nil, message6(v.kind, v.options...), true, 0, 0})
	}
	return append(all, asking{"S11 through a relay", nil, relay6("2001:db8:9::1", message6(solicit, pxe6...)), true, 0, 0})
}

// servedBeside is the configuration behind the vectors of ProxyDHCP.
const servedBeside = `server4:
  listen: ["%srv0", "%srv0:4011"]
  plugins:
    - server_id: 10.0.0.1
    - boot: boot.yml
`

// askingsProxy are their requests.
func askingsProxy() (all []asking) {
	for _, v := range vectorsProxy {
		a := asking{name: v.id + " " + v.name, edit: v.edit, request: v.request.bytes(), from: uint16(v.from)}
		if v.to == port4011 {
			a.port = 4011
		}
		all = append(all, a)
	}
	return all
}

func TestExplainSaysWhatIsOnTheWireForEveryVectorOfAProxy(t *testing.T) {
	compareExplained(t, askingsProxy(), func(edit func(string) string) string {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "config.yml"), []byte(servedBeside), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "boot.yml"), []byte(proxyMap(t, edit)), 0o644))
		return dir
	})
}

func TestExplainSaysWhatIsOnTheWireForEveryVector(t *testing.T) {
	compareExplained(t, askings(), func(edit func(string) string) string { return configured(t, edit) })
}

// compareExplained compares what netbootctl explains with what netboot-dhcpd sends, both with the configuration in a directory.
func compareExplained(t *testing.T, all []asking, configured func(edit func(string) string) (dir string)) {
	t.Helper()
	dhcpd, ctl := built(t, "netboot-dhcpd"), built(t, "netbootctl")
	answers := 0
	for _, group := range groups(t, all) {
		n := newNet(t)
		dir := configured(group[0].edit)
		n.serves(t, dhcpd, dir)
		for _, a := range group {
			t.Run(a.name, func(t *testing.T) {
				want := explained(t, ctl, dir, a)
				answers += min(len(want), 1)
				if got := padded(n.answer(t, a, len(want) > 0)); !bytes.Equal(got, want) {
					t.Errorf("on the wire:\n%x\nexplain says:\n%x", got, want)
				}
			})
		}
	}
	if answers < 15 {
		t.Errorf("only %d of the vectors are answered", answers)
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
func groups(t *testing.T, all []asking) (list [][]asking) {
	t.Helper()
	place := map[string]int{}
	for _, a := range all {
		text := vectorMap(t, a.edit)
		i, seen := place[text]
		if !seen {
			i = len(list)
			place[text] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], a)
	}
	return list
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
	udp := &layers.UDP{SrcPort: layers.UDPPort(cmp.Or(a.from, 68)), DstPort: layers.UDPPort(cmp.Or(a.port, 67))}
	var ip gopacket.SerializableLayer
	if a.v6 {
		eth.DstMAC, eth.EthernetType = net.HardwareAddr{0x33, 0x33, 0, 1, 0, 2}, layers.EthernetTypeIPv6
		udp.SrcPort, udp.DstPort = 546, 547
		six := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, HopLimit: 1, SrcIP: net.ParseIP("fe80::1"), DstIP: net.ParseIP("ff02::1:2")}
		must(t, udp.SetNetworkLayerForChecksum(six))
		ip = six
	} else {
		four := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4zero.To4(), DstIP: net.IPv4bcast.To4()}
		if a.port == 4011 { // as a machine asks that has its address
			four.SrcIP, four.DstIP = net.IPv4(10, 0, 0, 150).To4(), net.IPv4(10, 0, 0, 1).To4()
		}
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
func explained(t *testing.T, ctl, dir string, a asking) []byte {
	t.Helper()
	cmd := exec.Command(ctl, "explain", "-c", filepath.Join(dir, "config.yml"), "--json", "--hex", "-")
	if a.port != 0 {
		cmd.Args = append(cmd.Args, "--port", strconv.Itoa(int(a.port)))
	}
	cmd.Stdin = strings.NewReader(hex.EncodeToString(a.request))
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
