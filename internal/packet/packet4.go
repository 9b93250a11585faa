package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

var messages4 = []string{"", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM", "FORCERENEW",
	"LEASEQUERY", "LEASEUNASSIGNED", "LEASEUNKNOWN", "LEASEACTIVE"}

type option struct {
	code  int
	value []byte
	cut   bool // the message ends inside of it
}

// options4 are the options of a DHCPv4 message, or the items of an encapsulating option, up to their END.
func options4(b []byte) (list []option) {
	for len(b) > 0 && b[0] != 255 {
		switch {
		case b[0] == 0:
			b = b[1:]
			continue
		case len(b) < 2 || len(b) < 2+int(b[1]):
			return append(list, option{int(b[0]), b[min(2, len(b)):], true})
		}
		n := int(b[1])
		list = append(list, option{code: int(b[0]), value: b[2 : 2+n]})
		b = b[2+n:]
	}
	return list
}

func fields4(b []byte) ([]Field, error) {
	hlen := min(int(b[2]), 16)
	ip := func(at int) string { return net.IP(b[at : at+4]).String() }
	flags := fmt.Sprintf("%#04x", binary.BigEndian.Uint16(b[10:]))
	if b[10]&0x80 != 0 {
		flags += " broadcast"
	}
	var list []Field
	header := func(name, value string, from, to int) {
		if value == "" && to-from == 1 {
			value = fmt.Sprint(b[from])
		}
		list = append(list, Field{Name: name, Value: value, Hex: digits(b[from:to])})
	}
	header("op", map[byte]string{1: "request", 2: "reply"}[b[0]], 0, 1)
	header("htype", map[byte]string{1: "1 Ethernet"}[b[1]], 1, 2)
	header("hlen", fmt.Sprint(b[2]), 2, 3)
	header("hops", fmt.Sprint(b[3]), 3, 4)
	header("xid", "0x"+digits(b[4:8]), 4, 8)
	header("secs", fmt.Sprint(binary.BigEndian.Uint16(b[8:])), 8, 10)
	header("flags", flags, 10, 12)
	header("ciaddr", ip(12), 12, 16)
	header("yiaddr", ip(16), 16, 20)
	header("siaddr", ip(20), 20, 24)
	header("giaddr", ip(24), 24, 28)
	header("chaddr", net.HardwareAddr(b[28:28+hlen]).String(), 28, 44)
	header("sname", quote(untilNUL(b[44:108])), 44, 108)
	header("file", quote(untilNUL(b[108:236])), 108, 236)
	for _, o := range options4(b[240:]) {
		known := optionsV4[o.code]
		if known.name == "" {
			known.name = "option"
		}
		f := Field{Name: known.name, Code: o.code, Value: show(known.kind, o.value), Hex: digits(o.value)}
		list = append(list, f)
		if o.cut {
			return list, errCut
		}
	}
	return list, nil
}

func untilNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// optionsV4 has the names that RFC 2132 and dhcpd use.
var optionsV4 = map[int]struct {
	name string
	kind kind
}{
	1: {"subnet mask", asIPs(4)}, 2: {"time offset", asNumber(4, "s")}, 3: {"routers", asIPs(4)}, 4: {"time servers", asIPs(4)},
	5: {"name servers", asIPs(4)}, 6: {"DNS servers", asIPs(4)}, 7: {"log servers", asIPs(4)}, 9: {"LPR servers", asIPs(4)},
	12: {"host name", asText}, 13: {"boot file size", asNumber(2, "blocks")}, 15: {"domain name", asText},
	17: {"root path", asText}, 23: {"default TTL", asNumber(1, "")}, 26: {"interface MTU", asNumber(2, "bytes")},
	28: {"broadcast address", asIPs(4)}, 33: {"static routes", asIPs(4)}, 40: {"NIS domain", asText}, 41: {"NIS servers", asIPs(4)},
	42: {"NTP servers", asIPs(4)}, 43: {"vendor options", asVendor}, 44: {"NetBIOS name servers", asIPs(4)},
	46: {"NetBIOS node type", asNumber(1, "")}, 50: {"requested address", asIPs(4)}, 51: {"lease time", asNumber(4, "s")},
	52: {"overload", asNumber(1, "")}, 53: {"message type", asMessage4}, 54: {"server identifier", asIPs(4)},
	55: {"parameter list", asCodes}, 56: {"message", asText}, 57: {"maximum size", asNumber(2, "bytes")},
	58: {"renewal time", asNumber(4, "s")}, 59: {"rebinding time", asNumber(4, "s")}, 60: {"vendor class", asText},
	61: {"client identifier", asClientID}, 66: {"boot server", asText}, 67: {"boot file", asText}, 77: {"user class", asText},
	81: {"client FQDN", asHex}, 82: {"relay agent", asRelay}, 93: {"architecture", asArchs}, 94: {"network interface", asInterface},
	97: {"machine UUID", asUUID}, 108: {"IPv6-only preferred", asNumber(4, "s")}, 116: {"auto-configure", asSwitch},
	119: {"search domains", asDomains}, 121: {"static routes", asRoutes}, 150: {"TFTP servers", asIPs(4)},
	175: {"iPXE", asIPXE}, 209: {"PXELINUX configuration", asText}, 210: {"PXELINUX path prefix", asText},
	211: {"PXELINUX reboot time", asNumber(4, "s")}, 252: {"proxy or BCD", asText},
}

