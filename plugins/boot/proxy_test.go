package boot_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Where a request comes to.
const (
	port67   = "255.255.255.255:67"
	port4011 = "10.0.0.1:4011"
)

// asPXE is the request to port 4011 that follows an offer of ours and a lease of the other server's.
func asPXE(r request4) request4 {
	r = r.with(bin(53, "03"))
	r.flags, r.secs, r.ciaddr = 0, 0, "10.0.0.150"
	return r
}

func asInform(r request4) request4 {
	r = r.with(bin(53, "08"))
	r.ciaddr = "10.0.0.150"
	return r
}

// uefiPort is from where UEFI firmware asks port 4011.
const uefiPort = 4011

// vectorsProxy are the rules of ProxyDHCP, for the map of the others in mode proxy. The other server is 10.0.0.2, and
// its lease 10.0.0.150.
var vectorsProxy = []struct {
	id, name string
	edit     func(string) string
	request  request4
	to       string
	from     int // the client's port; 0: 68
	want     want
}{
	{"P01", "Intel BIOS ROM", nil, biosROM, port67, 0, want{file: "undionly.kpxe", has: []tlv{opt(60, "PXEClient"), bin(43, "06 01 08 ff")}}},
	{"P02", "EDK2 x64 is sent to port 4011", nil, edk2, port67, 0, want{has: []tlv{opt(60, "PXEClient")}, absent: []uint8{43, 67}, check: siaddrIsOurs}},
	{"P03", "EDK2 x64 by the fast profile", fastUEFI, edk2, port67, 0, want{file: "ipxe-x86_64.efi", has: []tlv{opt(60, "PXEClient"), bin(43, "06 01 08 ff")}}},
	{"P04", "REQUEST to the other server", nil, asRequest(edk2).with(theirs), port67, 0, want{none: true}},
	{"P05", "EDK2 x64 on port 4011", nil, asPXE(edk2), port4011, uefiPort, want{file: "ipxe-x86_64.efi", ack: true, has: []tlv{opt(60, "PXEClient")}, absent: []uint8{43}}},
	{"P07", "BIOS ROM on port 4011", nil, asPXE(biosROM), port4011, 0, want{file: "undionly.kpxe", ack: true, has: []tlv{opt(60, "PXEClient")}}},
	{"P08", "iPXE", nil, ipxeEFI, port67, 0, want{file: script, has: []tlv{opt(60, "PXEClient"), bin(175, "01 01 01")}, absent: []uint8{43}}},
	{"P09", "iPXE on port 4011", nil, asPXE(ipxeEFI).with(ours), port4011, 0, want{file: script, ack: true, has: []tlv{opt(60, "PXEClient")}, absent: []uint8{43}}},
	{"P12", "discovery of a boot server, without a menu", nil, asDiscovery(edk2), port67, uefiPort, want{none: true}},
	{"P12", "discovery of a boot server, by broadcast", withMenu, asDiscovery(edk2), port67, uefiPort, want{file: "install.efi", ack: true, has: []tlv{opt(60, "PXEClient"), bin(43, "47 04 8000 0000 ff")}}},
	{"P12", "discovery of a boot server, on port 4011", withMenu, asDiscovery(edk2), port4011, uefiPort, want{file: "install.efi", ack: true, has: []tlv{opt(60, "PXEClient"), bin(43, "47 04 8000 0000 ff")}}},
	{"P13", "HTTP boot", nil, httpBoot, port67, 0, want{file: "http://10.0.0.1:8080/ipxe-x86_64.efi", has: []tlv{opt(60, "HTTPClient")}, absent: []uint8{43}}},
	{"P14", "HTTP boot, REQUEST to the other server", nil, asRequest(httpBoot).with(theirs), port67, 0, want{none: true}},
	{"P15", "Windows", nil, windows, port67, 0, want{none: true}},
	{"P16", "GRUB's own DISCOVER", nil, grub, port67, 0, want{none: true}},
	{"P18", "INFORM by a PXE client", nil, asInform(biosROM), "10.0.0.1:67", 0, want{file: "undionly.kpxe", ack: true, has: []tlv{opt(60, "PXEClient")}}},
	{"P18", "INFORM on port 4011", nil, asInform(edk2), port4011, uefiPort, want{file: "ipxe-x86_64.efi", ack: true, has: []tlv{opt(60, "PXEClient")}}},
	{"P19", "through a relay", nil, relayed4(biosROM), "10.0.0.1:67", 67, want{file: "undionly.kpxe", has: []tlv{bin(43, "06 01 08 ff")}, check: relayInfoLast}},
	{"P21", "Raspberry Pi 3", nil, pi3, port67, 0, want{has: []tlv{bin(43, pi43), opt(60, "PXEClient"), opt(66, "10.0.0.1")}, absent: []uint8{67}, check: siaddrIsOurs}},
	{"P22", "iPXE prefers our file to the other server's", nil, ipxeBIOS, port67, 0, want{file: script, has: []tlv{bin(175, "01 01 01")}}},
	{"P24", "DISCOVER without a class on port 4011", nil, grub, port4011, 0, want{none: true}},
	{"P24", "DISCOVER of firmware on port 4011", nil, edk2, port4011, uefiPort, want{none: true}},
	{"P24", "REQUEST without a class on port 4011", nil, asPXE(grub), port4011, 0, want{none: true}},
	{"", "REQUEST on port 4011 for another boot server", nil, asPXE(biosROM).with(theirs), port4011, 0, want{none: true}},
	{"", "U-Boot reads header and siaddr of the offer", nil, uBoot, port67, 0, want{file: "uboot.scr"}},
	{"", "U-Boot's EFI boot method says UEFI and asks port 67 only", fastARM, uBootEFI, port67, 0, want{file: "ipxe-arm64.efi", has: []tlv{opt(60, "PXEClient"), bin(43, "06 01 08 ff")}}},
	{"", "machine without a rule", nil, edk2.with(arch(33), pxe(33, "003016")), port67, 0, want{none: true}},
	{"", "RELEASE", nil, asPXE(biosROM).with(bin(53, "07")), port67, 0, want{none: true}},
	{"", "DECLINE", nil, biosROM.with(bin(53, "04")), port67, 0, want{none: true}},
}

