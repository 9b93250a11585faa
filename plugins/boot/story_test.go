package boot_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const ordinary = `next-server: auto
http: http://{server}:8080
rules:
  - {ipxe: true, file: "http://{server}:8080/boot.ipxe"}
  - {arch: bios, file: undionly.kpxe}
  - {arch: uefi-x64, file: ipxe.efi}
hosts:
  - {mac: "52:54:00:aa:bb:01", file: "http://10.0.0.1:8080/old-dell.ipxe"}
`

func TestChainloadedMachineGetsItsScriptAndNotIPXEAgain(t *testing.T) {
	l := lab(t, ordinary)
	dell := l.machine(edk2, "52:54:00:aa:bb:01")
	rack := l.machine(biosROM, "52:54:00:aa:bb:02")

	dell.discovers().isOffered("ipxe.efi").from("10.0.0.1").because("boot.yml:6")
	dell.becomesIPXE()
	dell.discovers().isOffered("http://10.0.0.1:8080/old-dell.ipxe").because("boot.yml:8")

	rack.discovers().isOffered("undionly.kpxe").because("boot.yml:5")
	rack.becomesIPXE()
	rack.discovers().isOffered("http://10.0.0.1:8080/boot.ipxe").because("boot.yml:4")
}

func TestIPXEIsNotHandedIPXEWhateverTheOrderOfTheRules(t *testing.T) {
	l := lab(t, `rules:
  - {arch: bios, file: bios/undionly.kpxe}
  - {file: ipxe.efi}
  - {ipxe: true, file: boot.ipxe}
hosts:
  - {mac: "52:54:00:aa:bb:01", file: undionly.kpxe}
`)
	for _, mac := range []string{"52:54:00:aa:bb:01", "52:54:00:aa:bb:02"} {
		m := l.machine(biosROM, mac)
		m.becomesIPXE()
		m.discovers().isOffered("boot.ipxe").because("boot.yml:4")
	}
}

func TestIPXEThatLacksAFeatureIsReplacedOnce(t *testing.T) {
	l := lab(t, `rules:
  - {lacks: [http, menu], file: undionly.kpxe}
  - {ipxe: true, file: "http://10.0.0.1/boot.ipxe"}
`)
	poor := l.machine(ipxeBIOS.with(bin(175, poor175)), "52:54:00:aa:bb:03")
	poor.discovers().isOffered("undionly.kpxe").because("boot.yml:2")
	poor.becomesIPXE()
	poor.discovers().isOffered("http://10.0.0.1/boot.ipxe").because("boot.yml:3")
}

func TestIPXEWithoutHTTPIsNotSentToAURL(t *testing.T) {
	l := lab(t, `rules:
  - {ipxe: true, file: "http://10.0.0.1/boot.ipxe"}
  - {ipxe: true, file: fallback.ipxe}
`)
	l.machine(ipxeBIOS.with(bin(175, poor175)), "52:54:00:aa:bb:03").discovers().isOffered("fallback.ipxe").because("boot.yml:3")
}

func TestAUserClassOfItsOwnAsksForIPXE(t *testing.T) {
	l := lab(t, `rules:
  - {user-class: PlainPXE, file: undionly.kpxe}
  - {ipxe: true, file: boot.ipxe}
`)
	m := l.machine(ipxeBIOS.with(opt(77, "PlainPXE")), "52:54:00:aa:bb:04")
	m.discovers().isOffered("undionly.kpxe").because("boot.yml:2")
	m.becomesIPXE()
	m.discovers().isOffered("boot.ipxe").because("boot.yml:3")
}

