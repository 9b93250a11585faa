package netboot_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

func option(code uint8, value string) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) {
		if value != "" {
			d.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
		}
	}
}

func client4(t *testing.T, mac string, mods ...dhcpv4.Modifier) netboot.Client {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	req, err := dhcpv4.NewDiscovery(hw, append([]dhcpv4.Modifier{func(d *dhcpv4.DHCPv4) { d.Options.Del(dhcpv4.OptionParameterRequestList) }}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := netboot.Client4(req)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	qemu = "52:54:00:aa:bb:cc"
	pi   = "dc:a6:32:12:34:56"
)

func TestTheLadderTellsTheArchitectureAndItsRung(t *testing.T) {
	for _, s := range []struct {
		name, mac, arch, class, uuid string
		want                         string
		by                           netboot.ArchSource
		firmware                     netboot.Firmware
	}{
		{"option 93", qemu, "\x00\x07", "PXEClient:Arch:00007:UNDI:003016", "", "uefi-x64", netboot.ArchByOption, netboot.FirmwarePXE},
		{"the first of two", qemu, "\x00\x0b\x00\x00", "PXEClient", "", "uefi-arm64", netboot.ArchByOption, netboot.FirmwarePXE},
		{"9 is x64", qemu, "\x00\x09", "PXEClient", "", "uefi-x64", netboot.ArchByOption, netboot.FirmwarePXE},
		{"17 is x64 by HTTP", qemu, "\x00\x11", "HTTPClient", "", "uefi-x64", netboot.ArchByOption, netboot.FirmwareHTTP},
		{"HTTP by the number alone", qemu, "\x00\x10", "", "", "uefi-x64", netboot.ArchByOption, netboot.FirmwareHTTP},
		{"the class decides the protocol", qemu, "\x00\x10", "PXEClient:Arch:00016", "", "uefi-x64", netboot.ArchByOption, netboot.FirmwarePXE},
		{"loongarch, newer than the library", qemu, "\x00\x28", "HTTPClient", "", "uefi-loong64", netboot.ArchByOption, netboot.FirmwareHTTP},
		{"37 has no name", qemu, "\x00\x25", "PXEClient", "", "37", netboot.ArchByOption, netboot.FirmwarePXE},
		{"odd length", qemu, "\x00\x07\x00", "PXEClient:Arch:00011:UNDI:003016", "", "uefi-arm64", netboot.ArchByVendorClass, netboot.FirmwarePXE},
		{"one byte", qemu, "\x07", "PXEClient:Arch:00007:UNDI:003016", "", "uefi-x64", netboot.ArchByVendorClass, netboot.FirmwarePXE},
		{"65535", qemu, "\xff\xff", "PXEClient:Arch:00006:UNDI:003016", "", "uefi-ia32", netboot.ArchByVendorClass, netboot.FirmwarePXE},
		{"65535 and no class", qemu, "\xff\xff", "", "", "unknown", netboot.ArchNotTold, netboot.FirmwarePXE},
		{"hexadecimal, as U-Boot prints it", qemu, "", "PXEClient:Arch:0000b:UNDI:003000", "", "uefi-arm64", netboot.ArchByVendorClass, netboot.FirmwarePXE},
		{"a class without a number", qemu, "", "PXEClient:Arch:x", "", "unknown", netboot.ArchNotTold, netboot.FirmwarePXE},
		{"U-Boot that claims to be a BIOS", qemu, "\x00\x00", "U-Boot.armv8", "", "uboot-arm64", netboot.ArchByVendorClass, netboot.FirmwarePXE},
		{"U-Boot without option 93", qemu, "", "U-Boot.armv7", "", "uboot-arm32", netboot.ArchByVendorClass, netboot.FirmwarePXE},
		{"a Pi by its address", pi, "\x00\x00", "PXEClient:Arch:00000:UNDI:002001", "", "rpi", netboot.ArchByPi, netboot.FirmwarePXE},
		{"a Pi by its UUID", qemu, "\x00\x00", "PXEClient:Arch:00000:UNDI:002001", "\x00" + strings.Repeat("\x44", 16), "rpi", netboot.ArchByPi, netboot.FirmwarePXE},
		{"a Pi with UEFI", pi, "\x00\x0b", "PXEClient:Arch:00011:UNDI:003000", "", "uefi-arm64", netboot.ArchByOption, netboot.FirmwarePXE},
		{"an operating system", qemu, "", "MSFT 5.0", "", "unknown", netboot.ArchNotTold, netboot.FirmwareNone},
		{"nothing at all", qemu, "", "", "", "unknown", netboot.ArchNotTold, netboot.FirmwareNone},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := client4(t, s.mac, option(93, s.arch), option(60, s.class), option(97, s.uuid))
			if c.Arch.String() != s.want || c.ArchBy != s.by || c.Firmware != s.firmware {
				t.Errorf("is %s by %s, %s; want %s by %s, %s", c.Arch, c.ArchBy, c.Firmware, s.want, s.by, s.firmware)
			}
		})
	}
}