func asDiscovery(r request4) request4 {
	r = asPXE(r).with(bin(43, "47 04 8000 0000 ff"))
	r.flags = 0x8000
	return r
}

func fastUEFI(m string) string {
	return strings.Replace(m, "arch: uefi-x64,", "arch: uefi-x64, profile: fast,", 1)
}

func fastARM(m string) string {
	return strings.Replace(m, "arch: uefi-arm64,", "arch: uefi-arm64, profile: fast,", 1)
}

const theMenu = `menu: {prompt: Choose, timeout: 5s, items: [{text: Install, file: install.efi}, {text: Disk, local: true}, {text: Test, file: test.efi}]}`

func withMenu(m string) string {
	return strings.Replace(m, "arch: uefi-x64, file: ipxe-x86_64.efi", "arch: uefi-x64, "+theMenu, 1)
}

// proxyMap is the map of the vectors in mode proxy.
func proxyMap(t testing.TB, edit func(string) string) string {
	t.Helper()
	return "mode: proxy\n" + vectorMap(t, edit)
}

// proxy is a chain in which other plugins put all that belongs to a lease into the reply.
func proxy(t testing.TB, text string) *chain {
	t.Helper()
	c := newChain(t, text)
	lease := func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		resp.YourIPAddr = net.IPv4(10, 0, 0, 100).To4()
		for _, code := range []uint8{1, 3, 6, 12, 15, 26, 28, 42, 43, 51, 58, 59, 66, 67, 119, 121, 175} {
			resp.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte{10, 0, 0, 254}))
		}
		return resp, false
	}
	c.four = []handler4{c.four[0], lease, c.four[2]}
	return c
}

func TestProxyVectors(t *testing.T) {
	for _, v := range vectorsProxy {
		t.Run(v.id+" "+v.name, func(t *testing.T) {
			request := v.request.bytes()
			r := parse4(t, proxy(t, proxyMap(t, v.edit)).ask4At(request, v.to))
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
			noLease(t, request, r)
			checkWant(t, r, v.want)
		})
	}
}