func TestEachWordOfARuleIsTested(t *testing.T) {
	relayed := relayed4(edk2)
	named := biosROM.with(opt(12, "Node-07"))
	for _, s := range []struct {
		word    string
		matches request4
		misses  request4
	}{
		{"arch: uefi-x64", edk2, biosROM},
		{"arch: [bios, 10]", biosROM, edk2},
		{"arch: 9", edk2.with(arch(9)), edk2},
		{"arch: 16", httpBoot, edk2},
		{"firmware: http", httpBoot, edk2},
		{"firmware: [pxe, http]", edk2, ipxeEFI},
		{"firmware: ipxe", ipxeEFI, edk2},
		{"ipxe: true", ipxeEFI, edk2},
		{"ipxe: false", edk2, ipxeEFI},
		{"features: [http, menu]", ipxeBIOS, ipxeBIOS.with(bin(175, poor175))},
		{"lacks: menu", ipxeBIOS.with(bin(175, poor175)), ipxeBIOS},
		{"lacks: menu", ipxeBIOS.with(bin(175, poor175)), biosROM},
		{"user-class: ipxe-*", biosROM.with(opt(77, "ipxe-lab")), biosROM},
		{"vendor-class: PXEClient:Arch:00007*", edk2, biosROM},
		{`vendor-class: "*UNDI:003016"`, edk2, biosROM},
		{`mac: "52:54:00:*"`, edk2, pi3},
		{`mac: ["52:54:00:aa:bb:cc", "00:00:00:00:00:01"]`, edk2, pi3},
		{"uuid: 33221100-5544-7766-8899-aabbccddeeff", edk2, edk2.without(97)},
		{"hostname: node-*", named, biosROM},
		{"relay: {from: 10.9.0.0/16}", relayed, edk2},
		{"relay: {from: 10.9.0.1, circuit-id: eth0}", relayed, edk2},
		{"relay: {circuit-id: 0x65746830}", relayed, edk2},
		{"relay: {remote-id: x}", relayed.with(bin(82, "02 01 78")), relayed},
		{"not: {arch: bios}", edk2, biosROM},
		{"not: [{arch: bios}, {firmware: http}]", edk2, httpBoot},
		{"any: [{arch: bios}, {firmware: http}]", httpBoot, edk2},
		{"any: [{arch: uefi-x64, firmware: pxe}], not: {mac: pi}", edk2, httpBoot},
	} {
		t.Run(s.word, func(t *testing.T) {
			word := strings.Replace(s.word, "mac: pi", `mac: "b8:27:eb:*"`, 1)
			c := newChain(t, fmt.Sprintf("http: http://10.0.0.1\nrules: [{%s, file: hit}]\n", word))
			if got := parse4(t, c.ask4(s.matches.bytes())); !strings.HasSuffix(got.bootFile(), "hit") {
				t.Error("does not match what it should")
			}
			if got := parse4(t, c.ask4(s.misses.bytes())); got.bootFile() != "" {
				t.Error("matches what it should not")
			}
		})
	}
}

func TestPlaceholdersAreFilledIn(t *testing.T) {
	for template, want := range map[string]string{
		"pxe/{mac}":                            "pxe/52:54:00:aa:bb:cc",
		"pxe/01-{mac-hyphen}":                  "pxe/01-52-54-00-aa-bb-cc",
		"{uuid}/x":                             "33221100-5544-7766-8899-aabbccddeeff/x",
		"{arch}/x":                             "bios/x",
		"{ip}":                                 "10.0.0.100",
		"h/{hostname}":                         "h/node7",
		"tftp://{server}/{hostname}":           "tftp://10.0.0.1/node7",
		"http://h/a?m={mac}&n=${net0/mac}&c=1": "http://h/a?m=52:54:00:aa:bb:cc&n=${net0/mac}&c=1",
	} {
		c := newChain(t, fmt.Sprintf("rules: [{ipxe: true, file: %q}]\n", template))
		if got := parse4(t, c.ask4(ipxeBIOS.with(opt(12, "node7")).bytes())).bootFile(); got != want {
			t.Errorf("%s became %q, want %q", template, got, want)
		}
	}
}

