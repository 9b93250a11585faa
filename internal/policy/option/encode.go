package option

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxValue bounds what one option can hold; the longest that a DHCPv6 option can.
const maxValue = math.MaxUint16

// Word is one part of a value as the operator wrote it.
type Word struct {
	Text   string
	Quoted bool // it stood in quotes: text, whatever it looks like
}

// Parse turns an operator's values into the bytes of the option. Each item of an array is one value; the fields of a
// record stand in one value with blanks between them: "10.0.0.0 10.0.0.1". Quotes hold a field with blanks together.
func (d *Definition) Parse(values ...string) ([]byte, error) {
	items := make([][]Word, len(values))
	for i, v := range values {
		if len(d.Type.Fields) == 1 && !d.Type.Fields[0].Array {
			items[i] = []Word{{Text: v}}
			continue
		}
		words, err := split(v)
		if err != nil {
			return nil, fmt.Errorf("option %s: %w", d, err)
		}
		items[i] = words
	}
	return d.Encode(items...)
}

// split takes a value apart at blanks and commas outside of quotes.
func split(text string) (words []Word, err error) {
	for {
		text = strings.TrimLeft(text, " \t\n,")
		switch {
		case text == "":
			return words, nil
		case text[0] == '"':
			end := strings.IndexByte(text[1:], '"')
			if end < 0 {
				return nil, errors.New("a quote is opened and not closed; add the second \"")
			}
			words, text = append(words, Word{text[1 : 1+end], true}), text[2+end:]
		default:
			end := strings.IndexAny(text, " \t\n,")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, Word{Text: text[:end]}), text[end:]
		}
	}
}

// Encode is Parse for values that are taken apart already: for each item of an array the words of its fields.
func (d *Definition) Encode(items ...[]Word) ([]byte, error) {
	b, err := d.encode(items)
	if err != nil {
		return nil, fmt.Errorf("option %s: %w", d, err)
	}
	if len(b) > maxValue {
		return nil, fmt.Errorf("option %s: has %d bytes; %d is the most", d, len(b), maxValue)
	}
	return b, nil
}

func (d *Definition) encode(items [][]Word) (b []byte, err error) {
	last := d.Type.Fields[len(d.Type.Fields)-1]
	switch repeats := d.Type.Array || last.Array || last.Kind == DomainList; {
	case len(items) == 0 && last.Kind != Empty:
		return nil, errors.New("has no value; give one")
	case len(items) > 1 && !repeats:
		return nil, fmt.Errorf("takes one value, not %d", len(items))
	case len(items) > 1 && !d.Type.Array:
		items = [][]Word{slices.Concat(items...)} // the tail of a record, or a list of names
	}
	e := encoder{out: []byte{}}
	for _, words := range items {
		if err := e.item(d.Type.Fields, words); err != nil {
			return nil, err
		}
	}
	return e.out, nil
}

type encoder struct {
	out   []byte
	names map[string]int // where each name of a compressed list begins
}

func (e *encoder) item(fields []Field, words []Word) error {
	for i, f := range fields {
		if f.Array || f.Kind == DomainList {
			if len(words) == 0 && !f.Optional {
				return errors.New("a value is missing at the end")
			}
			for _, w := range words {
				if err := e.field(f, w); err != nil {
					return err
				}
			}
			return nil
		}
		switch {
		case f.Kind == Empty:
			continue
		case len(words) == 0 && f.Optional:
			return nil
		case len(words) == 0:
			return fmt.Errorf("has %d of %d parts; write all of them", i, len(fields))
		}
		if err := e.field(f, words[0]); err != nil {
			return err
		}
		words = words[1:]
	}
	if len(words) > 0 {
		return fmt.Errorf("%q is one part too many", words[0].Text)
	}
	return nil
}

func (e *encoder) field(f Field, w Word) error {
	switch f.Kind {
	case Integer:
		n, err := f.number(w.Text)
		if err != nil {
			return err
		}
		e.out = appendNumber(e.out, uint64(n), int(f.Width)/8)
	case Duration:
		n, err := strconv.ParseInt(w.Text, 0, 64)
		switch {
		case w.Text == "infinite" || err == nil && n == -1:
			n = math.MaxUint32
		case err != nil || n < 0 || n > math.MaxUint32:
			return fmt.Errorf("%q is not a number of seconds from 0 to 4294967295, nor infinite", w.Text)
		}
		e.out = binary.BigEndian.AppendUint32(e.out, uint32(n))
	case Boolean:
		b, ok := map[string]byte{"true": 1, "on": 1, "1": 1, "false": 0, "off": 0, "0": 0, "ignore": 2}[strings.ToLower(w.Text)]
		if !ok {
			return fmt.Errorf("%q is not a switch; use true or false", w.Text)
		}
		e.out = append(e.out, b)
	case Address:
		a, err := netip.ParseAddr(w.Text)
		if err != nil || !a.Is4() {
			return fmt.Errorf("%q is not an IPv4 address", w.Text)
		}
		e.out = append(e.out, a.AsSlice()...)
	case Address6:
		a, err := netip.ParseAddr(w.Text)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return fmt.Errorf("%q is not an IPv6 address", w.Text)
		}
		e.out = append(e.out, a.AsSlice()...)
	case Text:
		e.out = append(e.out, w.Text...)
	case String, Encapsulated:
		e.out = append(e.out, bytesOf(w)...)
	case DomainName:
		return e.name(w.Text, false)
	case DomainList:
		return e.name(w.Text, f.Compressed)
	}
	return nil
}

// number reads decimal, 0x and octal, within the field's range. Unsigned fields take negative numbers of their width,
// as dhcpd does.
func (f Field) number(text string) (int64, error) {
	low, high := int64(0), int64(1)<<f.Width-1
	if f.Signed {
		low, high = -(1 << (f.Width - 1)), 1<<(f.Width-1)-1
	}
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, low, high)
	}
	return n, nil
}

func appendNumber(b []byte, n uint64, width int) []byte {
	for i := width - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// bytesOf is text, or the bytes of hexadecimal pairs with colons where it was not quoted and looks like them.
func bytesOf(w Word) []byte {
	if b, ok := ParseHex(w.Text); ok && !w.Quoted {
		return b
	}
	return []byte(w.Text)
}

// ParseHex reads 01:52:54:0a, also with single digits. One pair alone, without a colon, is not enough to tell bytes
// from text.
func ParseHex(text string) ([]byte, bool) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(text) > 3*maxValue {
		return nil, false
	}
	b := make([]byte, 0, len(parts))
	for _, p := range parts {
		if len(p) == 1 {
			p = "0" + p
		}
		octet, err := hex.DecodeString(p)
		if err != nil || len(octet) != 1 {
			return nil, false
		}
		b = append(b, octet[0])
	}
	return b, true
}
