package packet_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/packet"
)

func bin(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// v4 is a DHCPv4 message with these options.
func v4(t testing.TB, options string) []byte {
	b := make([]byte, 236)
	b[0], b[1], b[2] = 2, 1, 6
	return append(append(b, 99, 130, 83, 99), bin(t, options)...)
}

func value(t *testing.T, message []byte, label string) string {
	t.Helper()
	fields, err := packet.Fields(message)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if f.Label() == label {
			return f.Value
		}
	}
	t.Errorf("has no %s: %v", label, fields)
	return ""
}

func TestAnOptionIsShownAsAPersonReadsIt(t *testing.T) {
	for _, s := range []struct{ option, label, want string }{
		{"01 04 ffffff00", "1 subnet mask", "255.255.255.0"},
		{"03 08 c0000201 c0000202", "3 routers", "192.0.2.1, 192.0.2.2"},
		{"03 05 c0000201 00", "3 routers", "c0 00 02 01 00"},
		{"33 04 00000e10", "51 lease time", "3600 s"},
		{"33 04 ffffffff", "51 lease time", "for ever"},
		{"35 01 05", "53 message type", "ACK"},
		{"35 01 63", "53 message type", "type 99"},
		{"37 03 01 03 43", "55 parameter list", "1,3,67"},
		{"3c 09 505845436c69656e74", "60 vendor class", `"PXEClient"`},
		{"3d 07 01525400aabb01", "61 client identifier", "52:54:00:aa:bb:01"},
		{"43 03 616200", "67 boot file", `"ab" and a NUL`},
		{"43 03 1b5b4a", "67 boot file", `"\x1b[J"`},
		{"43 00", "67 boot file", "empty"},
		{"2b 04 060108ff", "43 vendor options", "discovery control 8 (boot the file of this reply)"},
		{"52 0a 0104 65746830 0202 00ff", "82 relay agent", `circuit-id "eth0"; remote-id 0x00ff`},
		{"5d 04 0007 0010", "93 architecture", "7 uefi-x64, 16 uefi-x64 by HTTP"},
		{"5e 03 010310", "94 network interface", "type 1, version 3.16"},
		{"61 11 00 33221100554477668899aabbccddeeff", "97 machine UUID", "00112233-4455-6677-8899-aabbccddeeff"},
		{"77 0d 076578616d706c65036e6574 00", "119 search domains", `"example.net"`},
		{"77 02 c000", "119 search domains", "c0 00"},
		{"79 09 18 c00002 c0000201 00", "121 static routes", "18 c0 00 02 c0 00 02 01 00"},
		{"79 08 18 c00002 c0000201", "121 static routes", "192.0.2.0/24 via 192.0.2.1"},
		{"af 12 b10501808610 0e 130101 270101 eb03020000", "175 iPXE", "features http, menu; bus-id 01 80 86 10 0e; version 2.0.0"},
		{"af 0c b00101 bf0470617373 010105", "175 iPXE", "no-pxedhcp yes; password (4 bytes); priority 5"},
		{"e0 02 0102", "224 option", "01 02"},
	} {
		if got := value(t, v4(t, s.option+"ff"), s.label); got != s.want {
			t.Errorf("%s is shown as %s, not %s", s.option, got, s.want)
		}
	}
}

func TestADHCPv6OptionIsShownAsAPersonReadsIt(t *testing.T) {
	for _, s := range []struct{ option, label, want string }{
		{"0001 0012 0004 00112233445566778899aabbccddeeff", "1 client identifier", "DUID-UUID 00112233-4455-6677-8899-aabbccddeeff"},
		{"0002 000a 0003 0001 525400000001", "2 server identifier", "DUID-LL 52:54:00:00:00:01"},
		{"0001 000e 0001 0001 00000000 525400000001", "1 client identifier", "DUID-LLT 52:54:00:00:00:01"},
		{"0003 0028 00000001 00000000 00000000 0005 0018 20010db8000000000000000000000009 00000e10 00001c20", "3 address (IA_NA)", "IAID 00000001, 2001:db8::9 for 7200 s"},
		{"0003 0012 00000001 00000000 00000000 000d 0002 0002", "3 address (IA_NA)", "IAID 00000001, status no addresses available"},
		{"0006 0004 003b 0017", "6 option request", "59,23"},
		{"0007 0001 ff", "7 preference", "255"},
		{"000f 0006 0004 69505845", "15 user class", `"iPXE"`},
		{"0010 0010 00000157 000a 48545450436c69656e74", "16 vendor class", `"HTTPClient" of enterprise 343`},
		{"0017 0010 20010db8000000000000000000000053", "23 DNS servers", "2001:db8::53"},
		{"0025 0007 00000009 737731", "37 remote-id", `"sw1" of enterprise 9`},
		{"0027 0007 00 05 6e6f646537", "39 client FQDN", `"node7"`},
		{"003b 0005 7466747000", "59 boot file URL", `"tftp" and a NUL`},
		{"003d 0002 0010", "61 architecture", "16 uefi-x64 by HTTP"},
		{"ffff 0000", "65535 option", "empty"},
	} {
		if got := value(t, bin(t, "01 112233"+s.option), s.label); got != s.want {
			t.Errorf("%s is shown as %s, not %s", s.option, got, s.want)
		}
	}
}

func TestTheTypeOfARelayedMessageIsTheClients(t *testing.T) {
	relayed := "0c 00" + strings.Repeat("00", 32) + "0009 0004 01112233"
	if got := packet.Type(bin(t, relayed)); got != "SOLICIT" {
		t.Errorf("is %s", got)
	}
	if got := packet.Type(v4(t, "ff")); got != "BOOTP" {
		t.Errorf("is %s", got)
	}
}

func FuzzFieldsTakeAnyBytes(f *testing.F) {
	f.Add(v4(f, "350101 5200 2b04060108ff afff"))
	f.Add(bin(f, "0c 00"+strings.Repeat("00", 32)+"0009 0008 01112233 0003 0000"))
	f.Add(bin(f, "01 112233 0003 0028 00000001 00000000 00000000 0005 0018 20010db8000000000000000000000009 00000e10 00001c20"))
	f.Fuzz(func(t *testing.T, message []byte) {
		fields, _ := packet.Fields(message)
		_ = packet.Type(message)
		for _, field := range fields {
			if i := strings.IndexFunc(field.Label()+field.Value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
				t.Errorf("%s is shown with a character that is none: %q", field.Label(), field.Value)
			}
			if len(field.Value) > 16*1024 {
				t.Errorf("%s has %d characters", field.Label(), len(field.Value))
			}
		}
	})
}