func TestWhatAClientSaysIsEscapedForWhereItStands(t *testing.T) {
	for _, s := range []struct{ template, hostname, want string }{
		{"http://h/x?n={hostname}", "a&b=c d/../e", "http://h/x?n=a%26b%3Dc%20d%2F..%2Fe"},
		{"http://h/x?n={hostname}", "${password}", "http://h/x?n=%24%7Bpassword%7D"},
		{"http://h/{hostname}/x", "a b?c#d", "http://h/a%20b%3Fc%23d/x"},
		{"http://h/{hostname}/x", "${uuid}", "http://h/%24%7Buuid%7D/x"},
		{"h/{hostname}", "node-7.example.net", "h/node-7.example.net"},
	} {
		c := newChain(t, fmt.Sprintf("rules: [{ipxe: true, file: %q}]\n", s.template))
		if got := parse4(t, c.ask4(ipxeBIOS.with(opt(12, s.hostname)).bytes())).bootFile(); got != s.want {
			t.Errorf("%s with %q became %q, want %q", s.template, s.hostname, got, s.want)
		}
	}
}

func TestANameThatWouldLeaveTheDirectoryIsRefusedAndLogged(t *testing.T) {
	for _, s := range []struct{ file, hostname string }{
		{"hosts/{hostname}/x", ".."},
		{"hosts/{hostname}/x", "a/b"},
		{"hosts/{hostname}.cfg", "../x"},
		{"hosts/{hostname}.", "."},
		{"hosts/{hostname}", `..\x`},
		{"hosts/{hostname}", "a\nb"},
		{"hosts/{hostname}", "${next-server}"},
		{"{hostname}/boot.cfg", "file:"},
		{"http://10.0.0.1/hosts/{hostname}", ".."},
		{"http://10.0.0.1/hosts/{hostname}", "../x"},
		{"http://10.0.0.1/hosts/{hostname}", "a\x00b"},
	} {
		l := lab(t, fmt.Sprintf("rules:\n  - {ipxe: true, file: %q}\n  - {ipxe: true, file: default.ipxe}\n", s.file))
		m := l.machine(ipxeBIOS.with(opt(12, s.hostname)), "52:54:00:aa:bb:66")
		m.discovers().isOffered("default.ipxe").warns("would leave the directory").because("boot.yml:2")
	}
}

func TestAMissingPlaceholderLetsTheNextRuleAnswer(t *testing.T) {
	l := lab(t, "rules:\n  - {arch: bios, file: \"h/{hostname}\"}\n  - {arch: bios, file: plain}\n")
	l.machine(biosROM, "52:54:00:aa:bb:05").discovers().isOffered("plain").because("boot.yml:3")
}

func TestANameThatGrowsTooLongIsRefused(t *testing.T) {
	l := lab(t, "rules:\n  - {ipxe: true, file: \"http://h/"+strings.Repeat("x", 200)+"?{hostname}\"}\n  - {ipxe: true, file: plain}\n")
	l.machine(ipxeBIOS.with(opt(12, strings.Repeat("/", 60))), "52:54:00:aa:bb:05").discovers().isOffered("plain").warns("longer than 254 bytes")
}

func TestALongURLStaysOutOfTheHeader(t *testing.T) {
	url := "http://10.0.0.1/" + strings.Repeat("x", 238)
	l := lab(t, fmt.Sprintf("rules: [{ipxe: true, file: %q}]\n", url))
	told := l.machine(ipxeBIOS, "52:54:00:aa:bb:05").discovers().isOffered(url)
	if told.reply.file() != "" {
		t.Errorf("the header's file is %q", told.reply.file())
	}
}

func TestAnotherServerIsNamedAndTheStockLoopBroadcasts(t *testing.T) {
	l := lab(t, "rules: [{file: x, server: 10.0.0.9, server-name: files.example.net}]\n")
	quiet := biosROM
	quiet.flags = 0
	told := l.machine(quiet, "52:54:00:aa:bb:05").discovers().isOffered("x").from("10.0.0.9")
	if told.reply.sname() != "files.example.net" || string(told.reply.get(66)) != "10.0.0.9" {
		t.Errorf("sname %q, 66 %q", told.reply.sname(), told.reply.get(66))
	}
	if !l.asked.IsBroadcast() {
		t.Error("the request's flag is clear: CoreDHCP would send from 10.0.0.9's address")
	}
	if told.reply.raw[10] != 0 {
		t.Error("the reply's flag is not what the client sent")
	}
	for name, r := range map[string]request4{"through a relay": relayed4(quiet), "renewing": {ciaddr: "10.0.0.100", options: asRequest(quiet).options}} {
		l.ask4(r.bytes())
		if l.asked.IsBroadcast() {
			t.Errorf("%s: the request's flag was set", name)
		}
	}
	own := lab(t, "rules: [{file: x}]\n")
	own.ask4(quiet.bytes())
	if own.asked.IsBroadcast() {
		t.Error("the request's flag was set, though the server is ours")
	}
}

