package option

import (
	"fmt"
	"strings"
)

// Kind is what one field of an option's value is.
type Kind uint8

// The kinds, by their words in a declaration.
const (
	Integer      Kind = iota // Width 8, 16 or 32 bits, perhaps Signed
	Duration                 // unsigned 32 bits, seconds; all ones is infinite
	Boolean                  // one byte
	Address                  // IPv4
	Address6                 // IPv6
	Text                     // characters up to the end
	String                   // any bytes up to the end, written as text or as hexadecimal pairs
	DomainName               // one name in the form of RFC 1035
	DomainList               // names up to the end
	Empty                    // nothing: that the option is there is all
	Encapsulated             // the options of another space
)

// Field is one part of a value.
type Field struct {
	Kind       Kind
	Width      uint8 // bits, of an Integer
	Signed     bool
	Array      bool   // the last field of a record may stand several times
	Optional   bool   // the last field may be absent
	Compressed bool   // a DomainList whose names may point to earlier ones (RFC 3397)
	Space      string // of Encapsulated; "*": the one that vendor-option-space names
}

// Type is the form of an option's value.
type Type struct {
	Fields []Field
	Array  bool // all fields together may stand several times
}

// Encapsulates is the space whose options are the value; empty: there is none.
func (t Type) Encapsulates() string {
	if len(t.Fields) == 1 && t.Fields[0].Kind == Encapsulated {
		return t.Fields[0].Space
	}
	return ""
}

// FieldAt is the field of the n-th word of an item, from 0; the last field has all words that follow it.
func (t Type) FieldAt(n int) Field { return t.Fields[min(n, len(t.Fields)-1)] }

// ParseType reads what stands behind the "=" of a declaration in dhcpd.conf, such as "array of ip-address" or
// "{ unsigned integer 8, text }".
func ParseType(text string) (Type, error) {
	p := typeParser{words: strings.Fields(strings.NewReplacer("{", " { ", "}", " } ", ",", " , ").Replace(text))}
	t, err := p.parse()
	if err != nil {
		return Type{}, fmt.Errorf("%q is not a type of option: %w", text, err)
	}
	return t, nil
}

type typeParser struct{ words []string }

func (p *typeParser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *typeParser) accept(words ...string) bool {
	if len(p.words) < len(words) {
		return false
	}
	for i, w := range words {
		if p.words[i] != w {
			return false
		}
	}
	p.words = p.words[len(words):]
	return true
}

func (p *typeParser) parse() (t Type, err error) {
	if p.accept("array", "of") {
		t.Array = true
	}
	if !p.accept("{") {
		var f Field
		if f, err = p.field(); err == nil {
			t.Fields = []Field{f}
		}
	} else {
		t.Fields, err = p.record()
	}
	switch {
	case err != nil:
	case len(p.words) > 0:
		err = fmt.Errorf("%q is one word too many", p.words[0])
	case t.Array && t.open():
		err = fmt.Errorf("a value that reaches to the end cannot be repeated")
	}
	return t, err
}

// open tells a type whose values have no end of their own.
func (t Type) open() bool {
	last := t.Fields[len(t.Fields)-1]
	switch last.Kind {
	case Text, String, DomainList, Encapsulated, Empty:
		return true
	}
	return last.Array || last.Optional
}

func (p *typeParser) record() (fields []Field, err error) {
	for {
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
		if p.accept("}") {
			return fields, nil
		}
		if !p.accept(",") {
			return nil, fmt.Errorf("a record is written { TYPE, TYPE }")
		}
		if (Type{Fields: fields}).open() || f.Kind == Encapsulated {
			return nil, fmt.Errorf("nothing can follow a field that reaches to the end")
		}
	}
}

func (p *typeParser) field() (f Field, err error) {
	f.Optional = p.accept("optional")
	f.Array = p.accept("array", "of")
	switch word := p.next(); word {
	case "integer", "signed", "unsigned":
		f.Kind, f.Signed = Integer, word != "unsigned"
		if word != "integer" && !p.accept("integer") {
			return f, fmt.Errorf("%s stands before integer", word)
		}
		switch width := p.next(); width {
		case "8":
			f.Width = 8
		case "16":
			f.Width = 16
		case "32":
			f.Width = 32
		default:
			return f, fmt.Errorf("an integer has 8, 16 or 32 bits, not %q", width)
		}
	case "duration":
		f.Kind = Duration
	case "boolean", "flag":
		f.Kind = Boolean
	case "ip-address":
		f.Kind = Address
	case "ip6-address":
		f.Kind = Address6
	case "text":
		f.Kind = Text
	case "string":
		f.Kind = String
	case "domain-name":
		f.Kind = DomainName
	case "domain-list":
		f.Kind = DomainList
		f.Compressed = p.accept("compressed")
	case "empty", "zerolen":
		f.Kind = Empty
	case "encapsulate":
		f.Kind, f.Space = Encapsulated, p.next()
		if f.Space == "" {
			return f, fmt.Errorf("encapsulate is followed by the name of an option space")
		}
	default:
		return f, fmt.Errorf("use integer, boolean, ip-address, ip6-address, text, string, domain-name, domain-list or encapsulate")
	}
	return f, nil
}
