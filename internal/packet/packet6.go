package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

var messages6 = []string{"", "SOLICIT", "ADVERTISE", "REQUEST", "CONFIRM", "RENEW", "REBIND", "REPLY", "RELEASE", "DECLINE",
	"RECONFIGURE", "INFORMATION-REQUEST", "RELAY-FORW", "RELAY-REPL"}

// maxDepth is how many relays (RFC 8415 section 7.6: 8 hops) and nested options are followed.
const maxDepth = 32

const (
	relayForw, relayRepl = 12, 13
	relayHeader          = 34
	relayMessage6        = 9
)

// options6 are the options of a DHCPv6 message, as far as they go.
func options6(b []byte) (list []option) {
	for len(b) > 0 {
		if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
			return append(list, option{cut: true})
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		list = append(list, option{code: int(binary.BigEndian.Uint16(b)), value: b[4 : 4+n]})
		b = b[4+n:]
	}
	return list
}

// relayed6 is the message inside a relay's; nil: there is none.
func relayed6(b []byte) []byte {
	if len(b) < relayHeader || b[0] != relayForw && b[0] != relayRepl {
		return nil
	}
	for _, o := range options6(b[relayHeader:]) {
		if o.code == relayMessage6 && len(o.value) > 0 {
			return o.value
		}
	}
	return nil
}

func fields6(b []byte) ([]Field, error) { return layer6(b, 0) }

func layer6(b []byte, depth int) ([]Field, error) {
	if len(b) < 4 || depth > maxDepth {
		return nil, errShort
	}
	list := []Field{{Name: "type", Value: named(messages6, int(b[0])), Hex: digits(b[:1])}}
	rest := b[4:]
	if b[0] == relayForw || b[0] == relayRepl {
		if len(b) < relayHeader {
			return list, errShort
		}
		link, _ := netip.AddrFromSlice(b[2:18])
		peer, _ := netip.AddrFromSlice(b[18:34])
		list = append(list, Field{Name: "hops", Value: fmt.Sprint(b[1]), Hex: digits(b[1:2])},
			Field{Name: "link address", Value: link.String(), Hex: digits(b[2:18])},
			Field{Name: "peer address", Value: peer.String(), Hex: digits(b[18:34])})
		rest = b[relayHeader:]
	} else {
		list = append(list, Field{Name: "xid", Value: "0x" + digits(b[1:4]), Hex: digits(b[1:4])})
	}
	for _, o := range options6(rest) {
		if o.cut {
			return list, errCut
		}
		if o.code == relayMessage6 {
			inner, err := layer6(o.value, depth+1)
			list = append(list, inner...)
			if err != nil {
				return list, err
			}
			continue
		}
		known := optionsV6[o.code]
		if known.name == "" {
			known.name = "option"
		}
		list = append(list, Field{Name: known.name, Code: o.code, Value: show(known.kind, o.value), Hex: digits(o.value)})
	}
	return list, nil
}

var optionsV6 = map[int]struct {
	name string
	kind kind
}{
	1: {"client identifier", asDUID}, 2: {"server identifier", asDUID}, 3: {"address (IA_NA)", asIA(12)}, 4: {"address (IA_TA)", asIA(4)},
	6: {"option request", asCodes6}, 7: {"preference", asNumber(1, "")}, 8: {"elapsed time", asNumber(2, "hundredths of a second")},
	13: {"status", asStatus}, 14: {"rapid commit", asNothing}, 15: {"user class", asClasses}, 16: {"vendor class", asVendorClass},
	18: {"interface-id", asID}, 23: {"DNS servers", asIPs(16)}, 24: {"search domains", asDomains}, 25: {"prefix (IA_PD)", asIA(12)},
	31: {"SNTP servers", asIPs(16)}, 37: {"remote-id", asRemote6}, 39: {"client FQDN", asFQDN}, 59: {"boot file URL", asText},
	60: {"boot file parameters", asClasses}, 61: {"architecture", asArchs}, 62: {"network interface", asInterface},
	79: {"client MAC", asLinkLayer},
}

func asNothing(b []byte) (string, bool) { return "yes", len(b) == 0 }