func TestFurtherOptionsAndIPXESettingsAreSent(t *testing.T) {
	l := lab(t, `rules:
  - ipxe: true
    file: boot.ipxe
    options: {root-path: "nfs:10.0.0.1:/srv", domain-search: [a.example, example], 224: {hex: "01 02"}, 225: {ip: [10.0.0.1, 10.0.0.2]}, 226: {uint16: 513}, 227: {bool: true}}
    ipxe-options: {no-pxedhcp: false, priority: 3, scriptlet: shell}
  - {arch: bios, file: x, options: {vendor-encapsulated-options: "06 01 08 ff"}}
`)
	r := l.machine(ipxeBIOS, "52:54:00:aa:bb:05").discovers().reply
	for code, want := range map[uint8]string{
		17: "nfs:10.0.0.1:/srv", 119: "\x01a\x07example\x00\x07example\x00", 224: "\x01\x02", 225: "\x0a\x00\x00\x01\x0a\x00\x00\x02", 226: "\x02\x01", 227: "\x01",
		175: "\xb0\x01\x00\x01\x01\x03\x51\x05shell",
	} {
		if got := string(r.get(code)); got != want {
			t.Errorf("option %d = %q, want %q", code, got, want)
		}
	}
	r = l.machine(biosROM, "52:54:00:aa:bb:05").discovers().reply
	if string(r.get(60)) != "PXEClient" || !bytes.Equal(r.get(43), []byte{6, 1, 8, 255}) {
		t.Errorf("60 %q, 43 %x: firmware would ask port 4011", r.get(60), r.get(43))
	}
}

func TestIgnoredMachineBootsNothing(t *testing.T) {
	l := lab(t, "rules:\n  - {mac: \"52:54:00:00:ff:*\", ignore: true}\n  - {file: x}\n")
	l.machine(biosROM, "52:54:00:00:ff:01").discovers().bootsNothing().because("boot.yml:2 says ignore")
	l.machine(biosROM, "52:54:00:00:fe:01").discovers().isOffered("x")
}

func TestMachineWithoutARuleLeavesALine(t *testing.T) {
	l := lab(t, "rules: [{arch: uefi-x64, file: x}]\n")
	l.machine(biosROM, "52:54:00:00:ff:01").discovers().bootsNothing().because("no rule matches")
}

func TestDefaultArchitectureIsForMachinesThatTellNone(t *testing.T) {
	text := "default-arch: uefi-x64\nrules: [{arch: uefi-x64, file: x}]\n"
	silent := biosROM.with(opt(60, "PXEClient")).without(93)
	lab(t, text).machine(silent, "52:54:00:00:ff:01").discovers().isOffered("x")
	lab(t, text).machine(biosROM, "52:54:00:00:ff:01").discovers().bootsNothing()
	lab(t, text).machine(windows, "52:54:00:00:ff:01").discovers().bootsNothing()
	lab(t, text).machine(windows.with(bin(55, "01 42 43")), "52:54:00:00:ff:01").discovers().bootsNothing() // a phone, not a PC
}

func TestProvisioningSwitchThatAsksIsAnswered(t *testing.T) {
	l := lab(t, "rules: [{vendor-class: \"Arista;*\", file: \"http://10.0.0.1/ztp\"}]\n")
	arista := request4{options: []tlv{bin(53, "01"), opt(60, "Arista;DCS-7050;1.0"), bin(55, "01 03 42 43")}}
	l.machine(arista, "00:1c:73:00:00:01").discovers().isOffered("http://10.0.0.1/ztp")
	l.machine(arista.with(bin(55, "01 03")), "00:1c:73:00:00:01").discovers().bootsNothing()
}

