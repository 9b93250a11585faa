package option

import (
	"fmt"
	"slices"
	"strings"
)

const (
	maxName    = 255    // bytes of a name on the wire (RFC 1035 section 2.3.4)
	maxLabel   = 63     // bytes of one of its labels
	maxPointer = 0x3fff // the farthest place that a pointer can name
)

// name appends a domain name; compressed: its end may be a pointer to the same end of an earlier name (RFC 3397).
func (e *encoder) name(text string, compressed bool) error {
	text = strings.TrimSuffix(text, ".")
	if text == "" {
		return fmt.Errorf("has an empty domain name")
	}
	if len(text) > maxName-2 {
		return fmt.Errorf("domain name %.20q... is longer than %d characters", text, maxName-2)
	}
	if e.names == nil {
		e.names = map[string]int{}
	}
	for whole := text; text != ""; {
		if at, ok := e.names[strings.ToLower(text)]; ok && compressed {
			e.out = append(e.out, 0xc0|byte(at>>8), byte(at))
			return nil
		}
		if len(e.out) <= maxPointer {
			e.names[strings.ToLower(text)] = len(e.out)
		}
		label, rest, _ := strings.Cut(text, ".")
		if label == "" || len(label) > maxLabel {
			return fmt.Errorf("domain name %q has a part with %d characters; 1 to %d are allowed", whole, len(label), maxLabel)
		}
		e.out = append(append(e.out, byte(len(label))), label...)
		text = rest
	}
	e.out = append(e.out, 0)
	return nil
}

// readName reads the name at b[at:] and says where the next begins. Pointers lead backwards only, so it ends.
func readName(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	length, limit, next := 0, at, -1
	for at < len(b) {
		switch n := int(b[at]); {
		case n == 0:
			if next < 0 {
				next = at + 1
			}
			return strings.Join(labels, "."), next, true
		case n >= 0xc0:
			if at+1 >= len(b) {
				return "", 0, false
			}
			if next < 0 {
				next = at + 2
			}
			to := (n&0x3f)<<8 | int(b[at+1])
			if to >= limit {
				return "", 0, false
			}
			at, limit = to, to
		case n > maxLabel || at+1+n > len(b) || length+1+n > maxName:
			return "", 0, false
		default:
			labels = append(labels, string(b[at+1:at+1+n]))
			length += 1 + n
			at += 1 + n
		}
	}
	return "", 0, false
}

// Join is a value and another behind it. Names that point to each other are written anew, so that they still do.
func (d *Definition) Join(a, b []byte) []byte {
	if len(d.Type.Fields) != 1 || !d.Type.Fields[0].Compressed {
		return slices.Concat(a, b)
	}
	e := encoder{}
	for _, list := range [][]byte{a, b} {
		for at := 0; at < len(list); {
			name, next, ok := readName(list, at)
			if !ok || e.name(name, true) != nil {
				break
			}
			at = next
		}
	}
	return e.out
}
