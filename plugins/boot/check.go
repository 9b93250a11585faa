package boot

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Check loads the map at path as the plugin does, and looks for what people forget: files that are not there or are for
// another architecture, clients that a rule can never answer, rules that never answer, and loops.
func Check(path string) (problems, warnings conf.Problems) {
	var f File
	c, p := compile(path, &f, conf.Load(path, &f))
	if p != nil {
		whole := len(c.problems) == 0 // what could not be read says nothing about the rest
		k := &checker{compiler: c, file: &f}
		for i := range f.Rules {
			k.rule(i)
			if whole {
				k.shadow(i)
			}
		}
		for i := range f.Hosts {
			k.program(&f.Hosts[i].Give, nil)
		}
		if whole {
			k.loops(p)
		}
	}
	return conf.Problems(nil).With(slices.Concat(c.problems, c.missing)), conf.Problems(nil).With(c.warnings)
}

// checker looks at a map that has been compiled.
type checker struct {
	*compiler
	file *File
}

func (k *checker) rule(i int) {
	r := &k.file.Rules[i]
	k.program(&r.Give, r.codes())
	k.clients(r)
	k.ebc(r)
}

// shadow looks for an earlier rule that leaves nobody to this one.
func (k *checker) shadow(i int) {
	r := &k.file.Rules[i]
	for j := range i {
		if k.takesAllOf(&k.file.Rules[j], r) {
			k.warnings.Add(r.Match.Pos, "the rule never answers: the one on line %d takes every client of it; put this one first, or remove it", k.file.Rules[j].Match.Line)
			return
		}
	}
}

// codes are the architectures that a rule names; nil: any.
func (m *Match) codes() []netboot.Arch { return slices.Concat(m.Arch...) }

// program looks at the file itself: it must be there, and be a program of the rule's architecture.
func (k *checker) program(g *Give, codes []netboot.Arch) {
	name, ours := k.nameOf(g.File.V)
	if !ours || len(k.dirs) == 0 {
		return
	}
	path := k.find(name)
	if path == "" {
		if name != g.File.V { // the compiler has noted a plain name
			k.problems.Add(g.File.Pos, "%q would be the file %s, which is in none of the firmware directories %s; create it, or correct the URL", g.File.V, name, strings.Join(k.dirs, ", "))
		}
		return
	}
	kind, err := programOf(path)
	if err != nil {
		k.problems.Add(g.File.Pos, "file %q cannot be read: %v; correct its permissions", name, err)
		return
	}
	for _, code := range codes {
		if !kind.runsOn(code) {
			k.problems.Add(g.File.Pos, "file %q is %s, which %s machines (arch %d) cannot run; give them a file of their own", name, kind, code, uint16(code))
			return
		}
	}
}

// nameOf is the name below the firmware directories that a file or one of our own URLs stands for. Names with
// placeholders are nobody's.
func (k *checker) nameOf(file string) (name string, ours bool) {
	if k.base != "" {
		if rest, ok := strings.CutPrefix(file, k.base+"/"); ok {
			file, _, _ = strings.Cut(rest, "?")
		}
	}
	return file, file != "" && !strings.Contains(file, "://") && !strings.Contains(file, "{")
}

func (k *checker) find(name string) string {
	for _, dir := range k.dirs {
		if isRegular(dir, name) {
			return filepath.Join(dir, filepath.FromSlash(name))
		}
	}
	return ""
}

// clients looks at a rule whose file some of its clients cannot fetch.
func (k *checker) clients(r *Rule) {
	file := r.Give.File.V
	onlyIPXE := r.IPXE != nil && *r.IPXE || len(r.Features) > 0 || len(r.Lacks) > 0 ||
		len(r.Match.Firmware) == 1 && r.Match.Firmware[0].kind == netboot.FirmwareIPXE
	wantsHTTP := func(f firmware) bool { return f.kind == netboot.FirmwareHTTP }
	switch {
	case file == "" || onlyIPXE || netboot.IsIPXEScript(file):
	case strings.Contains(file, "://") && slices.ContainsFunc(r.Match.Firmware, func(f firmware) bool { return f.kind == netboot.FirmwarePXE }):
		k.problems.Add(r.Give.File.Pos, "PXE firmware cannot fetch the URL %q; give it a name, or match firmware: http", file)
	case strings.Contains(file, "://") && len(r.Match.Firmware) == 0:
		k.warnings.Add(r.Give.File.Pos, "plain PXE firmware cannot fetch the URL %q, and passes this rule over; match ipxe: true or firmware: http to say so", file)
	case !strings.Contains(file, "://") && k.base == "" && slices.ContainsFunc(r.Match.Firmware, wantsHTTP):
		k.problems.Add(r.Give.File.Pos, "HTTP firmware cannot fetch the name %q; set http: at the top of the map, or give a URL", file)
	}
}