func TestReplyThatIsNoLeaseIsLeftAlone(t *testing.T) {
	c := newChain(t, ordinary)
	c.four = c.four[2:] // no server_id before boot
	r := parse4(t, c.ask4(biosROM.bytes()))
	if r.bootFile() != "" {
		t.Error("names a file without a server")
	}
	found := false
	for _, e := range c.hook.AllEntries() {
		found = found || strings.Contains(e.Message, "put server_id before boot")
	}
	if !found {
		t.Error("no log line tells what is missing")
	}
}

func TestWhatOthersPutIntoTheReplyIsCleanedUp(t *testing.T) {
	c := newChain(t, ordinary)
	dirty := func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		for _, code := range []uint8{13, 43, 52, 60, 66, 67, 77, 97, 175} {
			resp.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte("left over")))
		}
		resp.BootFileName, resp.ServerHostName = "old", "old"
		return resp, false
	}
	c.four = []handler4{c.four[0], c.four[1], dirty, c.four[2]}
	for _, request := range []request4{edk2.without(97), ipxeEFI.without(97), httpBoot.without(97)} {
		r := parse4(t, c.ask4(request.bytes()))
		for _, code := range []uint8{13, 52, 77, 97} {
			if r.get(code) != nil {
				t.Errorf("option %d is there", code)
			}
		}
		for _, code := range []uint8{43, 60, 66, 67, 175} {
			if strings.Contains(string(r.get(code)), "left over") {
				t.Errorf("option %d is left over", code)
			}
		}
		if r.get(43) != nil || r.file() == "old" || r.sname() != "" {
			t.Errorf("43 = %x, file %q, sname %q", r.get(43), r.file(), r.sname())
		}
	}
}

func TestThePluginNeitherDropsNorEndsTheChain(t *testing.T) {
	c := newChain(t, ordinary)
	boot4, boot6 := c.four[2], c.six[1]
	for name, request := range map[string]request4{"a hit": edk2, "a miss": edk2.with(arch(33), pxe(33, "x")), "an operating system": windows} {
		req, err := dhcpv4.FromBytes(request.bytes())
		must(t, err)
		resp, err := dhcpv4.NewReplyFromRequest(req)
		must(t, err)
		for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeNak, dhcpv4.MessageTypeNone} {
			resp.UpdateOption(dhcpv4.OptMessageType(kind))
			resp.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1)))
			resp.BootFileName = ""
			if out, stop := boot4(req, resp); out != resp || stop {
				t.Errorf("%s, %s: dropped or stopped", name, kind)
			}
			if kind != dhcpv4.MessageTypeOffer && resp.BootFileName != "" {
				t.Errorf("%s: a %s has a boot file", name, kind)
			}
		}
	}
	if out, stop := boot4(nil, nil); out != nil || stop {
		t.Error("a request that another plugin dropped was taken up")
	}
	if out, stop := boot6(nil, nil); out != nil || stop {
		t.Error("a DHCPv6 request that another plugin dropped was taken up")
	}
}

func TestHostIsFoundByItsUUID(t *testing.T) {
	l := lab(t, `rules:
  - {ipxe: true, file: boot.ipxe}
  - {file: x}
hosts:
  - {uuid: 33221100-5544-7766-8899-aabbccddeeff, file: by-uuid}
  - {mac: "52:54:00:aa:bb:07", file: "http://10.0.0.1/only-ipxe.ipxe"}
`)
	l.machine(edk2, "52:54:00:aa:bb:06").discovers().isOffered("by-uuid").because("boot.yml:5")
	l.machine(edk2.without(97), "52:54:00:aa:bb:06").discovers().isOffered("x").because("boot.yml:3")
	l.machine(edk2, "52:54:00:aa:bb:07").discovers().isOffered("by-uuid").because("boot.yml:5") // its other entry is for iPXE
}

