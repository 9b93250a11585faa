package boot_test

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"testing"
)

const script6 = "http://10.0.0.1:8080/boot.ipxe"

// Options of DHCPv6: bytes as on the wire.
type tlv6 struct {
	code  uint16
	value []byte
}

func opt6(code uint16, digits string) tlv6 {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	return tlv6{code, b}
}

// class6 is option 16 as firmware sends it: Intel's enterprise number and one text.
func class6(text string) tlv6 {
	b := []byte{0, 0, 1, 0x57}
	return tlv6{16, append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)}
}

func userClass6(text string) tlv6 {
	return tlv6{15, append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)}
}

func message6(kind byte, options ...tlv6) []byte {
	return append([]byte{kind, 0x11, 0x22, 0x33}, encode6(options)...)
}

func encode6(options []tlv6) (b []byte) {
	for _, o := range options {
		b = binary.BigEndian.AppendUint16(b, o.code)
		b = binary.BigEndian.AppendUint16(b, uint16(len(o.value)))
		b = append(b, o.value...)
	}
	return b
}

// relay6 wraps a message as the relay on the client's link does.
func relay6(link string, inner []byte) []byte {
	b := append([]byte{12, 0}, net.ParseIP(link)...)
	b = append(b, net.ParseIP("fe80::5054:ff:feaa:bbcc")...)
	return append(b, encode6([]tlv6{{18, []byte("eth0")}, {9, inner}})...)
}

const (
	solicit, advertise, request6, reply6, infoRequest = 1, 2, 3, 7, 11

	orderBoot = "003b 003c 0017 0010" // option 6: 59, 60, 23, 16
)

var (
	clientID6 = opt6(1, "0004 33221100554477668899aabbccddeeff") // EDK2: little-endian
	serverID6 = opt6(2, "0003 0001 525400000001")
	iana6     = opt6(3, "00000001 00000000 00000000")
	pxe6      = []tlv6{clientID6, iana6, opt6(6, orderBoot), opt6(61, "0007"), opt6(62, "010310"), class6("PXEClient:Arch:00007:UNDI:003016")}
	http6     = []tlv6{clientID6, iana6, opt6(6, orderBoot), opt6(61, "0010"), opt6(62, "010310"), class6("HTTPClient:Arch:00016:UNDI:003016")}
	ipxe6     = []tlv6{opt6(1, "0004 00112233445566778899aabbccddeeff"), iana6, opt6(6, "0017 0018 003b 003c"), opt6(8, "0000"),
		userClass6("iPXE"), class6("PXEClient:Arch:00007:UNDI:003010"), opt6(61, "0007"), opt6(62, "01030a")}
	pi6 = []tlv6{opt6(1, "0003 0001 dca632123456"), opt6(3, "00000000 00000000 00000000"), opt6(6, "003b"), opt6(61, "0029")}
	os6 = []tlv6{clientID6, iana6, opt6(6, "0017 0018")}
)

// options6 takes a reply apart; it fails on a relay's.
func options6(t *testing.T, b []byte) (kind byte, options []tlv6) {
	t.Helper()
	if len(b) < 4 {
		t.Fatal("was not answered")
	}
	return b[0], decode6(t, b[4:])
}

func decode6(t *testing.T, b []byte) (options []tlv6) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
			t.Fatal("an option is cut short")
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		options = append(options, tlv6{binary.BigEndian.Uint16(b), b[4 : 4+n]})
		b = b[4+n:]
	}
	return options
}

func get6(options []tlv6, code uint16) []byte {
	i := slices.IndexFunc(options, func(o tlv6) bool { return o.code == code })
	if i < 0 {
		return nil
	}
	return options[i].value
}