// ebc looks for the code that old firmware sends for x64.
func (k *checker) ebc(r *Rule) {
	codes := r.codes()
	if !slices.Contains(codes, netboot.ArchUEFIx64) || slices.Contains(codes, netboot.Arch(9)) {
		return
	}
	for i := range k.file.Rules {
		if slices.Contains(k.file.Rules[i].codes(), netboot.Arch(9)) {
			return
		}
	}
	k.warnings.Add(r.Match.Pos, "arch 7 without 9: some x64 firmware says 9 (EBC); write uefi-x64, which is both")
}

// takesAllOf tells whether every client that late answers is answered by early: each word of early is a word of late
// with no more values, and early's file is one that they all can use.
func (k *checker) takesAllOf(early, late *Rule) bool {
	if len(early.Not) > 0 || len(early.Any) > 0 || early.Relay != nil && !sameRelay(early.Relay, late.Relay) {
		return false
	}
	return covers(early.codes(), late.codes()) &&
		(early.IPXE == nil || late.IPXE != nil && *early.IPXE == *late.IPXE) &&
		(len(early.Features) == 0 || len(late.Features) > 0 && union(late.Features).Has(union(early.Features))) &&
		(len(early.Lacks) == 0 || len(late.Lacks) > 0 && union(early.Lacks).Has(union(late.Lacks))) &&
		covers(early.Match.Firmware, late.Match.Firmware) &&
		covers(texts(early.UserClass), texts(late.UserClass)) &&
		covers(texts(early.VendorClass), texts(late.VendorClass)) &&
		covers(texts(early.Hostname), texts(late.Hostname)) &&
		covers(prefixes(early.MAC), prefixes(late.MAC)) &&
		covers(uuids(early.UUID), uuids(late.UUID)) &&
		usableAs(early, late)
}

// covers tells whether early leaves no value of late out; no values at all means any.
func covers[T comparable](early, late []T) bool {
	if len(early) == 0 {
		return true
	}
	return len(late) > 0 && !slices.ContainsFunc(late, func(v T) bool { return !slices.Contains(early, v) })
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

func sameRelay(a, b *RelayMatch) bool {
	return b != nil && fmt.Sprint(a.From, a.CircuitID, a.RemoteID) == fmt.Sprint(b.From, b.CircuitID, b.RemoteID)
}

func texts(list []pattern) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].String()
	}
	return out
}

func prefixes(list []macPattern) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = string(list[i].prefix)
	}
	return out
}

func uuids(list []conf.At[uuid]) []netboot.UUID {
	out := make([]netboot.UUID, len(list))
	for i := range list {
		out[i] = list[i].V.UUID
	}
	return out
}

// builtIn are the features of iPXE as its makefile and the distributions build it: HTTPS is on for EFI only.
func builtIn(code netboot.Arch) (f netboot.Features) {
	names := []string{"pxe-ext", "iscsi", "aoe", "http", "tftp", "dns", "bzimage", "srp", "pxe", "elf", "vlan", "menu"}
	if code.String() != "bios" {
		names = append(names, "https", "efi")
	}
	for _, name := range names {
		bit, err := netboot.ParseFeature(name)
		if err != nil {
			panic(err) // a typo above
		}
		f |= bit
	}
	return f
}

// loops plays iPXE, as it is usually built, through the whole map for every architecture: it must not be handed iPXE,
// since that would only come back the same.
func (k *checker) loops(p *Policy) {
	said := map[string]bool{}
	for _, name := range netboot.ArchNames() {
		codes, _ := netboot.ParseArch(name)
		c := netboot.Client{
			Arch: codes[0], ArchBy: netboot.ArchByOption, Firmware: netboot.FirmwareIPXE, UserClasses: []string{"iPXE"},
			Features: builtIn(codes[0]), FeaturesKnown: true, Local: netip.AddrFrom4([4]byte{192, 0, 2, 1}),
		}
		a, mine := p.Decide(&c)
		if !mine || !netboot.IsIPXEBinary(a.File) || said[a.Because] {
			continue
		}
		said[a.Because] = true
		for i := range k.file.Rules {
			if r := &k.file.Rules[i]; r.Match.Pos.String() == a.Because {
				k.problems.Add(r.Match.Pos, "boot loop: iPXE for %s, as it is usually built, matches this rule and is handed %s again and again; leave out what such a build lacks (https on BIOS), or serve another file", name, a.File)
			}
		}
	}
}
