package boot_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
)

// Requests as firmware sends them: captured, or built from its source.
const (
	script  = "http://10.0.0.1:8080/boot.ipxe"
	ipxe175 = "b1 05 01 80 86 10 0e 11 01 01 12 01 01 13 01 01 15 01 01 17 01 01 18 01 01 21 01 01 22 01 01 26 01 01 27 01 01 eb 03 02 00 00"
	poor175 = "b1 05 01 80 86 10 0e 15 01 01 17 01 01 21 01 01 eb 03 01 00 00"
	guid97  = "00 00112233445566778899aabbccddeeff"
	pi43    = "06 01 03 0a 04 00 50 58 45 09 14 00 00 11 5261737062657272792050692042 6f6f74 ff"
)

func pxe(arch int, undi string) tlv {
	return opt(60, fmt.Sprintf("PXEClient:Arch:%05d:UNDI:%s", arch, undi))
}
func http(arch int) tlv { return opt(60, fmt.Sprintf("HTTPClient:Arch:%05d:UNDI:003016", arch)) }
func arch(code int) tlv { return bin(93, fmt.Sprintf("%04x", code)) }

var (
	// biosROM is an Intel-type PXE ROM.
	biosROM = request4{flags: 0x8000, options: []tlv{
		bin(53, "01"), bin(55, "01 03 2b 3c 42 43 61 80 81 82 83 84 85 86 87"), bin(57, "04ec"), pxe(0, "002001"), arch(0),
		bin(94, "010201"), bin(97, guid97),
	}}
	// edk2 is UEFI x64 PXE; it sends no client identifier.
	edk2 = request4{flags: 0x8000, options: []tlv{
		bin(53, "01"), bin(57, "05c0"), bin(55, "01 02 03 04 05 06 0c 0d 0f 11 12 16 17 1c 28 29 2a 2b 32 33 36 3a 3b 3c 42 43 61 80 81 82 83 84 85 86 87"),
		bin(97, guid97), bin(94, "010310"), arch(7), pxe(7, "003016"),
	}}
	// ipxeBIOS is iPXE chain-loaded on a BIOS, with HTTP and menus.
	ipxeBIOS = request4{secs: 4, options: []tlv{
		bin(53, "01"), bin(57, "05c0"), arch(0), bin(94, "010201"), pxe(0, "002001"), opt(77, "iPXE"),
		bin(55, "01 03 06 07 0c 0f 11 1a 2a 2b 3c 42 43 77 79 80 81 82 83 84 85 86 87 af cb"), bin(175, ipxe175),
		bin(61, "01 525400aabbcc"), bin(97, guid97),
	}}
	ipxeEFI = ipxeBIOS.with(arch(7), bin(94, "01030a"), pxe(7, "003010"))
	// httpBoot is EDK2's HTTP boot; one byte of its parameter request list is uninitialised memory.
	httpBoot = request4{flags: 0x8000, options: []tlv{
		bin(53, "01"), bin(57, "05c0"), http(16), arch(16), bin(94, "010310"), bin(97, guid97),
		bin(55, "01 02 03 04 05 06 0c 0d 0f 11 12 16 17 1c 28 29 2a 2b 32 33 36 3a 3b 00 42 43 61"),
	}}
	// pi3 is the boot ROM of a Raspberry Pi 3.
	pi3 = request4{mac: "b8:27:eb:12:34:56", options: []tlv{
		bin(53, "01"), bin(55, "2b 3c 43 80 81 82 83 84 85 86 87 42"), arch(0), bin(94, "010201"),
		bin(97, "00"+strings.Repeat("44", 16)), pxe(0, "002001"),
	}}
	// pi4 is the EEPROM of a Raspberry Pi 4, here behind an address that tells nothing.
	pi4   = asMAC(pi3.with(bin(97, "00 52506934 00000000 00000000 00000000")), "52:54:00:aa:bb:cc")
	uBoot = request4{file: "uImage", options: []tlv{
		bin(53, "01"), bin(57, "0240"), arch(22), bin(94, "010000"), opt(60, "U-Boot.armv8"), bin(55, "01 03 06 0c 11"),
	}}
	// uBootEFI is what U-Boot's bootmeth_efi sends, with the architecture in hex.
	uBootEFI = uBoot.with(arch(11), opt(60, "PXEClient:Arch:0000b:UNDI:003000"))
	grub     = request4{secs: 4711, options: []tlv{bin(53, "01")}}
	windows  = request4{options: []tlv{bin(53, "01"), opt(60, "MSFT 5.0"), bin(55, "01 03 06 0f 1f 21 2b 2c 2e 2f")}}
	theLease = bin(50, "0a000064")
	ours     = bin(54, "0a000001")
	theirs   = bin(54, "0a000002")
)

