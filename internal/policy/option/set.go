package option

import "slices"

// Set holds the options of one message: what a client sent. It shares memory with the message. A Set is filled by one
// goroutine and then only read.
type Set struct{ options []raw }

const codeHostName = 12

type raw struct {
	code  uint32
	value []byte
}

// FromMap takes the options of a DHCPv4 message, which the wire splits at 255 bytes, put together (RFC 3396). An empty
// host name, which RFC 2132 does not allow, counts as none.
func FromMap(options map[uint8][]byte) *Set {
	s := &Set{options: make([]raw, 0, len(options))}
	for code, value := range options {
		if code != codeHostName || len(value) > 0 {
			s.Add(uint32(code), value)
		}
	}
	return s
}

// Add adds an option. Of several with one number the first is found.
func (s *Set) Add(code uint32, value []byte) { s.options = append(s.options, raw{code, value}) }

// Get finds an option by its number.
func (s *Set) Get(code uint32) (value []byte, there bool) {
	if s == nil {
		return nil, false
	}
	for i := range s.options {
		if s.options[i].code == code {
			return s.options[i].value, true
		}
	}
	return nil, false
}

// Path is the way to an option in a message: its own number, or first those of the options that hold it.
type Path struct {
	steps []step
}

type step struct {
	code                   uint32
	codeWidth, lengthWidth int
	fqdn                   bool // a part of option 81
}

// PathTo is the way to d. A space that no option holds is reached by none.
func (r *Registry) PathTo(d *Definition) Path {
	var p Path
	for range 8 { // spaces hold spaces; a ring of them has no way in
		s := d.space
		p.steps = append(p.steps, step{d.Code, s.CodeWidth, s.LengthWidth, s.Name == FQDN})
		if s == r.main {
			slices.Reverse(p.steps)
			return p
		}
		if d = r.inside[s.Name]; d == nil {
			break
		}
	}
	return Path{}
}

// Find looks the option up in a message.
func (p Path) Find(s *Set) (value []byte, there bool) {
	if len(p.steps) == 0 {
		return nil, false
	}
	value, there = s.Get(p.steps[0].code)
	for _, next := range p.steps[1:] {
		if !there {
			return nil, false
		}
		if next.fqdn {
			value, there = fqdnPart(value, next.code)
		} else {
			value, there = next.inside(value)
		}
	}
	return value, there
}

// inside looks for the option among those that an encapsulating one holds. As in dhcpd, a code of 0 ends them, 255 is
// a code as any other, and what is cut short holds nothing more.
func (w step) inside(b []byte) ([]byte, bool) {
	for len(b) > 0 {
		if len(b) < w.codeWidth+w.lengthWidth {
			return nil, false
		}
		code := uint32(Number(b[:w.codeWidth]))
		if code == 0 {
			return nil, false
		}
		b = b[w.codeWidth:]
		length := len(b)
		if w.lengthWidth > 0 {
			length = int(Number(b[:w.lengthWidth]))
			b = b[w.lengthWidth:]
		}
		if length > len(b) {
			return nil, false
		}
		if code == w.code {
			return b[:length], true
		}
		b = b[length:]
	}
	return nil, false
}

// AppendWire appends the option as it stands on the wire inside of another: its code, its length and its value. A value
// that its length cannot tell is cut.
func (d *Definition) AppendWire(b, value []byte) []byte {
	s := d.space
	b = appendNumber(b, uint64(d.Code), s.CodeWidth)
	if s.LengthWidth > 0 {
		value = value[:min(len(value), 1<<(8*s.LengthWidth)-1)]
		b = appendNumber(b, uint64(len(value)), s.LengthWidth)
	}
	return append(b, value...)
}