func asCodes6(b []byte) (string, bool) {
	var out []string
	for ; len(b) >= 2; b = b[2:] {
		out = append(out, fmt.Sprint(binary.BigEndian.Uint16(b)))
	}
	return strings.Join(out, ","), len(b) == 0 && len(out) > 0
}

func asDUID(b []byte) (string, bool) {
	if len(b) < 3 {
		return "", false
	}
	switch kind, rest := binary.BigEndian.Uint16(b), b[2:]; {
	case kind == 1 && len(rest) > 6:
		return "DUID-LLT " + net.HardwareAddr(rest[6:]).String(), true
	case kind == 2 && len(rest) > 4:
		return fmt.Sprintf("DUID-EN %d %x", binary.BigEndian.Uint32(rest), rest[4:]), true
	case kind == 3 && len(rest) > 2:
		return "DUID-LL " + net.HardwareAddr(rest[2:]).String(), true
	case kind == 4 && len(rest) == 16:
		return fmt.Sprintf("DUID-UUID %x-%x-%x-%x-%x", rest[:4], rest[4:6], rest[6:8], rest[8:10], rest[10:]), true
	}
	return "", false
}

// asIA shows the addresses and prefixes of an identity association, whose own header has this many bytes.
func asIA(header int) kind {
	return func(b []byte) (string, bool) {
		if len(b) < header {
			return "", false
		}
		out := []string{fmt.Sprintf("IAID %x", b[:4])}
		for _, o := range options6(b[header:]) {
			switch {
			case o.cut:
				return "", false
			case o.code == 5 && len(o.value) >= 24:
				a, _ := netip.AddrFromSlice(o.value[:16])
				out = append(out, fmt.Sprintf("%s for %d s", a, binary.BigEndian.Uint32(o.value[20:])))
			case o.code == 26 && len(o.value) >= 25:
				a, _ := netip.AddrFromSlice(o.value[9:25])
				out = append(out, fmt.Sprintf("%s/%d for %d s", a, o.value[8], binary.BigEndian.Uint32(o.value[4:])))
			case o.code == 13:
				out = append(out, "status "+show(asStatus, o.value))
			default:
				out = append(out, fmt.Sprintf("%d: %s", o.code, show(nil, o.value)))
			}
		}
		return strings.Join(out, ", "), true
	}
}

func asStatus(b []byte) (string, bool) {
	if len(b) < 2 {
		return "", false
	}
	names := []string{"success", "unspecified failure", "no addresses available", "no binding", "not on link", "use multicast", "no prefix available"}
	code := int(binary.BigEndian.Uint16(b))
	text := fmt.Sprint(code)
	if code < len(names) {
		text = names[code]
	}
	if len(b) > 2 {
		text += " " + quote(b[2:])
	}
	return text, true
}

// asClasses reads texts, each behind its length (RFC 8415 section 21.15, RFC 5970 section 3.2).
func asClasses(b []byte) (string, bool) {
	var out []string
	for len(b) >= 2 && len(b) >= 2+int(binary.BigEndian.Uint16(b)) {
		n := int(binary.BigEndian.Uint16(b))
		out = append(out, quote(b[2:2+n]))
		b = b[2+n:]
	}
	return strings.Join(out, ", "), len(b) == 0 && len(out) > 0
}

func asVendorClass(b []byte) (string, bool) {
	if len(b) < 4 {
		return "", false
	}
	texts, ok := asClasses(b[4:])
	return fmt.Sprintf("%s of enterprise %d", texts, binary.BigEndian.Uint32(b)), ok
}

func asRemote6(b []byte) (string, bool) {
	if len(b) < 5 {
		return "", false
	}
	return fmt.Sprintf("%s of enterprise %d", show(asID, b[4:]), binary.BigEndian.Uint32(b)), true
}

func asFQDN(b []byte) (string, bool) {
	if len(b) < 2 {
		return "", false
	}
	name, _, ok := domain(append(append([]byte{}, b[1:]...), 0), 0) // a partial name has no end
	return name, ok
}

func asLinkLayer(b []byte) (string, bool) {
	if len(b) < 3 {
		return "", false
	}
	return net.HardwareAddr(b[2:]).String(), true
}
