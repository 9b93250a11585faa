package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// packet4 is a DHCPv4 message as it lies on the wire. The library joins options that come twice, and refuses what has no
// end; here each mistake of a server must be seen as it is.
type packet4 struct {
	xid            [4]byte
	yiaddr, siaddr netip.Addr
	chaddr         []byte
	sname, file    []byte // 64 and 128 bytes
	options        []option
	ended          bool // by option 255
	cut            bool // an option reaches over the end
	size           int
}

type option struct {
	code  uint8
	value []byte
}

// options of DHCPv4 that decide a boot.
const (
	optMask       = 1
	optRouter     = 3
	optDNS        = 6
	optBootSize   = 13
	optVendor     = 43
	optAddress    = 50
	optOverload   = 52
	optType       = 53
	optServer     = 54
	optClass      = 60
	optTFTPServer = 66
	optFile       = 67
	optUserClass  = 77
	optIPXE       = 175
)

const (
	header4   = 236
	maxOption = 1024 // of all options; more than a frame can hold
)

var magic4 = []byte{99, 130, 83, 99}

// parse4 reads a reply. It fails only on what is no DHCPv4 reply at all.
func parse4(b []byte) (p packet4, err error) {
	if len(b) < header4 || b[0] != 2 {
		return p, errors.New("no DHCPv4 reply")
	}
	p = packet4{
		xid: [4]byte(b[4:8]), yiaddr: addr4(b[16:20]), siaddr: addr4(b[20:24]),
		chaddr: b[28:44], sname: b[44:108], file: b[108:236], size: len(b),
	}
	if len(b) < header4+4 || !bytes.Equal(b[header4:header4+4], magic4) {
		return p, nil // BOOTP of old
	}
	p.ended = p.read(b[header4+4:])
	overload := p.get(optOverload)
	if len(overload) == 1 && overload[0]&1 != 0 {
		p.read(p.file)
	}
	if len(overload) == 1 && overload[0]&2 != 0 {
		p.read(p.sname)
	}
	return p, nil
}

// read reads a field of options, and tells whether it ended as it should.
func (p *packet4) read(b []byte) (ended bool) {
	for len(b) > 0 && len(p.options) < maxOption {
		switch {
		case b[0] == 255:
			return true
		case b[0] == 0:
			b = b[1:]
			continue
		case len(b) < 2 || len(b) < 2+int(b[1]):
			p.cut = true
			return false
		}
		n := int(b[1])
		p.options = append(p.options, option{b[0], b[2 : 2+n]})
		b = b[2+n:]
	}
	return false
}

// get is the first of an option, as EDK2 and iPXE take it; nil without one.
func (p *packet4) get(code uint8) []byte {
	for _, o := range p.options {
		if o.code == code {
			return o.value
		}
	}
	return nil
}

func (p *packet4) count(code uint8) (n int) {
	for _, o := range p.options {
		if o.code == code {
			n++
		}
	}
	return n
}

func (p *packet4) addr(code uint8) netip.Addr {
	if v := p.get(code); len(v) >= 4 {
		return addr4(v)
	}
	return netip.Addr{}
}

func (p *packet4) addrs(code uint8) (list []netip.Addr) {
	for v := p.get(code); len(v) >= 4; v = v[4:] {
		list = append(list, addr4(v))
	}
	return list
}

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

// text is a field up to its first NUL, as C reads it.
func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}

// vendor is an option encapsulated in option 43 or 175: code, length, value. Nil where it is missing.
func vendor(b []byte, code uint8) []byte {
	for len(b) >= 2 && b[0] != 255 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		n := int(b[1])
		if len(b) < 2+n {
			return nil
		}
		if b[0] == code {
			return b[2 : 2+n]
		}
		b = b[2+n:]
	}
	return nil
}

func u16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}
