package boot

import (
	"bytes"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// takesAllOf tells whether every client that late answers is answered by early: each word of early is a word of late
// with no more values, and early's file is one that they all can use.
func takesAllOf(early, late *Rule) bool {
	if len(early.Not) > 0 || len(early.Any) > 0 || early.Relay != nil && !coversRelay(early.Relay, late.Relay) {
		return false
	}
	return covers(early.codes(), late.codes(), same) &&
		(early.IPXE == nil || late.IPXE != nil && *early.IPXE == *late.IPXE) &&
		(len(early.Features) == 0 || len(late.Features) > 0 && union(late.Features).Has(union(early.Features))) &&
		(len(early.Lacks) == 0 || len(late.Lacks) > 0 && union(early.Lacks).Has(union(late.Lacks))) &&
		covers(early.Match.Firmware, late.Match.Firmware, same) &&
		covers(early.UserClass, late.UserClass, coversPattern) &&
		covers(early.VendorClass, late.VendorClass, coversPattern) &&
		covers(lower(early.Hostname), lower(late.Hostname), coversPattern) &&
		covers(early.Subnet, late.Subnet, coversPattern) &&
		covers(early.Class, late.Class, coversPattern) &&
		covers(early.MAC, late.MAC, func(e, l macPattern) bool { return bytes.HasPrefix(l.prefix, e.prefix) }) &&
		covers(early.UUID, late.UUID, func(e, l conf.At[netboot.UUID]) bool { return e.V == l.V }) &&
		usableAs(early, late)
}

// covers tells whether early leaves no value of late out, as one value takes another in; no values at all means any.
func covers[T any](early, late []T, takesIn func(early, late T) bool) bool {
	if len(early) == 0 {
		return true
	}
	return len(late) > 0 && !slices.ContainsFunc(late, func(l T) bool {
		return !slices.ContainsFunc(early, func(e T) bool { return takesIn(e, l) })
	})
}

func same[T comparable](a, b T) bool { return a == b }

// coversPattern knows a pattern that is the same, and one that matches the whole of a plain text.
func coversPattern(early, late pattern) bool {
	return slices.Equal(early.parts, late.parts) || len(late.parts) == 1 && early.matches(late.parts[0])
}

func coversRelay(early, late *RelayMatch) bool {
	return late != nil && covers(early.CircuitID, late.CircuitID, coversPattern) && covers(early.RemoteID, late.RemoteID, coversPattern) &&
		covers(early.From, late.From, func(e, l prefix) bool { return e.net.Bits() <= l.net.Bits() && e.net.Contains(l.net.Addr()) })
}

// usableAs tells whether who can use late's file can use early's.
func usableAs(early, late *Rule) bool {
	a, b := early.Give.File.V, late.Give.File.V
	if a == "" {
		return true
	}
	if strings.Contains(a, "{") || b == "" { // a placeholder may be missing
		return false
	}
	scheme := func(s string) string {
		before, _, _ := strings.Cut(s, "://")
		return before[:len(before)*min(1, strings.Count(s, "://"))]
	}
	return scheme(a) == scheme(b) && netboot.IsIPXEScript(a) == netboot.IsIPXEScript(b) &&
		(!netboot.IsIPXEBinary(a) || early.asksForIPXE() || netboot.IsIPXEBinary(b) && !late.asksForIPXE())
}

// nobody is why a rule's words leave no client, or why none of them can use its file; empty: some can.
func (r *Rule) nobody() string {
	only := func(kind netboot.Firmware) bool {
		return len(r.Match.Firmware) > 0 && !slices.ContainsFunc(r.Match.Firmware, func(f firmware) bool { return f.kind != kind })
	}
	isIPXE := r.IPXE != nil && *r.IPXE || len(r.Features) > 0 || len(r.Lacks) > 0
	noIPXE := r.IPXE != nil && !*r.IPXE || len(r.Match.Firmware) > 0 && !slices.Contains(r.Match.Firmware, firmware{netboot.FirmwareIPXE})
	anyCode := func(want bool) bool {
		return len(r.codes()) == 0 || slices.ContainsFunc(r.codes(), func(a netboot.Arch) bool { return a.HTTP() == want })
	}
	switch {
	case isIPXE && noIPXE:
		return "it wants iPXE, and what is not iPXE (only iPXE has features); remove one of the two"
	case r.IPXE != nil && !*r.IPXE && only(netboot.FirmwareIPXE):
		return "it wants iPXE, and what is not iPXE; remove one of the two"
	case len(r.Features) > 0 && len(r.Lacks) > 0 && union(r.Features).Has(union(r.Lacks)):
		return "it wants features that it wants to be lacking too; remove one of the two"
	case noIPXE && netboot.IsIPXEScript(r.Give.File.V):
		return "only iPXE runs the script that it gives; match ipxe: true, or give a program"
	case only(netboot.FirmwareHTTP) && !anyCode(true):
		return "its architectures are those of PXE clients, and firmware: http boots by HTTP; name the machine, like uefi-x64, which is both"
	}
	return ""
}
