package option

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Text shows the bytes of the option to a person, in the form that Parse reads where they have the form of its type,
// and as "bytes 01:0a" where they do not. Text of others is quoted, so it fits in a log line.
func (d *Definition) Text(b []byte) string {
	if text, ok := d.Type.text(b); ok {
		return text
	}
	return "bytes " + Hex(b)
}

// Hex is 01:0a:ff.
func Hex(b []byte) string {
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", c)
	}
	return s.String()
}

func (t Type) text(b []byte) (string, bool) {
	r := reader{all: b, rest: b}
	var items []string
	for {
		item, ok := r.item(t.Fields)
		if !ok {
			return "", false
		}
		items = append(items, item)
		if len(r.rest) == 0 {
			return strings.Join(items, ", "), true
		}
		if !t.Array {
			return "", false
		}
	}
}

type reader struct{ all, rest []byte }

func (r *reader) item(fields []Field) (string, bool) {
	var parts []string
	for _, f := range fields {
		if f.Optional && len(r.rest) == 0 {
			break
		}
		part, ok := r.field(f)
		for ok && (f.Array || f.Kind == DomainList) && len(r.rest) > 0 {
			var next string
			next, ok = r.field(f)
			part += ", " + next
		}
		if !ok {
			return "", false
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " "), true
}

func (r *reader) take(n int) ([]byte, bool) {
	if len(r.rest) < n {
		return nil, false
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b, true
}

func (r *reader) field(f Field) (string, bool) {
	switch f.Kind {
	case Integer:
		b, ok := r.take(int(f.Width) / 8)
		if !ok {
			return "", false
		}
		n := Number(b)
		if f.Signed {
			shift := 64 - uint(f.Width)
			return strconv.FormatInt(int64(n<<shift)>>shift, 10), true
		}
		return strconv.FormatUint(n, 10), true
	case Duration:
		b, ok := r.take(4)
		if !ok {
			return "", false
		}
		if n := binary.BigEndian.Uint32(b); n != math.MaxUint32 {
			return strconv.FormatUint(uint64(n), 10), true
		}
		return "infinite", true
	case Boolean:
		b, ok := r.take(1)
		if !ok || b[0] > 2 {
			return "", false
		}
		return [...]string{"false", "true", "ignore"}[b[0]], true
	case Address, Address6:
		b, ok := r.take(map[Kind]int{Address: 4, Address6: 16}[f.Kind])
		if !ok {
			return "", false
		}
		a, _ := netip.AddrFromSlice(b)
		return a.String(), true
	case DomainName, DomainList:
		at := len(r.all) - len(r.rest)
		name, next, ok := readName(r.all, at)
		if !ok {
			return "", false
		}
		r.rest = r.all[next:]
		return quote(name), true
	case Text:
		b, _ := r.take(len(r.rest))
		return quote(string(b)), true
	case String, Encapsulated:
		b, _ := r.take(len(r.rest))
		if printable(b) {
			return quote(string(b)), true
		}
		return Hex(b), true
	}
	return "", true // Empty
}

// Number reads a big-endian number of up to 8 bytes.
func Number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func quote(s string) string { return strconv.QuoteToASCII(s) }