func asMAC(r request4, mac string) request4 { r.mac = mac; return r }

// asRequest is the REQUEST that follows a DISCOVER.
func asRequest(r request4) request4 { return r.with(bin(53, "03"), theLease, ours) }

// want is the boot part of a reply. An empty file: no boot fields at all.
type want struct {
	file   string
	none   bool // no reply
	absent []uint8
	has    []tlv
	ack    bool
	check  func(*testing.T, *reply4)
}

var vectors4 = []struct {
	id, name string
	edit     func(boot string) string // of the map
	request  request4
	want     want
}{
	{"F01", "Intel BIOS ROM", nil, biosROM, want{file: "undionly.kpxe", check: atMost(1232)}},
	{"F02", "Intel BIOS ROM, REQUEST", nil, asRequest(biosROM), want{file: "undionly.kpxe", ack: true}},
	{"F04", "EDK2 x64", nil, edk2, want{file: "ipxe-x86_64.efi"}},
	{"F05", "EDK2 x64, REQUEST with a size that is not believed", nil, asRequest(edk2).with(bin(57, "ff00")), want{file: "ipxe-x86_64.efi", ack: true}},
	{"F06", "x64 that says 9", nil, edk2.with(arch(9), pxe(9, "003016")), want{file: "ipxe-x86_64.efi"}},
	{"F07", "IA32 UEFI", nil, edk2.with(arch(6), pxe(6, "003016")), want{file: "ipxe-i386.efi"}},
	{"F08", "ARM32 UEFI", nil, edk2.with(arch(10), pxe(10, "003016")), want{file: "ipxe-arm32.efi"}},
	{"F09", "ARM64 UEFI", nil, edk2.with(arch(11), pxe(11, "003016")), want{file: "ipxe-arm64.efi"}},
	{"F10", "RISC-V64 UEFI", nil, edk2.with(arch(27), pxe(27, "003016")), want{file: "ipxe-riscv64.efi"}},
	{"F11", "LoongArch64 UEFI", nil, edk2.with(arch(39), pxe(39, "003016")), want{file: "ipxe-loong64.efi"}},
	{"F12", "two architectures", nil, edk2.with(bin(93, "0007 0006")), want{file: "ipxe-x86_64.efi"}},
	{"F13", "only the class tells the architecture", nil, edk2.with(pxe(11, "003016")).without(93), want{file: "ipxe-arm64.efi"}},
	{"F14", "option 93 and class disagree", nil, edk2.with(pxe(0, "003016")), want{file: "ipxe-x86_64.efi"}},
	{"F16", "architecture without a rule", nil, edk2.with(arch(33), pxe(33, "003016")), want{absent: []uint8{60}}},
	{"F18", "iPXE on BIOS", nil, ipxeBIOS, want{file: script, has: []tlv{bin(175, "b0 01 01")}}},
	{"F19", "iPXE on BIOS, REQUEST", nil, asRequest(ipxeBIOS), want{file: script, ack: true, has: []tlv{bin(175, "b0 01 01")}}},
	{"F20", "iPXE on EFI", nil, ipxeEFI, want{file: script}},
	{"F21", "framed user class", nil, ipxeBIOS.with(bin(77, "04 69505845")), want{file: script}},
	{"F22", "two framed user classes", nil, ipxeBIOS.with(bin(77, "03 666f6f 04 69505845")), want{file: script}},
	{"F25", "gPXE", nil, ipxeBIOS.with(opt(77, "gPXE")), want{file: script}},
	{"F26", "iPXE ROM without HTTP", nil, ipxeBIOS.with(bin(175, poor175)), want{file: "undionly.kpxe"}},
	{"F27", "iPXE only inside another word", nil, biosROM.with(opt(77, "xiPXEx")), want{file: "undionly.kpxe"}},
	{"F28", "HTTP boot x64", nil, httpBoot, want{file: "http://10.0.0.1:8080/ipxe-x86_64.efi", has: []tlv{opt(60, "HTTPClient")}}},
	{"F29", "HTTP boot x64, REQUEST", nil, asRequest(httpBoot), want{file: "http://10.0.0.1:8080/ipxe-x86_64.efi", ack: true, has: []tlv{opt(60, "HTTPClient")}}},
	{"F30", "HTTP boot by a host's name", func(m string) string {
		m = strings.Replace(m, "http: http://10.0.0.1:8080", "http: http://boot.example", 1)
		return strings.Replace(m, "file: ipxe-x86_64.efi", "file: ipxe-x86_64.efi, options: {domain-name-servers: 10.0.0.53}", 1)
	}, httpBoot.with(bin(55, "01 03")), want{file: "http://boot.example/ipxe-x86_64.efi", has: []tlv{bin(6, "0a000035")}}},
	{"F31", "HTTP boot ARM64", nil, httpBoot.with(http(19), arch(19)), want{file: "http://10.0.0.1:8080/ipxe-arm64.efi"}},
	{"F32", "HTTP boot EBC", nil, httpBoot.with(http(17), arch(17)), want{file: "http://10.0.0.1:8080/ipxe-x86_64.efi"}},
	{"F33", "HTTP boot without a file for it", nil, httpBoot.with(http(30), arch(30)), want{absent: []uint8{60, 67}}},
	{"F34", "PXE firmware gets no HTTP", nil, edk2, want{file: "ipxe-x86_64.efi", absent: []uint8{60}}},
	{"F35", "class says HTTP, architecture PXE", nil, httpBoot.with(http(7), arch(7)), want{file: "http://10.0.0.1:8080/ipxe-x86_64.efi", has: []tlv{opt(60, "HTTPClient")}}},
	{"F38", "no UUID", nil, edk2.without(97), want{file: "ipxe-x86_64.efi", absent: []uint8{97}}},
	{"F40", "through a relay", nil, relayed4(edk2), want{file: "ipxe-x86_64.efi", check: relayInfoLast}},
	{"F43", "U-Boot ARM64", nil, uBoot, want{file: "uboot.scr", check: atMost(548)}},
	{"F46", "Raspberry Pi 3", nil, pi3, want{has: []tlv{bin(43, pi43), opt(60, "PXEClient"), opt(66, "10.0.0.1")}, absent: []uint8{67}, check: siaddrIsOurs}},
	{"F47", "Raspberry Pi 4", nil, pi4, want{has: []tlv{opt(66, "10.0.0.1")}, absent: []uint8{67}, check: siaddrIsOurs}},
	{"F48", "GRUB's own DISCOVER", nil, grub, want{has: []tlv{ours}}},
	{"F49", "GRUB's own REQUEST", nil, grub.with(bin(53, "03"), ours, theLease, bin(55, "01 03 06 0f 0c 11 12")), want{ack: true}},
	{"F50", "Windows", nil, windows, want{absent: []uint8{43, 60, 66, 67}}},
	{"F51", "INFORM by a PXE client", nil, request4{ciaddr: "10.0.0.150", options: biosROM.with(bin(53, "08")).options}, want{file: "undionly.kpxe", ack: true, absent: []uint8{51}, check: lends("0.0.0.0")}},
	{"F52", "renewal by an operating system", nil, request4{ciaddr: "10.0.0.100", options: windows.with(bin(53, "03")).options}, want{ack: true}},
	{"F54", "BOOTP", nil, biosROM.without(53), want{none: true}},
	{"F56", "cut short", nil, request4{options: edk2.options, noEnd: true, cut: 5}, want{none: true}},
	{"F57", "shim reads the header's file only", func(m string) string { return strings.Replace(m, "ipxe-x86_64.efi", "shimx64.efi", 1) }, edk2, want{file: "shimx64.efi"}},
	{"F58", "a file in a directory", func(m string) string {
		return strings.Replace(m, "arch: bios, file: undionly.kpxe}\n  - {arch: uefi-ia", "arch: bios, file: boot/undionly.kpxe}\n  - {arch: uefi-ia", 1)
	}, biosROM, want{file: "boot/undionly.kpxe"}},
}