func TestIPXEIsKnownByClassOrOption175(t *testing.T) {
	for name, s := range map[string]struct {
		class, features string
		want            bool
	}{
		"raw": {"iPXE", "", true}, "framed": {"\x04iPXE", "", true}, "second of two": {"\x03foo\x04iPXE", "", true},
		"longer": {"iPXE-lab", "", true}, "gPXE": {"gPXE", "", true}, "with NUL": {"iPXE\x00", "", true},
		"another class and 175": {"PlainPXE", "\xb1\x01\x01", true}, "175 alone": {"", "\x13\x01\x01", true},
		"inside a word": {"xiPXEx", "", false}, "other case": {"ipxe", "", false}, "bad frame": {"\x09iPXE", "", false}, "none": {"", "", false},
	} {
		c := client4(t, qemu, option(93, "\x00\x00"), option(60, "PXEClient"), option(77, s.class), option(175, s.features))
		if got := c.Firmware == netboot.FirmwareIPXE; got != s.want {
			t.Errorf("%s: iPXE %v, want %v", name, got, s.want)
		}
	}
}

func TestFeaturesAreRead(t *testing.T) {
	http, _ := netboot.ParseFeature("http")
	menu, _ := netboot.ParseFeature("menu")
	for name, s := range map[string]struct {
		option string
		want   netboot.Features
	}{
		"both":               {"\xb1\x05\x01\x80\x86\x10\x0e\x13\x01\x01\x27\x01\x01\xeb\x03\x02\x00\x00", http | menu},
		"cut short":          {"\x13\x01\x01\x27\x05\x01", http},
		"padded":             {"\x00\x13\x01\x01\x00", http},
		"without a version":  {"\x13\x00\x27\x01\x01", menu},
		"version is not one": {"\xeb\x03\x13\x01\x01", 0},
	} {
		c := client4(t, qemu, option(93, "\x00\x00"), option(175, s.option))
		if c.Features != s.want || !c.FeaturesKnown {
			t.Errorf("%s: %b, want %b", name, c.Features, s.want)
		}
	}
}

func TestUUIDsAreReadInTheByteOrderOfWhoSendsThem(t *testing.T) {
	raw := "\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
	for class, want := range map[string]string{
		"PXEClient":    "33221100-5544-7766-8899-aabbccddeeff",
		"U-Boot.armv8": "00112233-4455-6677-8899-aabbccddeeff",
	} {
		if c := client4(t, qemu, option(97, raw), option(60, class)); c.UUID.String() != want {
			t.Errorf("%s: %s, want %s", class, c.UUID, want)
		}
	}
	for _, bad := range []string{raw[:16], "\x01" + raw[1:], "\x00" + strings.Repeat("\x00", 16)} {
		if c := client4(t, qemu, option(97, bad)); c.UUID.Known() {
			t.Errorf("%x is taken for %s", bad, c.UUID)
		}
	}
}

func TestWhoAsksForABootFileIsHeard(t *testing.T) {
	if c := client4(t, qemu, option(55, "\x01\x42")); !c.Boots() {
		t.Error("asks for option 66, and is not heard")
	}
	if c := client4(t, qemu, option(55, "\x01\x03")); c.Boots() {
		t.Error("does not ask")
	}
}