// noLease is I9 and I10 of a proxy.
func noLease(t testing.TB, request []byte, r *reply4) {
	t.Helper()
	if !r.yiaddr().Equal(net.IPv4zero) {
		t.Errorf("I9: lends %s", r.yiaddr())
	}
	for _, o := range r.options {
		if !slices.Contains([]uint8{43, 53, 54, 60, 61, 66, 67, 82, 97, 175}, o.code) {
			t.Errorf("I9: has option %d = %x of a lease", o.code, o.value)
		}
	}
	ciaddr := make([]byte, 4)
	if !bytes.Equal(r.get(53), []byte{2}) {
		ciaddr = request[12:16]
	}
	if !bytes.Equal(r.raw[12:16], ciaddr) {
		t.Errorf("I10: ciaddr is %v, want %v", r.raw[12:16], ciaddr)
	}
}

func TestOfferAndAckOfAProxyAreAlike(t *testing.T) { // I8, but for UEFI, which gets the file on port 4011
	c := proxy(t, proxyMap(t, nil))
	for _, discover := range []request4{biosROM, ipxeBIOS, ipxeEFI} {
		offer, ack := parse4(t, c.ask4At(discover.bytes(), port67)), parse4(t, c.ask4At(asPXE(discover).bytes(), port4011))
		for _, code := range []uint8{43, 60, 66, 67, 175} {
			if !bytes.Equal(offer.get(code), ack.get(code)) {
				t.Errorf("option %d: OFFER %q, ACK %q", code, offer.get(code), ack.get(code))
			}
		}
		if offer.file() != ack.file() || !offer.siaddr().Equal(ack.siaddr()) {
			t.Errorf("header: OFFER %q, ACK %q", offer.file(), ack.file())
		}
	}
}

func TestAProxyNeedsNoServerIDWhereItsAddressIsKnown(t *testing.T) {
	c := proxy(t, proxyMap(t, nil))
	c.four = c.four[1:]
	for to, request := range map[string]request4{port67: biosROM, port4011: asPXE(edk2)} {
		r := parse4(t, c.ask4At(request.bytes(), to))
		if r == nil || !bytes.Equal(r.get(54), ours.value) {
			t.Errorf("asked at %s: %+v", to, r)
		}
	}
	if c.ask4(biosROM.bytes()) != nil {
		t.Error("answers without knowing its address")
	}
	if e := c.hook.LastEntry(); e == nil || !strings.Contains(logged(c), "address towards the machines is not known") {
		t.Errorf("the log does not say so: %v", e)
	}
}

func logged(c *chain) string {
	var b strings.Builder
	for _, e := range c.hook.AllEntries() {
		b.WriteString(e.Message + "\n")
	}
	return b.String()
}

func TestAUEFIMachineIsShownItsMenuAndGetsWhatItChose(t *testing.T) {
	c := proxy(t, proxyMap(t, withMenu))
	offer := parse4(t, c.ask4At(edk2.bytes(), port67))
	if offer.get(43) != nil || offer.bootFile() != "" {
		t.Errorf("the offer has 43 = %x and %q; firmware from before 2017 drops it", offer.get(43), offer.bootFile())
	}
	shown := parse4(t, c.ask4At(asPXE(edk2).bytes(), port4011))
	want := bin(43, "06 01 03"+
		"08 0e 8000 01 0a000001 8002 01 0a000001"+
		"09 18 8000 07 496e7374616c6c 0000 04 4469736b 8002 04 54657374"+
		"0a 07 05 43686f6f7365 ff").value
	if !bytes.Equal(shown.get(43), want) || shown.bootFile() != "" || string(shown.get(60)) != "PXEClient" {
		t.Errorf("the menu is\n%x, want\n%x; 67 %q, 60 %q", shown.get(43), want, shown.bootFile(), shown.get(60))
	}
	chosen := parse4(t, c.ask4At(asDiscovery(edk2).with(bin(43, "47 04 8002 0000 ff")).bytes(), port4011))
	if chosen.bootFile() != "test.efi" || !bytes.Equal(chosen.get(43), bin(43, "47 04 8002 0000 ff").value) {
		t.Errorf("is given %q with 43 = %x", chosen.bootFile(), chosen.get(43))
	}
	for _, wrong := range []string{"47 04 8001 0000 ff", "47 04 8003 0000 ff", "47 04 7fff 0000", "47 04 ffff ffff"} {
		if c.ask4At(asDiscovery(edk2).with(bin(43, wrong)).bytes(), port4011) != nil {
			t.Errorf("43 = %s, which is on no menu, is answered", wrong)
		}
	}
}