func relayed4(r request4) request4 {
	r = r.with(bin(82, "01 04 65746830"))
	r.giaddr, r.hops = "10.9.0.1", 1
	return r
}

func atMost(n int) func(*testing.T, *reply4) {
	return func(t *testing.T, r *reply4) {
		if len(r.raw) > n {
			t.Errorf("has %d bytes, the client takes %d", len(r.raw), n)
		}
	}
}

func lends(ip string) func(*testing.T, *reply4) {
	return func(t *testing.T, r *reply4) {
		if !r.yiaddr().Equal(net.ParseIP(ip)) {
			t.Errorf("lends %s, not %s", r.yiaddr(), ip)
		}
	}
}

func siaddrIsOurs(t *testing.T, r *reply4) {
	if !r.siaddr().Equal(net.IPv4(10, 0, 0, 1)) {
		t.Errorf("siaddr is %s", r.siaddr())
	}
}

func relayInfoLast(t *testing.T, r *reply4) {
	if last := r.options[len(r.options)-1]; last.code != 82 || !bytes.Equal(last.value, bin(82, "01 04 65746830").value) {
		t.Errorf("last option is %d = %x, not the relay's own", last.code, last.value)
	}
}

func vectorMap(t testing.TB, edit func(string) string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.yml")
	must(t, err)
	if edit == nil {
		return string(b)
	}
	edited := edit(string(b))
	if edited == string(b) {
		t.Fatal("the vector's map is not what it should be: nothing was edited")
	}
	return edited
}

