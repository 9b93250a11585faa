package boot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// match compiles the words of a rule into conditions, the cheap and selective ones first.
func (c *compiler) match(m *Match) (out match) {
	add := func(word Reason, holds func(*netboot.Client) bool) {
		out = append(out, condition{word, m.words(word), holds})
	}

	if len(m.Arch) > 0 {
		set := slices.Concat(m.Arch...)
		add(ReasonArch, func(c *netboot.Client) bool {
			return c.ArchBy != netboot.ArchNotTold && slices.Contains(set, c.Arch)
		})
	}
	if m.IPXE != nil {
		want := *m.IPXE
		add(ReasonIPXE, func(c *netboot.Client) bool { return (c.Firmware == netboot.FirmwareIPXE) == want })
	}
	if len(m.Firmware) > 0 {
		set := m.Firmware
		add(ReasonFirmware, func(c *netboot.Client) bool { return slices.Contains(set, firmware{c.Firmware}) })
	}
	if len(m.Features) > 0 {
		set := union(m.Features)
		add(ReasonFeatures, func(c *netboot.Client) bool { return c.FeaturesKnown && c.Features.Has(set) })
	}
	if len(m.Lacks) > 0 {
		set := union(m.Lacks)
		add(ReasonLacks, func(c *netboot.Client) bool { return c.FeaturesKnown && !c.Features.Has(set) })
	}
	if len(m.MAC) > 0 {
		set := m.MAC
		add(ReasonMAC, func(c *netboot.Client) bool {
			return c.MAC.Known() && slices.ContainsFunc(set, func(p macPattern) bool { return c.MAC.HasPrefix(p.prefix) })
		})
	}
	if len(m.UUID) > 0 {
		set := m.UUID
		add(ReasonUUID, func(c *netboot.Client) bool {
			return c.UUID.Known() && slices.ContainsFunc(set, func(u conf.At[netboot.UUID]) bool { return u.V == c.UUID })
		})
	}
	if len(m.UserClass) > 0 {
		set := m.UserClass
		add(ReasonUserClass, func(c *netboot.Client) bool {
			return slices.ContainsFunc(c.UserClasses, func(class string) bool { return anyMatches(set, class) })
		})
	}
	if len(m.VendorClass) > 0 {
		set := m.VendorClass
		add(ReasonVendorClass, func(c *netboot.Client) bool { return c.VendorClass != "" && anyMatches(set, c.VendorClass) })
	}
	if len(m.Hostname) > 0 {
		set := lower(m.Hostname)
		add(ReasonHostname, func(c *netboot.Client) bool {
			return c.Hostname != "" && anyMatches(set, strings.ToLower(c.Hostname))
		})
	}
	if len(m.Subnet) > 0 {
		set := m.Subnet
		add(ReasonSubnet, func(c *netboot.Client) bool {
			return c.Place.Network != "" && (anyMatches(set, c.Place.Network) || anyMatches(set, c.Place.Subnet))
		})
	}
	if len(m.Class) > 0 {
		set := m.Class
		add(ReasonClass, func(c *netboot.Client) bool {
			return slices.ContainsFunc(c.Place.Classes, func(class string) bool { return anyMatches(set, class) })
		})
	}
	if m.Relay != nil {
		if len(m.Relay.From) == 0 && len(m.Relay.CircuitID) == 0 && len(m.Relay.RemoteID) == 0 {
			c.problems.AddAbsence(m.Relay.Pos, "relay matches nothing; add from, circuit-id or remote-id")
		}
		add(ReasonRelay, relayed(m.Relay))
	}
	return c.logic(m, out)
}

// logic adds not and any.
func (c *compiler) logic(m *Match, out match) match {
	all := func(list []Match) []match {
		compiled := make([]match, len(list))
		for i := range list {
			if list[i].empty() {
				c.problems.AddAbsence(list[i].Pos, "an empty match takes every client; add what it should test")
			}
			compiled[i] = c.match(&list[i])
		}
		return compiled
	}
	holds := func(list []match) func(*netboot.Client) bool {
		return func(c *netboot.Client) bool {
			return slices.ContainsFunc(list, func(m match) bool { return m.refuses(c) == nil })
		}
	}
	if len(m.Not) > 0 {
		any := holds(all(m.Not))
		out = append(out, condition{ReasonNot, m.words(ReasonNot), func(c *netboot.Client) bool { return !any(c) }})
	}
	if len(m.Any) > 0 {
		out = append(out, condition{ReasonAny, m.words(ReasonAny), holds(all(m.Any))})
	}
	return out
}

func relayed(m *RelayMatch) func(*netboot.Client) bool {
	from, circuit, remote := m.From, m.CircuitID, m.RemoteID
	return func(c *netboot.Client) bool {
		return (len(from) == 0 || c.Relay.Addr.IsValid() && within(from, c.Relay.Addr)) &&
			(len(circuit) == 0 || c.Relay.CircuitID != "" && anyMatches(circuit, c.Relay.CircuitID)) &&
			(len(remote) == 0 || c.Relay.RemoteID != "" && anyMatches(remote, c.Relay.RemoteID))
	}
}

func within(nets []prefix, a netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p prefix) bool { return p.net.Contains(a) })
}

func union(list []feature) (set netboot.Features) {
	for _, f := range list {
		set |= f.bit
	}
	return set
}

func anyMatches(set []pattern, s string) bool {
	return slices.ContainsFunc(set, func(p pattern) bool { return p.matches(s) })
}

func lower(set []pattern) []pattern {
	out := make([]pattern, len(set))
	for i, p := range set {
		for _, part := range p.parts {
			out[i].parts = append(out[i].parts, strings.ToLower(part))
		}
	}
	return out
}