func TestAUEFIMachineAsksUsAgainWhereverItsFilesAre(t *testing.T) {
	elsewhere := func(m string) string {
		return strings.NewReplacer("arch: uefi-x64, file", "arch: uefi-x64, server: 10.0.0.9, file", "arch: uefi-arm64, file: ipxe-arm64.efi", "arch: uefi-arm64, server: 10.0.0.9, "+theMenu).Replace(m)
	}
	c := proxy(t, proxyMap(t, elsewhere))
	arm64 := edk2.with(arch(11), pxe(11, "003016"))
	for name, s := range map[string]struct {
		request    request4
		to, server string
	}{
		"the offer": {edk2, port67, "10.0.0.1"}, "its file": {asPXE(edk2), port4011, "10.0.0.9"},
		"an offer before a menu": {arm64, port67, "10.0.0.1"}, "a menu": {asPXE(arm64), port4011, "10.0.0.1"}, "what was chosen": {asDiscovery(arm64), port4011, "10.0.0.9"},
	} {
		r := parse4(t, c.ask4At(s.request.bytes(), s.to))
		if r.siaddr().String() != s.server || string(r.get(66)) != s.server {
			t.Errorf("%s: siaddr %s, 66 %q, want %s", name, r.siaddr(), r.get(66), s.server)
		}
	}
}

func TestABIOSMachineIsShownItsMenuInTheOffer(t *testing.T) {
	c := proxy(t, proxyMap(t, func(m string) string {
		return strings.Replace(m, "arch: bios, file: undionly.kpxe}\n  - {arch: uefi-ia", "arch: bios, "+theMenu+"}\n  - {arch: uefi-ia", 1)
	}))
	if r := parse4(t, c.ask4At(biosROM.bytes(), port67)); !bytes.HasPrefix(r.get(43), []byte{6, 1, 3, 8}) || r.bootFile() != "" {
		t.Errorf("43 = %x, 67 = %q", r.get(43), r.bootFile())
	}
	// A menu to iPXE would take the place of its script.
	if r := parse4(t, c.ask4At(ipxeBIOS.bytes(), port67)); r.get(43) != nil || r.bootFile() != script {
		t.Errorf("iPXE: 43 = %x, 67 = %q", r.get(43), r.bootFile())
	}
	if c.ask4At(ipxeBIOS.with(bin(175, poor175), bin(43, "47 04 8000 0000 ff"), bin(53, "03")).bytes(), port67) != nil {
		t.Error("an iPXE chose from a menu that it was never shown")
	}
}

func TestAMenuIsNotForIPXEEvenWhereItIsAllThereIs(t *testing.T) {
	c := proxy(t, "mode: proxy\nrules: [{"+theMenu+"}]\n")
	for name, r := range map[string]request4{"iPXE": ipxeBIOS, "HTTP boot": httpBoot, "a Pi": pi3} {
		if c.ask4At(r.bytes(), port67) != nil {
			t.Errorf("%s is answered", name)
		}
	}
}

func TestAMenuOfOneItemIsNoMenu(t *testing.T) {
	c := proxy(t, "mode: proxy\nrules: [{menu: {items: [{text: Install, file: install.0}]}}]\n")
	r := parse4(t, c.ask4At(biosROM.bytes(), port67))
	if r.bootFile() != "install.0" || !bytes.Equal(r.get(43), []byte{6, 1, 8, 255}) {
		t.Errorf("67 = %q, 43 = %x", r.bootFile(), r.get(43))
	}
}