var vectors6 = []struct {
	id, name string
	kind     byte
	options  []tlv6
	wantKind byte
	wantURL  string // empty: no boot options
	isHTTP   bool
}{
	{"S01", "PXE x64, SOLICIT", solicit, pxe6, advertise, "tftp://[2001:db8::1]/ipxe-x86_64.efi", false},
	{"S02", "PXE x64, REQUEST", request6, append([]tlv6{serverID6}, pxe6...), reply6, "tftp://[2001:db8::1]/ipxe-x86_64.efi", false},
	{"S03", "HTTP x64, SOLICIT", solicit, http6, advertise, "http://10.0.0.1:8080/ipxe-x86_64.efi", true},
	{"S06", "iPXE", solicit, ipxe6, advertise, script6, false},
	{"S06b", "iPXE asks the stateless way", infoRequest, ipxe6, reply6, script6, false},
	{"S07", "Raspberry Pi", solicit, pi6, advertise, "tftp://[2001:db8::1]/", false},
	{"S08", "an operating system", solicit, os6, advertise, "", false},
}

func TestDHCPv6Vectors(t *testing.T) {
	for _, v := range vectors6 {
		for loop, ask := range map[string]func(*chain, []byte) []byte{"CoreDHCP": (*chain).ask6, "engine": (*chain).engine6} {
			t.Run(v.id+" "+v.name+" "+loop, func(t *testing.T) {
				c := newChain(t, vectorMap(t, nil))
				kind, got := options6(t, ask(c, message6(v.kind, v.options...)))
				if kind != v.wantKind {
					t.Errorf("message type is %d, want %d", kind, v.wantKind)
				}
				checkBoot6(t, got, v.wantURL, v.isHTTP)
				if id := get6(got, 1); string(id) != string(get6(v.options, 1)) {
					t.Errorf("client identifier is %x", id)
				}
				if preference := get6(got, 7); v.wantKind == advertise && string(preference) != "\xff" {
					t.Errorf("preference is %x, want ff: EDK2 would wait 5 s", preference)
				}
			})
		}
	}
}

func checkBoot6(t *testing.T, got []tlv6, url string, isHTTP bool) {
	t.Helper()
	if string(get6(got, 59)) != url {
		t.Errorf("URL is %q, want %q", get6(got, 59), url)
	}
	class := get6(got, 16)
	switch {
	case isHTTP && hex.EncodeToString(class) != "00000157000a"+hex.EncodeToString([]byte("HTTPClient")):
		t.Errorf("vendor class is %x: HTTP firmware would drop the offer", class)
	case !isHTTP && class != nil:
		t.Errorf("vendor class is %x: PXE firmware would ask port 4011", class)
	}
	if get6(got, 60) != nil {
		t.Errorf("boot parameters are there: EDK2 takes them for a size")
	}
	if got[len(got)-1].code == 59 {
		t.Error("the URL is the last option: EDK2 reads on behind it")
	}
}

func TestHTTPFirmwareGetsTheURLOfAHostsName(t *testing.T) { // S04, without its option 23, which the plugin dns gives
	c := newChain(t, vectorMap(t, func(m string) string {
		m = strings.Replace(m, "http: http://10.0.0.1:8080", "http: http://boot.example", 1)
		return strings.Replace(m, "file: ipxe-x86_64.efi", `file: ipxe-x86_64.efi, options: {domain-name-servers: "2001:db8::53"}`, 1)
	}))
	_, got := options6(t, c.ask6(message6(solicit, http6...)))
	checkBoot6(t, got, "http://boot.example/ipxe-x86_64.efi", true)
	if dns := net.IP(get6(got, 23)); !dns.Equal(net.ParseIP("2001:db8::53")) {
		t.Errorf("name servers are %s", dns)
	}
}

func TestARelaysAnswerHoldsTheClients(t *testing.T) { // S11
	c := newChain(t, vectorMap(t, nil))
	raw := c.ask6(relay6("2001:db8:9::1", message6(solicit, pxe6...)))
	if len(raw) < 34 || raw[0] != 13 {
		t.Fatalf("is no relay reply: %x", raw)
	}
	outer := decode6(t, raw[34:])
	if string(get6(outer, 18)) != "eth0" {
		t.Errorf("interface-id is %q", get6(outer, 18))
	}
	kind, inner := options6(t, get6(outer, 9))
	if kind != advertise {
		t.Errorf("inner message type is %d", kind)
	}
	checkBoot6(t, inner, "tftp://[2001:db8::1]/ipxe-x86_64.efi", false)
}

// That S01 and S02 have an address, too, is a story of the plugin subnets. S10 is integration's, which has sockets.
