package boot

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// template is a boot file's name or URL with placeholders. What clients control is escaped for where it stands.
type template struct {
	parts []part // text and placeholders in turn
}

type part struct {
	text  string                                   // literal, or the placeholder's name
	value func(*netboot.Client, netip.Addr) string // nil: literal
	in    place
}

// place is where in a name a placeholder stands.
type place uint8

const (
	inName  place = iota // a TFTP name: nothing can be escaped there
	inHost               // a URL's host
	inPath               // a URL's path
	inQuery              // a URL's query
)

// placeholders are given the client and the answer's server.
var placeholders = map[string]func(c *netboot.Client, server netip.Addr) string{
	"mac":        func(c *netboot.Client, _ netip.Addr) string { return c.MAC.String() },
	"mac-hyphen": func(c *netboot.Client, _ netip.Addr) string { return c.MAC.Hyphenated() },
	"uuid":       func(c *netboot.Client, _ netip.Addr) string { return c.UUID.String() },
	"arch":       func(c *netboot.Client, _ netip.Addr) string { return c.Arch.String() },
	"hostname":   func(c *netboot.Client, _ netip.Addr) string { return c.Hostname },
	"ip":         func(c *netboot.Client, _ netip.Addr) string { return addrText(c.IP) },
	"server":     func(_ *netboot.Client, server netip.Addr) string { return addrText(server) },
}

// addrText is the address; empty if there is none.
func addrText(a netip.Addr) string {
	if !a.IsValid() || a.IsUnspecified() {
		return ""
	}
	return a.String()
}

func parseTemplate(s string) (*template, error) {
	t := new(template)
	where := inName
	scheme := strings.Index(s, "://")
	for at := 0; at < len(s); {
		open := strings.IndexByte(s[at:], '{')
		// iPXE expands ${net0/mac} itself, so that is text to us.
		for open > 0 && s[at+open-1] == '$' {
			next := strings.IndexByte(s[at+open+1:], '{')
			if next < 0 {
				open = -1
				break
			}
			open += 1 + next
		}
		literal := s[at:]
		if open >= 0 {
			literal = s[at : at+open]
		}
		if literal != "" {
			t.parts = append(t.parts, part{text: literal})
		}
		if open < 0 {
			break
		}
		at += open
		end := strings.IndexByte(s[at:], '}')
		if end < 0 {
			return nil, fmt.Errorf("%q has a { without its }; close it, or write %%7B in a URL", s)
		}
		name := s[at+1 : at+end]
		value, ok := placeholders[name]
		if !ok {
			return nil, fmt.Errorf("placeholder {%s} is unknown; use one of %s", name, placeholderNames())
		}
		if scheme >= 0 {
			before := s[scheme+3 : max(at, scheme+3)]
			switch {
			case at < scheme+3 || !strings.Contains(before, "/"):
				where = inHost
				if name != "server" {
					return nil, fmt.Errorf("placeholder {%s} stands in the host of %q, where a client could name any host; move it behind the host", name, s)
				}
			case strings.Contains(before, "?"):
				where = inQuery
			default:
				where = inPath
			}
		}
		t.parts = append(t.parts, part{text: name, value: value, in: where})
		at += end + 1
	}
	return t, nil
}

func placeholderNames() string {
	names := make([]string, 0, len(placeholders))
	for n := range placeholders {
		names = append(names, "{"+n+"}")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// uses tells whether the placeholder name is in it.
func (t *template) uses(name string) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.value != nil && p.text == name })
}

// static is the whole text, where it has no placeholder.
func (t *template) static() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].value == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// expand fills the placeholders in. It refuses a value that the client did not send, one that cannot stand where it
// should, and a result that leaves its directory or does not fit an option.
func (t *template) expand(c *netboot.Client, server netip.Addr) (string, Reason) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value == nil {
			b.WriteString(p.text)
			continue
		}
		v := p.value(c, server)
		switch {
		case v == "" && p.text == "server":
			return "", ReasonNoServer
		case v == "":
			return "", ReasonNoValue
		}
		v, ok := escape(v, p.in, p.text == "hostname")
		if !ok {
			return "", ReasonUnsafe
		}
		b.WriteString(v)
	}
	if b.Len() > netboot.MaxFile {
		return "", ReasonTooLong
	}
	if leaves(b.String()) {
		return "", ReasonUnsafe
	}
	return b.String(), ReasonNone
}

// escape makes v fit where it stands. Only a hostname is free text; the others are of our own making.
func escape(v string, in place, free bool) (string, bool) {
	if in == inHost && strings.Contains(v, ":") {
		return "[" + v + "]", true // RFC 3986 section 3.2.2
	}
	if !free {
		return v, true
	}
	if in == inQuery {
		return strings.ReplaceAll(url.QueryEscape(v), "+", "%20"), true
	}
	// A slash cannot be escaped: servers decode %2F before they look for the file.
	if strings.ContainsAny(v, "/\\") || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", false
	}
	if in == inPath {
		return strings.ReplaceAll(url.PathEscape(v), "$", "%24"), true
	}
	if strings.ContainsFunc(v, func(r rune) bool { return r > '~' || strings.ContainsRune(" :$%?#{}\"'`", r) }) {
		return "", false
	}
	return v, true
}

// leaves tells a name with a segment that goes up.
func leaves(name string) bool {
	if i := strings.IndexAny(name, "?#"); i >= 0 {
		name = name[:i]
	}
	return slices.Contains(strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' }), "..")
}
