package boot

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/msdhcp"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// MSDHCP is the map at path as Microsoft's DHCP server can follow it. What it cannot is left out of the script, and told
// in leftOut. An entry without a server of its own gets server; invalid: the map must name one. The error is about the
// map as such.
func MSDHCP(path string, server netip.Addr) (script *msdhcp.Script, leftOut conf.Problems, err error) {
	var f File
	c, p := compile(path, &f, conf.Load(path, &f))
	if _, err := c.policy(p); err != nil {
		return nil, nil, err
	}
	e := &exporter{compiler: c, server: server, script: &msdhcp.Script{Source: path}}
	for i := range f.Hosts {
		h := &f.Hosts[i]
		m := Match{Pos: h.Pos, UUID: h.UUID}
		for _, mac := range h.MAC {
			m.MAC = append(m.MAC, macPattern{mac.V.Bytes()})
		}
		e.entry(&m, &h.Give)
	}
	for i := range f.Rules {
		e.entry(&f.Rules[i].Match, &f.Rules[i].Give)
	}
	for _, l := range e.leftOut {
		e.script.LeftOut = append(e.script.LeftOut, l.Error())
	}
	return e.script, e.leftOut, nil
}

// exporter turns entries of a map into policies.
type exporter struct {
	*compiler
	server  netip.Addr
	script  *msdhcp.Script
	leftOut conf.Problems
}

// cannot is why an entry cannot be said.
type cannot string

func (c cannot) Error() string { return string(c) }

func (e *exporter) entry(m *Match, g *Give) {
	before := len(e.script.Policies)
	if err := e.policies(m, g); err != nil {
		e.script.Policies = e.script.Policies[:before]
		e.leftOut.Add(m.Pos, "%v; left out", err)
	} else if len(e.script.Policies) == before {
		e.leftOut.Add(m.Pos, "no client that Microsoft DHCP can tell apart can use the file; left out")
	}
}

// policies adds one for each kind of firmware that the entry is for and that can use its file.
func (e *exporter) policies(m *Match, g *Give) error {
	if word := unsayable(m, g); word != "" {
		return cannot(word)
	}
	name := g.File
	if single, ok := g.Menu.single(); ok {
		name = single
	}
	a := e.answer(g, m.Pos)
	a.asksForIPXE = m.asksForIPXE()
	if !a.server4.IsValid() {
		a.server4 = e.server
	}
	if !a.server4.IsValid() {
		return cannot("the server is auto, which Microsoft DHCP does not know; name it with --server")
	}
	for _, p := range sortedKeys(placeholders) {
		if p != "server" && strings.Contains(strings.ReplaceAll(name.V, "${", ""), "{"+p+"}") {
			return cannot("the placeholder {" + p + "} is filled in for each machine, which Microsoft DHCP cannot do (iPXE fills in ${net0/mac} and its like by itself)")
		}
	}
	for _, kind := range []netboot.Firmware{netboot.FirmwareIPXE, netboot.FirmwarePXE, netboot.FirmwareHTTP} {
		if err := e.policy(kind, m, a); err != nil {
			return err
		}
	}
	return nil
}

// unsayable is the first word of an entry that Microsoft DHCP has no condition or option for.
func unsayable(m *Match, g *Give) string {
	_, single := g.Menu.single()
	for _, w := range []struct {
		word string
		used bool
	}{
		{"features", len(m.Features) > 0}, {"lacks", len(m.Lacks) > 0}, {"uuid", len(m.UUID) > 0},
		{"hostname", len(m.Hostname) > 0}, {"relay", m.Relay != nil}, {"subnet", len(m.Subnet) > 0}, {"class", len(m.Class) > 0}, {"not", len(m.Not) > 0}, {"any", len(m.Any) > 0},
	} {
		if w.used {
			return "Microsoft DHCP cannot match by " + w.word
		}
	}
	for _, w := range []struct {
		word string
		used bool
	}{
		{"server-name", g.ServerName.V != ""}, {"options", len(g.Options) > 0}, {"ipxe-options", len(g.IPXEOptions) > 0},
		{"profile raspberry-pi", g.Profile.V == "raspberry-pi"}, {"menu", g.Menu != nil && !single},
		{"ignore, since a later policy would answer", g.Ignore},
	} {
		if w.used {
			return "this script cannot give " + w.word
		}
	}
	if len(m.Arch) > 0 && len(m.VendorClass) > 0 {
		return "Microsoft DHCP tells an architecture by the vendor class, so it cannot match by arch and vendor-class at once"
	}
	return ""
}

