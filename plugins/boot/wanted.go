package boot

import (
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// words is what a match wants of one kind, for a person.
func (m *Match) words(word Reason) string {
	switch word {
	case ReasonArch:
		return archWords(m.Arch)
	case ReasonIPXE:
		if *m.IPXE {
			return "iPXE"
		}
		return "anything but iPXE"
	case ReasonFeatures:
		return "all of " + strings.Join(union(m.Features).Names(), ", ")
	case ReasonLacks:
		return "one without " + strings.Join(union(m.Lacks).Names(), " or ")
	case ReasonFirmware:
		return some(each(m.Firmware, func(f firmware) string { return f.kind.String() }))
	case ReasonUserClass:
		return some(each(m.UserClass, patternText))
	case ReasonVendorClass:
		return some(each(m.VendorClass, patternText))
	case ReasonMAC:
		return some(each(m.MAC, macPattern.text))
	case ReasonUUID:
		names := make([]string, len(m.UUID))
		for i, u := range m.UUID {
			names[i] = u.V.String()
		}
		return some(names)
	case ReasonHostname:
		return some(each(m.Hostname, patternText))
	case ReasonRelay:
		return m.Relay.text()
	case ReasonSubnet:
		return some(each(m.Subnet, patternText))
	case ReasonClass:
		return some(each(m.Class, patternText))
	case ReasonNot:
		return "none of " + all(m.Not)
	case ReasonAny:
		return "one of " + all(m.Any)
	}
	return ""
}

// text is a whole match as a map would have it.
func (m *Match) text() string {
	var out []string
	for _, w := range []struct {
		name  string
		word  Reason
		given bool
	}{
		{"arch", ReasonArch, len(m.Arch) > 0}, {"ipxe", ReasonIPXE, m.IPXE != nil},
		{"firmware", ReasonFirmware, len(m.Firmware) > 0}, {"features", ReasonFeatures, len(m.Features) > 0},
		{"lacks", ReasonLacks, len(m.Lacks) > 0}, {"user-class", ReasonUserClass, len(m.UserClass) > 0},
		{"vendor-class", ReasonVendorClass, len(m.VendorClass) > 0}, {"mac", ReasonMAC, len(m.MAC) > 0},
		{"uuid", ReasonUUID, len(m.UUID) > 0}, {"hostname", ReasonHostname, len(m.Hostname) > 0},
		{"relay", ReasonRelay, m.Relay != nil}, {"subnet", ReasonSubnet, len(m.Subnet) > 0},
		{"class", ReasonClass, len(m.Class) > 0}, {"not", ReasonNot, len(m.Not) > 0}, {"any", ReasonAny, len(m.Any) > 0},
	} {
		if w.given {
			out = append(out, w.name+": "+m.words(w.word))
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func all(list []Match) string {
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = list[i].text()
	}
	return some(texts)
}

// archWords names the machines whose every code is wanted, and the other codes by number.
func archWords(list []archs) string {
	return some(each(list, func(codes archs) string {
		if len(codes) == 0 {
			return "?" // a mistake of the map, which is reported
		}
		if named, err := netboot.ParseArch(codes[0].String()); err == nil && slices.Equal(named, []netboot.Arch(codes)) {
			return codes[0].String()
		}
		return "code " + strconv.Itoa(int(codes[0]))
	}))
}

func each[T any](list []T, text func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

// patternText shows bytes that are no text in the form that a map has them in.
func patternText(p pattern) string {
	s := p.String()
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "0x" + hex.EncodeToString([]byte(s))
	}
	return strconv.Quote(s)
}

func (m macPattern) text() string {
	s := net.HardwareAddr(m.prefix).String()
	if len(m.prefix) < 6 {
		s += ":*"
	}
	return s
}

func (m *RelayMatch) text() string {
	var out []string
	if len(m.From) > 0 {
		out = append(out, "from "+some(each(m.From, func(p prefix) string { return p.net.String() })))
	}
	if len(m.CircuitID) > 0 {
		out = append(out, "circuit-id "+some(each(m.CircuitID, patternText)))
	}
	if len(m.RemoteID) > 0 {
		out = append(out, "remote-id "+some(each(m.RemoteID, patternText)))
	}
	return strings.Join(out, ", ")
}