func TestIPXEBinariesAreKnownByName(t *testing.T) {
	for name, want := range map[string]bool{
		"undionly.kpxe": true, "boot/UNDIONLY.KPXE": true, "ipxe.efi": true, "ipxe-x86_64.efi": true, "ipxe_i386.efi": true,
		"snponly.efi": true, "snp.efi": true, "ipxe.pxe": true, "ipxe.lkrn": true, "realtek.kkpxe": true, "undionly.0": true,
		"http://192.0.2.1/ipxe.efi?mac=x": true, "ipxe-snponly-x86_64.efi": true,
		"pxelinux.0": false, "grubx64.efi": false, "boot.ipxe": false, "snapshot.efi": false, "shimx64.efi": false, "": false,
		"http://192.0.2.1/boot.php?f=ipxe.efi": false, "ipxe.efi/x": false,
	} {
		if got := netboot.IsIPXEBinary(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestDHCPv6TellsAMachineByItsDUIDOrItsRelay(t *testing.T) {
	solicit := func(duid dhcpv6.DUID, ipxe bool) *dhcpv6.Message {
		m, err := dhcpv6.NewMessage()
		if err != nil {
			t.Fatal(err)
		}
		m.MessageType = dhcpv6.MessageTypeSolicit
		m.AddOption(dhcpv6.OptClientID(duid))
		m.AddOption(dhcpv6.OptClientArchType(iana.EFI_X86_64))
		if ipxe {
			m.AddOption(&dhcpv6.OptUserClass{UserClasses: [][]byte{[]byte("iPXE")}})
		}
		return m
	}
	uuid := [16]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	hw := net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}
	relayed, err := dhcpv6.EncapsulateRelay(solicit(&dhcpv6.DUIDUUID{UUID: uuid}, false), dhcpv6.MessageTypeRelayForward,
		net.ParseIP("2001:db8:9::1"), net.ParseIP("fe80::5054:ff:feaa:bbcc"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := dhcpv6.EncapsulateRelay(relayed, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:1::1"), net.ParseIP("2001:db8:9::1"))
	if err != nil {
		t.Fatal(err)
	}
	told, err := dhcpv6.EncapsulateRelay(solicit(&dhcpv6.DUIDUUID{UUID: uuid}, false), dhcpv6.MessageTypeRelayForward,
		net.ParseIP("2001:db8:9::1"), net.ParseIP("fe80::1"))
	if err != nil {
		t.Fatal(err)
	}
	told.AddOption(dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, hw))
	for name, s := range map[string]struct {
		req             dhcpv6.DHCPv6
		mac, uuid, link string
	}{
		"DUID-LLT":                    {solicit(&dhcpv6.DUIDLLT{HWType: iana.HWTypeEthernet, Time: 7, LinkLayerAddr: hw}, false), qemu, "", ""},
		"the relay's word (RFC 6939)": {told, qemu, "33221100-5544-7766-8899-aabbccddeeff", "2001:db8:9::1"},
		"DUID-LL":                     {solicit(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: hw}, false), qemu, "", ""},
		"EDK2's DUID-UUID":            {solicit(&dhcpv6.DUIDUUID{UUID: uuid}, false), "", "33221100-5544-7766-8899-aabbccddeeff", ""},
		"iPXE's DUID-UUID":            {solicit(&dhcpv6.DUIDUUID{UUID: uuid}, true), "", "00112233-4455-6677-8899-aabbccddeeff", ""},
		"the relay's sight":           {relayed, qemu, "33221100-5544-7766-8899-aabbccddeeff", "2001:db8:9::1"},
		"through two relays":          {twice, qemu, "33221100-5544-7766-8899-aabbccddeeff", "2001:db8:9::1"},
	} {
		c, err := netboot.Client6(s.req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		link := ""
		if c.Relay.Addr.IsValid() {
			link = c.Relay.Addr.String()
		}
		if c.MAC.String() != s.mac || c.UUID.String() != s.uuid || link != s.link {
			t.Errorf("%s: mac %q uuid %q link %q; want %q %q %q", name, c.MAC, c.UUID, link, s.mac, s.uuid, s.link)
		}
	}
}

// A name that does not fit the header's field is left out of it, never cut: on its bytes, as they go onto the wire.
func TestALongNameIsNotCut(t *testing.T) {
	for _, n := range []int{1, 127, 128, 254} {
		name := strings.Repeat("n", n)
		req, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := dhcpv4.NewReplyFromRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		netboot.Answer{Server: netip.MustParseAddr("192.0.2.1"), Firmware: netboot.FirmwarePXE, File: name}.Write4(req, resp)
		field := strings.TrimRight(string(resp.ToBytes()[108:236]), "\x00")
		want := name
		if n > 127 {
			want = ""
		}
		if field != want {
			t.Errorf("%d bytes: the header's file has %d", n, len(field))
		}
		if got := string(resp.Options.Get(dhcpv4.OptionBootfileName)); got != name+"\x00" {
			t.Errorf("%d bytes: option 67 is %q", n, got)
		}
	}
}

func TestTheItemThatAClientChoseIsRead(t *testing.T) {
	for vendor, want := range map[string]netboot.BootItem{
		"\x47\x04\x80\x00\x00\x00\xff":                     {Type: 0x8000},
		"\x47\x04\x80\x02\x80\x01":                         {Type: 0x8002, Layer: 0x8001}, // without an end
		"\x00\x06\x01\x08\x00\x47\x04\x80\x02\x00\x00\xff": {Type: 0x8002},                // behind padding and others
		"\xff\x47\x04\x80\x02\x00\x00":                     {},                            // behind the end
		"\x47\x04\x80\x02\x00":                             {},                            // cut short
		"\x47\x03\x80\x02\x00\xff":                         {},
		"\x47\x05\x80\x02\x00\x00\x00\xff":                 {},
		"\x06\xff\x47\x04\x80\x02\x00\x00":                 {}, // inside another
		"\x47":                                             {}, "": {},
	} {
		if c := client4(t, "52:54:00:aa:bb:cc", option(43, vendor)); c.Item != want {
			t.Errorf("%x: %+v, want %+v", vendor, c.Item, want)
		}
	}
}

// FuzzVendorOptions reads any bytes as PXE's own options, and finds an item behind whatever well-formed ones.
func FuzzVendorOptions(f *testing.F) {
	f.Add([]byte("\x47\x04\x80\x00\x00\x00\xff"), uint16(1), uint16(2))
	f.Add([]byte{6, 1, 8, 255}, uint16(0x8000), uint16(0))
	f.Fuzz(func(t *testing.T, raw []byte, kind, layer uint16) {
		raw = raw[:min(len(raw), 200)]
		read := func(vendor []byte) netboot.BootItem {
			req, err := dhcpv4.New(dhcpv4.WithGeneric(dhcpv4.OptionVendorSpecificInformation, vendor))
			if err != nil {
				t.Fatal(err)
			}
			c, err := netboot.Client4(req)
			if err != nil {
				t.Fatal(err)
			}
			return c.Item
		}
		read(raw)
		netboot.TakesFileAtOnce(raw)
		item := []byte{71, 4, byte(kind >> 8), byte(kind), byte(layer >> 8), byte(layer)}
		before := append([]byte{200, byte(len(raw))}, raw...) // one option of another code, whatever it holds
		if got := read(append(before, item...)); got != (netboot.BootItem{Type: kind, Layer: layer}) {
			t.Errorf("%x: %+v", append(before, item...), got)
		}
	})
}

// FuzzClient reads any bytes as a request of either family.
func FuzzClient(f *testing.F) {
	f.Add([]byte{1, 1, 6, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if req, err := dhcpv4.FromBytes(b); err == nil {
			if c, err := netboot.Client4(req); err == nil && c.Firmware == netboot.FirmwareNone && c.ArchBy == netboot.ArchByOption {
				t.Error("told its architecture, and is no boot firmware")
			}
		}
		if req, err := dhcpv6.FromBytes(b); err == nil {
			_, _ = netboot.Client6(req)
		}
	})
}

// A remote-id is told apart from the enterprise number before it; the relay on the client's link counts.
func TestDHCPv6RelaysTellWhereTheClientIs(t *testing.T) {
	m, err := dhcpv6.NewMessage()
	if err != nil {
		t.Fatal(err)
	}
	m.MessageType = dhcpv6.MessageTypeSolicit
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}}))
	// A switch on the link has no address (RFC 6221); the router behind it has.
	ldra, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.IPv6unspecified, net.ParseIP("fe80::1"))
	if err != nil {
		t.Fatal(err)
	}
	ldra.AddOption(dhcpv6.OptInterfaceID([]byte("ge-0/0/7")))
	ldra.AddOption(&dhcpv6.OptRemoteID{EnterpriseNumber: 2636, RemoteID: []byte("rack-4")})
	router, err := dhcpv6.EncapsulateRelay(ldra, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:9::1"), net.ParseIP("fe80::2"))
	if err != nil {
		t.Fatal(err)
	}
	router.AddOption(dhcpv6.OptInterfaceID([]byte("vlan9")))
	// As it comes from the wire.
	req, err := dhcpv6.FromBytes(router.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	c, err := netboot.Client6(req)
	if err != nil {
		t.Fatal(err)
	}
	if c.Relay.Addr.String() != "2001:db8:9::1" || c.Relay.CircuitID != "ge-0/0/7" || c.Relay.RemoteID != "rack-4" {
		t.Errorf("the relay is %+v", c.Relay)
	}
}