// policy adds the policy for one kind of firmware, if the entry is for it and it can use the file.
func (e *exporter) policy(kind netboot.Firmware, m *Match, a *answer) error {
	isIPXE := kind == netboot.FirmwareIPXE
	switch {
	case m.IPXE != nil && *m.IPXE != isIPXE, len(m.Firmware) > 0 && !slices.Contains(m.Firmware, firmware{kind}):
		return nil
	case isIPXE && len(m.UserClass) > 0 && m.IPXE == nil: // known by a class of its own, and not as iPXE
		return nil
	}
	like := netboot.Client{Firmware: kind, Local: a.server4, FeaturesKnown: true, Features: netboot.UsualFeatures(netboot.ArchUEFIx64)}
	out, why := a.give(&like)
	if why != ReasonNone {
		return nil //nolint:nilerr // such a client is for a later entry
	}
	p := msdhcp.Policy{Because: m.Pos.String(), Server: a.server4, File: out.File}
	if kind == netboot.FirmwareHTTP {
		p.Class60 = "HTTPClient"
	}
	var some bool
	var err error
	if p.Vendor.Values, some, err = vendorClasses(kind, m); err != nil || !some {
		return err
	}
	if p.User, err = userClasses(kind, m); err != nil {
		return err
	}
	for _, mac := range m.MAC {
		digits := strings.ToUpper(hex.EncodeToString(mac.prefix))
		if len(mac.prefix) < 6 {
			digits += "*"
		}
		p.MAC.Values = append(p.MAC.Values, digits)
	}
	for _, s := range slices.Concat([]string{p.File}, p.Vendor.Values, p.User.Values) {
		if !msdhcp.Sayable(s) {
			return cannot(fmt.Sprintf("%q has characters that PowerShell may misread", s))
		}
	}
	e.script.Policies = append(e.script.Policies, p)
	return nil
}

// vendorClasses are what option 60 of such clients begins with, or nil for any; some: there are such clients.
func vendorClasses(kind netboot.Firmware, m *Match) (classes []string, some bool, err error) {
	prefix := "PXEClient"
	if kind == netboot.FirmwareHTTP {
		prefix = "HTTPClient"
	}
	if len(m.VendorClass) > 0 {
		given, err := classNames("vendor-class", m.VendorClass)
		isHTTP := func(s string) bool { return strings.HasPrefix(s, "HTTPClient") }
		given = slices.DeleteFunc(given, func(s string) bool { return isHTTP(s) != (kind == netboot.FirmwareHTTP) })
		return given, len(given) > 0, err
	}
	codes := m.codes()
	if len(codes) == 0 {
		if kind == netboot.FirmwareIPXE {
			return nil, true, nil
		}
		return []string{prefix + "*"}, true, nil
	}
	for _, code := range codes {
		switch {
		case code == netboot.ArchRPi:
			return nil, false, cannot("Microsoft DHCP cannot tell a Raspberry Pi from a BIOS")
		case code.HTTP() != (kind == netboot.FirmwareHTTP):
		case code == netboot.ArchUBootARM32:
			classes = append(classes, "U-Boot.armv7*")
		case code == netboot.ArchUBootARM64:
			classes = append(classes, "U-Boot.armv8*")
		default:
			classes = append(classes, fmt.Sprintf("%s:Arch:%05d*", prefix, code))
		}
	}
	return classes, len(classes) > 0, nil
}

// userClasses is what option 77 of such clients is, or is not.
func userClasses(kind netboot.Firmware, m *Match) (msdhcp.Match, error) {
	if len(m.UserClass) > 0 {
		names, err := classNames("user-class", m.UserClass)
		return msdhcp.Match{Values: names}, err
	}
	switch kind {
	case netboot.FirmwareIPXE:
		return msdhcp.Match{Values: []string{"iPXE"}}, nil
	case netboot.FirmwarePXE: // iPXE says PXEClient too
		return msdhcp.Match{Not: true, Values: []string{"iPXE"}}, nil
	}
	return msdhcp.Match{}, nil
}

// classNames are patterns as Microsoft DHCP has them: a text, or the beginning of one.
func classNames(word string, patterns []pattern) (names []string, err error) {
	for _, p := range patterns {
		s := p.String()
		if i := strings.IndexByte(s, '*'); i >= 0 && i < len(s)-1 || s == "*" {
			return nil, cannot(fmt.Sprintf("%s %q: Microsoft DHCP knows * at the end of a text only", word, s))
		}
		names = append(names, s)
	}
	return names, nil
}