func asMessage4(b []byte) (string, bool) {
	if len(b) != 1 {
		return "", false
	}
	return named(messages4, int(b[0])), true
}

func asCodes(b []byte) (string, bool) {
	return numbers(b, ","), len(b) > 0
}

func asClientID(b []byte) (string, bool) {
	switch {
	case len(b) == 7 && b[0] == 1:
		return net.HardwareAddr(b[1:]).String(), true
	case len(b) > 1 && b[0] == 0 && readable(b[1:]):
		return quote(b[1:]), true
	}
	return "", false
}

// asUUID shows the bytes both ways: machines differ in whether the first three fields are little-endian.
func asUUID(b []byte) (string, bool) {
	if len(b) != 17 || b[0] != 0 {
		return "", false
	}
	u := b[1:]
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x", u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8:10], u[10:]), true
}

func asRelay(b []byte) (string, bool) {
	return items(b, func(o option) string {
		switch o.code {
		case 1:
			return "circuit-id " + show(asID, o.value)
		case 2:
			return "remote-id " + show(asID, o.value)
		case 5:
			return "link " + show(asIPs(4), o.value)
		case 11:
			return "server-id override " + show(asIPs(4), o.value)
		}
		return fmt.Sprintf("%d: %s", o.code, show(nil, o.value))
	})
}

func asID(b []byte) (string, bool) {
	if readable(b) {
		return quote(b), true
	}
	return "0x" + digits(b), len(b) > 0
}

// items shows an encapsulating option.
func items(b []byte, text func(option) string) (string, bool) {
	var out []string
	for _, o := range options4(b) {
		if o.cut {
			return "", false
		}
		out = append(out, text(o))
	}
	return strings.Join(out, "; "), len(out) > 0
}

// asVendor is option 43 as PXE has it (PXE 2.1 section 2.2.3).
func asVendor(b []byte) (string, bool) {
	return items(b, func(o option) string {
		switch {
		case o.code == 6 && len(o.value) == 1:
			var how []string
			for bit, text := range []string{"no broadcast", "no multicast", "only listed servers", "boot the file of this reply"} {
				if o.value[0]&(1<<bit) != 0 {
					how = append(how, text)
				}
			}
			return fmt.Sprintf("discovery control %d (%s)", o.value[0], strings.Join(how, ", "))
		case o.code == 8:
			return "boot servers " + spaced(o.value)
		case o.code == 9 && len(o.value) > 3:
			return "boot menu " + quote(o.value[3:])
		case o.code == 10 && len(o.value) > 1:
			return fmt.Sprintf("menu prompt %s after %d s", quote(o.value[1:]), o.value[0])
		}
		return fmt.Sprintf("%d: %s", o.code, show(nil, o.value))
	})
}

// asRoutes reads classless static routes (RFC 3442).
func asRoutes(b []byte) (string, bool) {
	var out []string
	for len(b) > 0 {
		n := (int(b[0]) + 7) / 8
		if b[0] > 32 || len(b) < 1+n+4 {
			return "", false
		}
		var dest [4]byte
		copy(dest[:], b[1:1+n])
		out = append(out, fmt.Sprintf("%s/%d via %s", net.IP(dest[:]), b[0], net.IP(b[1+n:5+n])))
		b = b[5+n:]
	}
	return strings.Join(out, ", "), len(out) > 0
}