func TestAMenuWaitsAsLongAsItSays(t *testing.T) {
	for timeout, want := range map[string]byte{"": 10, "timeout: 0s, ": 0, "timeout: 4m, ": 240, "timeout: never, ": 255} {
		c := proxy(t, "mode: proxy\nrules: [{menu: {"+timeout+"items: [{text: A, file: a}, {text: B, file: b}]}}]\n")
		vendor := parse4(t, c.ask4At(biosROM.bytes(), port67)).get(43)
		prompt := append([]byte{10, 10, want}, "Boot menu\xff"...)
		if !bytes.HasSuffix(vendor, prompt) {
			t.Errorf("%s43 = %x, want %x at its end", timeout, vendor, prompt)
		}
	}
}

func TestUnderStockCoreDHCPAProxyServesWhatItCan(t *testing.T) {
	c := proxy(t, proxyMap(t, nil))
	quiet := biosROM
	quiet.flags = 0
	r := parse4(t, c.ask4(quiet.bytes()))
	if r.bootFile() != "undionly.kpxe" || r.raw[10] != 0 {
		t.Errorf("67 = %q, flags %x", r.bootFile(), r.raw[10:12])
	}
	if !c.asked.IsBroadcast() {
		t.Error("the request's flag is clear: CoreDHCP would send to 0.0.0.0")
	}
	if !strings.Contains(logged(c), "UEFI PXE firmware asks port 4011") {
		t.Errorf("the log does not say what is missing:\n%s", logged(c))
	}
	if !strings.Contains(logged(c), "a plugin before boot gives addresses") {
		t.Errorf("the log does not say that addresses are given for nothing:\n%s", logged(c))
	}
	for name, silent := range map[string]request4{"a REQUEST": asRequest(biosROM), "Windows": windows} {
		if c.ask4(silent.bytes()) != nil {
			t.Errorf("%s is answered", name)
		}
	}
}

func TestAProxysOfferWaitsForSlowROMs(t *testing.T) {
	c := proxy(t, "reply-delay: 1s\n"+proxyMap(t, nil))
	r, held := c.hold(biosROM, port67)
	if r == nil || !held {
		t.Errorf("the offer is not held: %v, %v", r, held)
	}
	if r, held = c.hold(asPXE(biosROM), port4011); r == nil || held {
		t.Errorf("the answer on port 4011 is held: %v, %v", r, held)
	}
}

func TestTheLogTellsWhatAProxyDid(t *testing.T) {
	c := proxy(t, proxyMap(t, withMenu))
	for _, s := range []struct {
		request  request4
		to, want string
	}{
		{edk2.with(arch(11), pxe(11, "003016")), port67, `reply="OFFER, file on port 4011"`},
		{asPXE(edk2), port4011, "menu=3"},
		{biosROM, port67, "because=\"boot.yml:"},
		{asRequest(edk2).with(theirs), port67, "because=other-server"},
	} {
		c.hook.Reset()
		c.ask4At(s.request.bytes(), s.to)
		line := ""
		for _, e := range c.hook.AllEntries() {
			text, err := e.String()
			must(t, err)
			line += strings.ReplaceAll(text, t.TempDir(), "")
		}
		want := strings.TrimPrefix(s.want, "because=\"")
		if !strings.Contains(line, want) {
			t.Errorf("want %s in\n%s", want, line)
		}
	}
}

func TestAMenuWhoseFilesAreElsewhereIsWarnedAbout(t *testing.T) {
	const items = "items: [{text: A, file: a}, {text: B, file: b}]"
	for text, warned := range map[string]bool{
		"mode: proxy\nrules: [{server: 192.0.2.9, menu: {" + items + "}}]\n":                    true,
		"mode: proxy\nnext-server: 192.0.2.9\nrules: [{menu: {" + items + "}}]\n":               true,
		"mode: proxy\nnext-server: 192.0.2.9\nrules: [{server: auto, menu: {" + items + "}}]\n": false,
		"mode: proxy\nnext-server: 192.0.2.9\nrules: [{menu: {items: [{text: A, file: a}]}}]\n": false,
	} {
		if w := mustParse(t, text).Warnings.Error(); strings.Contains(w, "host that shows it only") != warned {
			t.Errorf("%s: warns %q", text, w)
		}
	}
}
