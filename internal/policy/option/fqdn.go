package option

import "strings"

// The parts of option 81 (RFC 4702) that dhcpd gives names to, as if they were options of a space.
const (
	fqdnNoClientUpdate = 1
	fqdnServerUpdate   = 2
	fqdnEncoded        = 3
	fqdnRcode1         = 4
	fqdnRcode2         = 5
	fqdnHostname       = 6
	fqdnDomain         = 7
	fqdnName           = 8

	fqdnHeader = 3 // flags and two result codes
)

// fqdnPart reads a part of option 81 as dhcpd does. A name that is not encoded as RFC 1035 has it is ASCII.
func fqdnPart(b []byte, part uint32) ([]byte, bool) {
	if len(b) < fqdnHeader {
		return nil, false
	}
	if part == fqdnEncoded {
		return flag(b[0]&4 != 0)
	}
	host, domain := asciiName(b[fqdnHeader:])
	if b[0]&4 != 0 {
		var ok bool
		if host, domain, ok = encodedName(b[fqdnHeader:]); !ok {
			return nil, false
		}
	}
	switch part {
	case fqdnServerUpdate:
		return flag(b[0]&1 != 0)
	case fqdnNoClientUpdate:
		return flag(b[0]&2 != 0)
	case fqdnRcode1, fqdnRcode2:
		return b[part-fqdnRcode1+1:][:1], true
	case fqdnHostname:
		return []byte(host), host != ""
	case fqdnDomain:
		if b[0]&4 == 0 {
			domain = strings.TrimPrefix(domain, ".")
		}
		return []byte(domain), domain != ""
	}
	return []byte(host + domain), host+domain != ""
}

func flag(set bool) ([]byte, bool) {
	if set {
		return []byte{1}, true
	}
	return []byte{0}, true
}

// asciiName takes a name apart; the domain keeps its first dot.
func asciiName(b []byte) (host, domain string) {
	name := strings.TrimSuffix(string(b), "\x00")
	if dot := strings.IndexByte(name, '.'); dot >= 0 {
		return name[:dot], name[dot:]
	}
	return name, ""
}

// encodedName reads labels. Without the zero at their end all of them are the name of the host.
func encodedName(b []byte) (host, domain string, ok bool) {
	var labels []string
	for len(b) > 0 && b[0] != 0 {
		n := int(b[0])
		if n > maxLabel || n >= len(b) {
			return "", "", false
		}
		labels, b = append(labels, string(b[1:1+n])), b[1+n:]
	}
	if len(b) == 0 || len(labels) < 2 {
		return strings.Join(labels, "."), "", true
	}
	return labels[0], "." + strings.Join(labels[1:], "."), true
}

// EncodeFQDN makes option 81 of its parts; get is asked for each of them.
func EncodeFQDN(get func(code uint32) []byte) []byte {
	b := make([]byte, fqdnHeader)
	for code, mask := range map[uint32]byte{fqdnServerUpdate: 1, fqdnNoClientUpdate: 2, fqdnEncoded: 4} {
		if v := get(code); len(v) > 0 && v[0] != 0 {
			b[0] |= mask
		}
	}
	for i, code := range []uint32{fqdnRcode1, fqdnRcode2} {
		if v := get(code); len(v) > 0 {
			b[1+i] = v[0]
		}
	}
	name := get(fqdnName)
	if len(name) == 0 || b[0]&4 == 0 {
		return append(b, name...)
	}
	e := encoder{}
	if e.name(string(name), false) != nil {
		return nil
	}
	return append(b, e.out...)
}