func TestDHCPv4Vectors(t *testing.T) {
	for _, v := range vectors4 {
		for loop, ask := range map[string]func(*chain, []byte) []byte{"CoreDHCP": (*chain).ask4, "engine": (*chain).engine4} {
			t.Run(v.id+" "+v.name+" "+loop, func(t *testing.T) {
				c := newChain(t, vectorMap(t, v.edit))
				request := v.request.bytes()
				r := parse4(t, ask(c, request))
				if v.want.none {
					if r != nil {
						t.Fatal("was answered")
					}
					return
				}
				if r == nil {
					t.Fatal("was not answered")
				}
				invariants(t, request, v.request, r, v.want.file)
				fullModeClass(t, v.request, r)
				checkWant(t, r, v.want)
			})
		}
	}
}

func checkWant(t *testing.T, r *reply4, w want) {
	t.Helper()
	wantType := byte(2)
	if w.ack {
		wantType = 5
	}
	if got := r.get(53); !bytes.Equal(got, []byte{wantType}) {
		t.Errorf("message type is %v, want %d", got, wantType)
	}
	if w.file == "" && (r.file() != "" || r.get(67) != nil) {
		t.Errorf("names the file %q, %q", r.file(), r.get(67))
	}
	for _, code := range w.absent {
		if r.count(code) != 0 {
			t.Errorf("has option %d = %q", code, r.get(code))
		}
	}
	for _, o := range w.has {
		if got := r.get(o.code); !bytes.Equal(got, o.value) {
			t.Errorf("option %d = %q, want %q", o.code, got, o.value)
		}
	}
	if w.check != nil {
		w.check(t, r)
	}
}

// invariants are those that every reply keeps, I1 to I13 of the rules that firmware sets.
func invariants(t testing.TB, request []byte, req request4, r *reply4, file string) {
	t.Helper()
	fail := func(rule, format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s", rule, fmt.Sprintf(format, args...))
	}
	if r.raw[0] != 2 || !bytes.Equal(r.raw[1:3], request[1:3]) || !bytes.Equal(r.raw[4:8], request[4:8]) ||
		!bytes.Equal(r.raw[10:12], request[10:12]) || !bytes.Equal(r.raw[24:44], request[24:44]) {
		fail("I1", "the header does not repeat the request's:\n%x\n%x", request[:44], r.raw[:44])
	}
	if !r.end || len(r.get(53)) != 1 || !bytes.Equal(r.get(54), ours.value) {
		fail("I2", "END %v, 53 = %x, 54 = %x", r.end, r.get(53), r.get(54))
	}
	for _, code := range []uint8{97, 61, 82} { // I3, I4
		var sent []byte
		for _, o := range req.options {
			if o.code == code {
				sent = o.value
			}
		}
		if !bytes.Equal(r.get(code), sent) {
			fail("I3/I4", "option %d = %x, the client sent %x", code, r.get(code), sent)
		}
	}
	for _, o := range r.options {
		if slices.Contains([]uint8{77, 52, 13}, o.code) || len(o.value) == 0 || r.count(o.code) > 1 {
			fail("I5", "option %d = %x, %d times", o.code, o.value, r.count(o.code))
		}
	}
	limit := 548
	for _, o := range req.options {
		if o.code == 57 {
			limit = min(1472, int(binary.BigEndian.Uint16(o.value))-28)
		}
	}
	if len(r.raw) > limit || len(r.raw) < 300 {
		fail("I6", "has %d bytes; 300 to %d are allowed", len(r.raw), limit)
	}
	if file != "" {
		inHeader := file
		if len(file) > 127 {
			inHeader = ""
		}
		if !r.siaddr().Equal(net.IPv4(10, 0, 0, 1)) || string(r.get(66)) != "10.0.0.1" || r.file() != inHeader || string(r.get(67)) != file+"\x00" {
			fail("I7", "siaddr %s, 66 %q, file %q, 67 %q; want 10.0.0.1 and %q", r.siaddr(), r.get(66), r.file(), r.get(67), file)
		}
	}
	class, vendor := string(r.get(60)), r.get(43)
	wasIPXE := hasCode(req.options, 175)
	if vendor != nil && class == "" || wasIPXE && vendor != nil {
		fail("I13", "43 = %x, 60 = %q", vendor, class)
	}
}

