package boot

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// The leaves of a map. Each reads itself from text; conf adds where it stood.

type archs []netboot.Arch

func (a *archs) UnmarshalText(b []byte) (err error) {
	*a, err = netboot.ParseArch(string(b))
	return err
}

type feature struct{ bit netboot.Features }

func (f *feature) UnmarshalText(b []byte) (err error) {
	f.bit, err = netboot.ParseFeature(string(b))
	return err
}

type firmware struct{ kind netboot.Firmware }

func (f *firmware) UnmarshalText(b []byte) error {
	kind, ok := netboot.ParseFirmware(string(b))
	if !ok {
		return fmt.Errorf("firmware %q is unknown; use pxe, http or ipxe", b)
	}
	f.kind = kind
	return nil
}

// server is an address, or "auto": ours on the client's side.
type server struct {
	addr netip.Addr
	auto bool
}

func (s *server) UnmarshalText(b []byte) error {
	if string(b) == "auto" {
		s.auto = true
		return nil
	}
	addr, err := netip.ParseAddr(string(b))
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an IP address; write one, or auto (clients get no names here: firmware cannot resolve them)", b)
	case addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6():
		return fmt.Errorf("%s is no address that a machine can fetch from; write one of the file server's, or auto", addr)
	}
	s.addr = addr
	return nil
}

// prefix is a network; a single address is one of its own.
type prefix struct{ net netip.Prefix }

func (p *prefix) UnmarshalText(b []byte) error {
	if addr, err := netip.ParseAddr(string(b)); err == nil {
		p.net = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	n, err := netip.ParsePrefix(string(b))
	if err != nil {
		return fmt.Errorf("%q is neither an address nor a network; write it like 192.0.2.0/24", b)
	}
	if n != n.Masked() {
		return fmt.Errorf("%s has bits set behind its /%d; did you mean %s?", n, n.Bits(), n.Masked())
	}
	p.net = n
	return nil
}

// macPattern is an address, or the beginning of one: "52:54:00:*".
type macPattern struct{ prefix []byte }

func (m *macPattern) UnmarshalText(b []byte) error {
	s := string(b)
	if full, err := netboot.ParseMAC(s); err == nil {
		m.prefix = full.Bytes()
		return nil
	}
	s, open := strings.CutSuffix(s, "*") // without it a forgotten octet would take many machines
	s = strings.TrimRight(s, ":-")
	for _, octet := range strings.Split(strings.ReplaceAll(s, "-", ":"), ":") {
		v, err := hex.DecodeString(octet)
		if err != nil || len(v) != 1 {
			m.prefix = nil
			break
		}
		m.prefix = append(m.prefix, v[0])
	}
	if !open || len(m.prefix) == 0 || len(m.prefix) > 6 {
		return fmt.Errorf("%q is neither a MAC address nor the beginning of one; write it like 52:54:00:aa:bb:cc, or 52:54:00:*", b)
	}
	return nil
}

// pattern is a text in which * stands for any run of characters; bytes that are no text are written as 0x and hex.
type pattern struct{ parts []string }

func (p *pattern) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "" {
		return fmt.Errorf("an empty text matches nothing; write the text, with * for any characters")
	}
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		raw, err := hex.DecodeString(digits)
		if err != nil || len(raw) == 0 {
			return fmt.Errorf("%q begins like hex bytes but is none; write an even number of hex digits behind 0x", s)
		}
		p.parts = []string{string(raw)}
		return nil
	}
	p.parts = strings.Split(s, "*")
	return nil
}

// matches compares in time linear to s for each part: the leftmost place for each is as good as any other.
func (p *pattern) matches(s string) bool {
	first, rest := p.parts[0], p.parts[1:]
	if len(rest) == 0 {
		return s == first
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	last := rest[len(rest)-1]
	for _, part := range rest[:len(rest)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}

func (p *pattern) String() string { return strings.Join(p.parts, "*") }
