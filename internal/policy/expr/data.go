package expr

import (
	"math"
	"strconv"
)

// maxData bounds what concat and its like may make for one message.
const maxData = 64 << 10

func noData(*Env) ([]byte, bool) { return nil, false }

func (c *compiler) data(n *node) dataFunc {
	if n.sort != dataSort && n.sort != anySort {
		return noData
	}
	switch n.op {
	case constData:
		return func(*Env) ([]byte, bool) { return n.data, true }
	case "option":
		path := c.words.Options.PathTo(n.def)
		return func(e *Env) ([]byte, bool) { return path.Find(e.Options) }
	case "config-option":
		return func(e *Env) ([]byte, bool) { return e.Option(n.def) }
	case variable:
		return func(e *Env) ([]byte, bool) {
			v, ok := e.variable(n.name)
			return v.data, ok && v.sort == dataSort
		}
	case "hardware":
		return func(e *Env) ([]byte, bool) { return e.Hardware, e.Hardware != nil }
	case "filename":
		return func(e *Env) ([]byte, bool) { return e.File, len(e.File) > 0 }
	case "server-name":
		return func(e *Env) ([]byte, bool) { return e.ServerName, len(e.ServerName) > 0 }
	case "leased-address":
		return func(e *Env) ([]byte, bool) { return e.Address.AsSlice(), e.Address.IsValid() }
	case "host-decl-name":
		return func(e *Env) ([]byte, bool) { return []byte(e.HostName), e.HostName != "" }
	case "concat":
		return c.concat(n)
	case "pick-first-value":
		return c.pick(n)
	case "v6relay":
		return c.relay(n)
	case "binary-to-ascii":
		return c.ascii(n)
	}
	if f := c.slice(n); f != nil {
		return f
	}
	return c.change(n)
}

// slice are the functions that give a part of their data. A substring from beyond the end, as a constant "", is nil: it
// is empty, and equal to what is empty, but a regular expression has no value over it.
func (c *compiler) slice(n *node) dataFunc {
	switch n.op {
	case "substring":
		data, offset, length := c.data(n.args[0]), c.number(n.args[1]), c.number(n.args[2])
		return func(e *Env) ([]byte, bool) {
			b, ok := data(e)
			from, ok1 := offset(e)
			size, ok2 := length(e)
			if !ok || !ok1 || !ok2 {
				return nil, false
			}
			if from >= uint64(len(b)) {
				return nil, true
			}
			b = b[from:]
			return b[:min(size, uint64(len(b)))], true
		}
	case "suffix":
		data, length := c.data(n.args[0]), c.number(n.args[1])
		return func(e *Env) ([]byte, bool) {
			b, ok := data(e)
			size, ok1 := length(e)
			if !ok || !ok1 {
				return nil, false
			}
			return b[len(b)-int(min(size, uint64(len(b)))):], true
		}
	case "packet":
		offset, length := c.number(n.args[0]), c.number(n.args[1])
		return func(e *Env) ([]byte, bool) {
			from, ok := offset(e)
			size, ok1 := length(e)
			if !ok || !ok1 || from >= uint64(len(e.Packet)) {
				return nil, false
			}
			b := e.Packet[from:]
			return b[:min(size, uint64(len(b)))], true
		}
	}
	return nil
}

// change are the functions that make new bytes of the same or a fixed size.
func (c *compiler) change(n *node) dataFunc {
	switch n.op {
	case "lcase", "ucase":
		data, change := c.data(n.args[0]), lower
		if n.op == "ucase" {
			change = upper
		}
		return func(e *Env) ([]byte, bool) {
			b, ok := data(e)
			return change(b), ok
		}
	case "encode-int":
		number, width := c.number(n.args[0]), int(n.num)/8
		return func(e *Env) ([]byte, bool) {
			num, ok := number(e)
			b := make([]byte, 0, 4)
			for i := width - 1; i >= 0; i-- {
				b = append(b, byte(num>>(8*i)))
			}
			return b, ok
		}
	case "reverse":
		width, data := c.number(n.args[0]), c.data(n.args[1])
		return func(e *Env) ([]byte, bool) {
			size, ok := width(e)
			b, ok1 := data(e)
			if !ok || !ok1 || size == 0 || uint64(len(b))%size != 0 {
				return nil, false
			}
			out := make([]byte, 0, len(b))
			for end := len(b); end > 0; end -= int(size) {
				out = append(out, b[end-int(size):end]...)
			}
			return out, true
		}
	}
	return noData // null
}

// lower and upper change ASCII only, as dhcpd does in the C locale.
func lower(b []byte) []byte {
	out := append([]byte{}, b...)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

func upper(b []byte) []byte {
	out := append([]byte{}, b...)
	for i, c := range out {
		if c >= 'a' && c <= 'z' {
			out[i] = c - 'a' + 'A'
		}
	}
	return out
}

func (c *compiler) all(n *node) []dataFunc {
	parts := make([]dataFunc, len(n.args))
	for i, a := range n.args {
		parts[i] = c.data(a)
	}
	return parts
}

// concat has no value where any part has none.
func (c *compiler) concat(n *node) dataFunc {
	parts := c.all(n)
	return func(e *Env) ([]byte, bool) {
		out := []byte{}
		for _, part := range parts {
			b, ok := part(e)
			if !ok || len(out)+len(b) > maxData {
				return nil, false
			}
			out = append(out, b...)
		}
		return out, true
	}
}

func (c *compiler) pick(n *node) dataFunc {
	parts := c.all(n)
	return func(e *Env) ([]byte, bool) {
		for _, part := range parts {
			if b, ok := part(e); ok {
				return b, true
			}
		}
		return nil, false
	}
}

// ascii writes numbers of 8, 16 or 32 bits in a base, with a separator between them.
func (c *compiler) ascii(n *node) dataFunc {
	base, width, separator, data := c.number(n.args[0]), c.number(n.args[1]), c.data(n.args[2]), c.data(n.args[3])
	return func(e *Env) ([]byte, bool) {
		radix, ok := base(e)
		bits, ok1 := width(e)
		between, ok2 := separator(e)
		b, ok3 := data(e)
		size := int(min(bits, math.MaxUint8)) / 8
		if !ok || !ok1 || !ok2 || !ok3 || radix < 2 || radix > 36 || bits != 8 && bits != 16 && bits != 32 || len(b)%size != 0 {
			return nil, false
		}
		out := make([]byte, 0, min(len(b)*(3+len(between)), maxData)) // both may be long, and from the network
		for at := 0; at < len(b) && len(out) <= maxData; at += size {
			if at > 0 {
				out = append(out, between...)
			}
			var num uint64
			for _, octet := range b[at : at+size] {
				num = num<<8 | uint64(octet)
			}
			out = strconv.AppendUint(out, num, int(radix))
		}
		return out, len(out) <= maxData
	}
}

// maxHops is the largest number of a DHCPv6 relay in v6relay; more is the relay nearest to the server.
const maxHops = 32

// relay evaluates over the options that a DHCPv6 relay added: 1 is the relay nearest to the client, 2 the next.
func (c *compiler) relay(n *node) dataFunc {
	number, data := c.number(n.args[0]), c.data(n.args[1])
	return func(e *Env) ([]byte, bool) {
		which, ok := number(e)
		switch {
		case !ok:
			return nil, false
		case which == 0:
			return data(e)
		case which > maxHops:
			which = uint64(len(e.Relays))
		}
		if which == 0 || which > uint64(len(e.Relays)) {
			return nil, false
		}
		message := e.Options
		e.Options = e.Relays[which-1]
		b, ok := data(e)
		e.Options = message
		return b, ok
	}
}