func TestHostileHostnameLeavesOneShortLine(t *testing.T) {
	text := "rules:\n"
	for range 100 {
		text += "  - {arch: bios, file: \"h/{hostname}\"}\n"
	}
	l := lab(t, text)
	m := biosROM.without(12)
	for range 40 { // the library joins options of one code
		m.options = append(m.options, opt(12, strings.Repeat("../\n", 60)))
	}
	told := l.machine(m, "52:54:00:aa:bb:66").discovers().bootsNothing().warns("would leave the directory")
	lines, size := 0, 0
	for _, e := range told.log {
		text, err := e.String()
		must(t, err)
		lines, size = lines+1, size+len(text)
	}
	if lines > 2 || size > 2000 {
		t.Errorf("%d lines, %d bytes of log", lines, size)
	}
}

func TestTheLogNamesTheRuleThatCouldNotAnswer(t *testing.T) {
	l := lab(t, "rules:\n  - {arch: uefi-x64, file: ipxe.efi}\n")
	l.machine(httpBoot, "52:54:00:aa:bb:05").discovers().bootsNothing().because("boot.yml:2: HTTP firmware needs the map's http: base")
}

func TestMenuOptionsGoOnlyToFirmwareThatBootsAtOnce(t *testing.T) {
	for vendor, want := range map[string]string{"06 01 08 ff": "PXEClient", "06 01 0b 0a 01 00 ff": "PXEClient", "06 01 03 ff": "", "01 04 0a000001": "", "80 01 02": "", "06": ""} {
		c := newChain(t, fmt.Sprintf("rules: [{file: x, options: {43: {hex: %q}}}]\n", vendor))
		r := parse4(t, c.ask4(edk2.bytes()))
		if string(r.get(60)) != want || (r.get(43) != nil) != (want != "") {
			t.Errorf("%s: 60 = %q, 43 = %x", vendor, r.get(60), r.get(43))
		}
	}
}

func TestAServerOfOneFamilyLeavesTheOther(t *testing.T) {
	c := newChain(t, "next-server: [10.0.0.1, \"2001:db8::1\"]\nrules: [{server: 10.0.0.9, file: x}]\n")
	if r := parse4(t, c.ask4(edk2.bytes())); r.siaddr().String() != "10.0.0.9" {
		t.Errorf("siaddr is %s", r.siaddr())
	}
	_, got := options6(t, c.ask6(message6(solicit, pxe6...)))
	if url := string(get6(got, 59)); url != "tftp://[2001:db8::1]/x" {
		t.Errorf("the URL is %q", url)
	}
}

func TestIPXEIsNotHandedIPXEByAPlaceholder(t *testing.T) {
	l := lab(t, "rules:\n  - {file: \"h/{hostname}\"}\n  - {ipxe: true, file: boot.ipxe}\n")
	l.machine(ipxeBIOS.with(opt(12, "undionly.kpxe")), "52:54:00:aa:bb:05").discovers().isOffered("boot.ipxe")
}

func TestASchemeIsReadInAnyCase(t *testing.T) {
	net := lab(t, "next-server: 192.0.2.1\nrules:\n  - {ipxe: true, features: menu, file: \"HTTPS://192.0.2.1/secret.ipxe\"}\n  - {file: \"HTTP://192.0.2.1/open\"}\n  - {file: plain}\n")
	rich := net.machine(ipxeBIOS.with(bin(175, "13 01 01 14 01 01 27 01 01")), "52:54:00:00:00:01")
	rich.discovers().isOffered("HTTPS://192.0.2.1/secret.ipxe")
	// Built without HTTPS, as it usually is on BIOS.
	usual := net.machine(ipxeBIOS.with(bin(175, "13 01 01 27 01 01")), "52:54:00:00:00:02")
	usual.discovers().isOffered("HTTP://192.0.2.1/open")
	poor := net.machine(ipxeBIOS.with(bin(175, "15 01 01")), "52:54:00:00:00:03")
	poor.discovers().isOffered("plain")
	net.machine(httpBoot, "52:54:00:00:00:04").discovers().isOffered("HTTP://192.0.2.1/open")
	net.machine(biosROM, "52:54:00:00:00:05").discovers().isOffered("plain")
}
