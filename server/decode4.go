package server

import (
	"bytes"
	"encoding/binary"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// decode is dhcpv4.FromBytes in a few allocations: what it returns, for any bytes, is the same. All values are parts of
// one copy of data, none of which can grow into the next; a plugin may change them.
func (x *exchange4) decode(data []byte) (*dhcpv4.DHCPv4, error) {
	count, length, ok := measureOptions4(data)
	if !ok {
		return dhcpv4.FromBytes(data) // it says what is wrong
	}
	x.bytes = append(x.bytes[:0], data[:length]...)
	x.asked = emptied(x.asked, count)
	b, m := x.bytes, &x.req
	*m = dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeType(b[0]), HWType: iana.HWType(b[1]), HopCount: b[3], TransactionID: dhcpv4.TransactionID(b[4:8]),
		NumSeconds: binary.BigEndian.Uint16(b[8:]), Flags: binary.BigEndian.Uint16(b[10:]),
		ClientIPAddr: b[12:16:16], YourIPAddr: b[16:20:20], ServerIPAddr: b[20:24:24], GatewayIPAddr: b[24:28:28],
		ClientHWAddr:   b[28:44:44][:min(b[2], 16)],
		ServerHostName: untilNUL(b[44:108]), BootFileName: untilNUL(b[108:236]),
		Options: x.asked,
	}
	var seen codes
	for o := b[header4:]; len(o) > 0 && o[0] != end; {
		if o[0] == dhcpv4.OptionPad.Code() {
			o = o[1:]
			continue
		}
		code, n := o[0], 2+int(o[1])
		value := o[2:n:n]
		if seen.add(code) { // in pieces (RFC 3396)
			value = append(m.Options[code], value...)
		}
		if len(value) == 0 {
			value = nil
		}
		m.Options[code] = value
		o = o[n:]
	}
	return m, nil
}

// codes is a set of option codes. A map of options is asked much less often with one at hand.
type codes [4]uint64

// add tells whether code was in already.
func (c *codes) add(code uint8) (before bool) {
	word, bit := &c[code>>6], uint64(1)<<(code&63)
	before = *word&bit != 0
	*word |= bit
	return before
}

// remove tells whether code was in.
func (c *codes) remove(code uint8) (before bool) {
	word, bit := &c[code>>6], uint64(1)<<(code&63)
	before = *word&bit != 0
	*word &^= bit
	return before
}

// measureOptions4 counts the options of a message, and the bytes up to their end. Not ok: it is malformed.
func measureOptions4(b []byte) (count, length int, ok bool) {
	if len(b) < header4 || string(b[236:header4]) != cookie {
		return 0, 0, false
	}
	if len(b) == header4 {
		return 0, header4, true // the library takes that
	}
	for at := header4; at < len(b); {
		switch b[at] {
		case end:
			return count, at + 1, true
		case dhcpv4.OptionPad.Code():
			at++
			continue
		}
		if at+1 >= len(b) || at+2+int(b[at+1]) > len(b) {
			return 0, 0, false
		}
		count++
		at += 2 + int(b[at+1])
	}
	return 0, 0, false
}

func untilNUL(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
