// Package packet shows DHCP messages to a person: every header field and option by name, with its value decoded. It
// reads bytes as they are on the wire and trusts none of them: what does not have the form of its option is shown as
// hexadecimal digits, and text from the network is quoted.
package packet

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Field is one header field or option.
type Field struct {
	Name  string `json:"name"`
	Code  int    `json:"code,omitempty"` // of an option; 0: a header field
	Value string `json:"value"`
	Hex   string `json:"hex"` // the bytes as they are
}

// Label is the field's name, with its number where it is an option: "67 boot file".
func (f Field) Label() string {
	if f.Code == 0 {
		return f.Name
	}
	return strconv.Itoa(f.Code) + " " + f.Name
}

// Errors of messages that are none.
var (
	errShort = errors.New("is too short for a DHCP message")
	errCut   = errors.New("an option is cut short")
)

// IsV4 tells a DHCPv4 message, which has a fixed header and then a magic number, from a DHCPv6 message.
func IsV4(b []byte) bool { return len(b) >= 240 && string(b[236:240]) == magic }

const magic = "\x63\x82\x53\x63"

// Fields takes a message apart, DHCPv4 or DHCPv6. Where a message ends early, the fields up to there are returned with
// the error.
func Fields(b []byte) ([]Field, error) {
	if IsV4(b) {
		return fields4(b)
	}
	return fields6(b)
}

// Type is the message's type by name: DISCOVER, SOLICIT. For a relayed DHCPv6 message it is that of the client's inside.
func Type(b []byte) string {
	if IsV4(b) {
		for _, o := range options4(b[240:]) {
			if o.code == 53 && len(o.value) == 1 {
				return named(messages4, int(o.value[0]))
			}
		}
		return "BOOTP"
	}
	for range maxDepth {
		if len(b) == 0 {
			return "nothing"
		}
		inner := relayed6(b)
		if inner == nil {
			return named(messages6, int(b[0]))
		}
		b = inner
	}
	return "a relay's"
}

func named(names []string, code int) string {
	if code > 0 && code < len(names) && names[code] != "" {
		return names[code]
	}
	return "type " + strconv.Itoa(code)
}

// kind turns an option's value into words; false: it has not that form.
type kind func(b []byte) (string, bool)

func show(k kind, b []byte) string {
	if k != nil {
		if text, ok := k(b); ok {
			return text
		}
	}
	if len(b) == 0 {
		return "empty"
	}
	if readable(b) {
		return quote(b)
	}
	return spaced(b)
}

// readable tells bytes that are most likely text.
func readable(b []byte) bool {
	return len(b) > 2 && utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' || r > '~' })
}

// mostShown bounds one value: the rest is in Hex.
const mostShown = 512

func quote(b []byte) string {
	if len(b) > mostShown {
		return strconv.QuoteToASCII(string(b[:mostShown])) + fmt.Sprintf(" and %d bytes more", len(b)-mostShown)
	}
	return strconv.QuoteToASCII(string(b))
}

func spaced(b []byte) string {
	rest := ""
	if len(b) > mostShown/4 {
		b, rest = b[:mostShown/4], fmt.Sprintf(" and %d bytes more", len(b)-mostShown/4)
	}
	return strings.TrimSpace(fmt.Sprintf("% x", b)) + rest
}

func asText(b []byte) (string, bool) {
	if len(b) == 0 {
		return "", false
	}
	if n := len(b) - 1; b[n] == 0 && n > 0 {
		return quote(b[:n]) + " and a NUL", true
	}
	return quote(b), true
}

func asHex(b []byte) (string, bool) { return spaced(b), len(b) > 0 }

func asIPs(size int) kind {
	return func(b []byte) (string, bool) {
		var out []string
		for ; len(b) >= size; b = b[size:] {
			a, _ := netip.AddrFromSlice(b[:size])
			out = append(out, a.String())
		}
		return strings.Join(out, ", "), len(b) == 0 && len(out) > 0
	}
}

func asNumber(size int, unit string) kind {
	return func(b []byte) (string, bool) {
		if len(b) != size {
			return "", false
		}
		var n uint64
		for _, c := range b {
			n = n<<8 | uint64(c)
		}
		if unit == "s" && n == 1<<32-1 {
			return "for ever", true
		}
		return strings.TrimSpace(strconv.FormatUint(n, 10) + " " + unit), true
	}
}

func asSwitch(b []byte) (string, bool) {
	if len(b) != 1 || b[0] > 1 {
		return "", false
	}
	return map[byte]string{0: "no", 1: "yes"}[b[0]], true
}

// asDomains reads names as DNS encodes them (RFC 1035 section 3.1), with pointers backwards only (RFC 3397).
func asDomains(b []byte) (string, bool) {
	var names []string
	for at := 0; at < len(b); {
		name, next, ok := domain(b, at)
		if !ok || len(names) > 64 {
			return "", false
		}
		names, at = append(names, name), next
	}
	return strings.Join(names, ", "), len(names) > 0
}

func domain(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	for length := 0; at < len(b); {
		n := int(b[at])
		switch {
		case n == 0:
			if next == 0 {
				next = at + 1
			}
			return quote([]byte(strings.Join(labels, "."))), next, true
		case n >= 0xc0:
			if at+1 >= len(b) {
				return "", 0, false
			}
			to := n&0x3f<<8 | int(b[at+1])
			if next == 0 {
				next = at + 2
			}
			if to >= at {
				return "", 0, false
			}
			at = to
		case n > 63 || at+1+n > len(b):
			return "", 0, false
		default:
			if length += n + 1; length > 255 {
				return "", 0, false
			}
			labels, at = append(labels, string(b[at+1:at+1+n])), at+1+n
		}
	}
	return "", 0, false
}

func asArchs(b []byte) (string, bool) {
	var out []string
	for ; len(b) >= 2; b = b[2:] {
		a := netboot.Arch(binary.BigEndian.Uint16(b))
		text := strconv.Itoa(int(a))
		if name := a.String(); name != text {
			text += " " + name
		}
		if a.HTTP() {
			text += " by HTTP"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", "), len(b) == 0 && len(out) > 0
}

// asInterface is the firmware's network interface: option 94, and 62 of DHCPv6.
func asInterface(b []byte) (string, bool) {
	if len(b) != 3 {
		return "", false
	}
	return fmt.Sprintf("type %d, version %d.%d", b[0], b[1], b[2]), true
}

// numbers are bytes as numbers, joined.
func numbers(b []byte, sep string) string {
	out := make([]string, len(b))
	for i, c := range b {
		out[i] = strconv.Itoa(int(c))
	}
	return strings.Join(out, sep)
}

func digits(b []byte) string { return hex.EncodeToString(b) }