// fullModeClass is I12: PXE firmware never asks port 4011 for what it was told.
func fullModeClass(t testing.TB, req request4, r *reply4) {
	t.Helper()
	class, vendor := string(r.get(60)), r.get(43)
	for _, o := range req.options {
		if o.code != 60 {
			continue
		}
		isPi := bytes.Equal(vendor, bin(43, pi43).value)
		if strings.HasPrefix(string(o.value), "PXEClient") && !isPi && class != "" &&
			(class != "PXEClient" || !bytes.Equal(vendor, []byte{6, 1, 8, 255})) {
			t.Errorf("I12: 60 = %q with 43 = %x", class, vendor)
		}
	}
}

func TestOfferAndAckOfABootAreAlike(t *testing.T) { // I8
	c := newChain(t, vectorMap(t, nil))
	for _, discover := range []request4{biosROM, edk2, ipxeBIOS, ipxeEFI, httpBoot, pi3, uBoot} {
		offer, ack := parse4(t, c.ask4(discover.bytes())), parse4(t, c.ask4(asRequest(discover).bytes()))
		for _, code := range []uint8{43, 60, 66, 67, 175} {
			if !bytes.Equal(offer.get(code), ack.get(code)) {
				t.Errorf("option %d: OFFER %q, ACK %q", code, offer.get(code), ack.get(code))
			}
		}
		if offer.file() != ack.file() || !offer.siaddr().Equal(ack.siaddr()) || offer.sname() != ack.sname() {
			t.Errorf("header: OFFER %q, ACK %q", offer.file(), ack.file())
		}
	}
}

// stock is the chain with CoreDHCP's own plugin for addresses, which has 10.0.0.100 to 10.0.0.150.
func stock(t *testing.T) *chain {
	t.Helper()
	c := newChain(t, vectorMap(t, nil))
	lease, err := rangeplugin.Plugin.Setup4(filepath.Join(t.TempDir(), "leases"), "10.0.0.100", "10.0.0.150", "60s")
	must(t, err)
	c.four[1] = lease
	return c
}

func (c *chain) lease(t *testing.T, r request4) string {
	t.Helper()
	reply := parse4(t, c.ask4(r.bytes()))
	if reply == nil {
		t.Fatal("was not answered")
	}
	return reply.yiaddr().String()
}

func TestOneHostHasOneLeaseFromItsFirmwareToItsRenewals(t *testing.T) { // F42, F52
	c := stock(t)
	first := c.lease(t, edk2) // without a client identifier
	if then := c.lease(t, ipxeEFI); then != first {
		t.Errorf("its firmware had %s, its iPXE %s", first, then)
	}
	renewal := request4{ciaddr: first, options: windows.with(bin(53, "03")).options}
	if then := c.lease(t, renewal); then != first {
		t.Errorf("its firmware had %s, its operating system %s", first, then)
	}
}

func TestALeaseIsTakenWhenItIsOffered(t *testing.T) { // F46: a Pi 3 never asks a second time
	c := stock(t)
	if one, other := c.lease(t, pi3), c.lease(t, biosROM); one == other {
		t.Errorf("both have %s", one)
	}
}
