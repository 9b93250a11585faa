package boot

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/program"
	"github.com/coredhcp-netboot/suite/internal/script"
)

// Check loads the map at path as the plugin does, and looks for what people forget: files that are not there or are for
// another architecture, clients that a rule can never answer, rules that never answer, and loops.
func Check(path string) (problems, warnings conf.Problems) {
	var f File
	c, p := compile(path, &f, conf.Load(path, &f))
	if p != nil {
		whole := len(c.problems) == 0 // what could not be read says nothing about the rest
		k := &checker{compiler: c, file: &f, looked: map[string]looked{}}
		for i := range f.Rules {
			k.rule(i)
			if whole {
				k.neverAnswers(i)
			}
		}
		for i := range f.Hosts {
			k.programs(&f.Hosts[i].Give, nil, false)
		}
		if whole {
			k.walk(p)
		}
	}
	problems, warnings = conf.Problems(nil).With(slices.Concat(c.problems, c.missing)), conf.Problems(nil).With(c.warnings)
	if c.scripts != "" {
		p, w := script.Check(c.scripts)
		problems, warnings = append(problems, p...), append(warnings, w...)
	}
	return problems, warnings
}

// Check6 tells what keeps the map at path from serving DHCPv6 on these interfaces of this host (none: on all).
func Check6(path string, listen []string) (problems conf.Problems) {
	var f File
	c, p := compile(path, &f, conf.Load(path, &f))
	if p == nil || p.auto6 == "" {
		return nil
	}
	if _, err := onlyGlobal6(listen); err != nil {
		k := &checker{compiler: c, file: &f}
		problems.Add(k.places()[p.auto6], "next-server is auto for DHCPv6, but %v", err)
	}
	return problems
}

// checker looks at a map that has been compiled.
type checker struct {
	*compiler
	file   *File
	looked map[string]looked // files by their names in the firmware directories
}

func (k *checker) rule(i int) {
	r := &k.file.Rules[i]
	k.programs(&r.Give, r.codes(), r.onlyIPXE())
	k.clients(r)
	k.ebc(r)
}

// neverAnswers looks for words that leave nobody to the rule, or an earlier rule that does.
func (k *checker) neverAnswers(i int) {
	r := &k.file.Rules[i]
	if why := r.nobody(); why != "" {
		k.problems.Add(r.Match.Pos, "the rule never answers: %s", why)
		return
	}
	for j := range i {
		if early := &k.file.Rules[j]; early.nobody() == "" && takesAllOf(early, r) {
			k.warnings.Add(r.Match.Pos, "the rule never answers: the one on line %d takes every client of it; put this one first, or remove it", early.Match.Line)
			return
		}
	}
}

// codes are the architectures that a rule names; nil: any.
func (m *Match) codes() []netboot.Arch { return slices.Concat(m.Arch...) }

// onlyIPXE tells a rule that matches nothing but iPXE.
func (r *Rule) onlyIPXE() bool {
	return r.IPXE != nil && *r.IPXE || len(r.Features) > 0 || len(r.Lacks) > 0 ||
		len(r.Match.Firmware) == 1 && r.Match.Firmware[0].kind == netboot.FirmwareIPXE
}

// programs looks at what the machines of these codes are given: a file, or those of a menu.
func (k *checker) programs(g *Give, codes []netboot.Arch, onlyIPXE bool) {
	k.program(g.File, codes, onlyIPXE)
	if g.Menu != nil {
		for i := range g.Menu.Items {
			k.program(g.Menu.Items[i].File, codes, false) // iPXE gets no menu
		}
	}
}

// program looks at the file itself: it must be there, and be what its name says and what its machines run.
func (k *checker) program(file conf.At[string], codes []netboot.Arch, onlyIPXE bool) {
	name, ours := k.nameOf(file.V)
	if ours && len(k.dirs) == 0 && k.library != nil && netboot.IsIPXEScript(name) && !k.rendered(name) {
		k.problems.Add(file.Pos, "%q would be the script %s, which is not in the directory %s; create it, or correct the name", file.V, name, k.scripts)
		return
	}
	if !ours || len(k.dirs) == 0 || k.rendered(name) {
		return
	}
	known := k.open(name)
	if known.path == "" {
		if name != file.V { // the compiler has noted a plain name
			k.problems.Add(file.Pos, "%q would be the file %s, which is in none of the firmware directories %s; create it, or correct the URL", file.V, name, k.where())
		}
		return
	}
	switch {
	case known.err != nil:
		k.problems.Add(file.Pos, "file %q cannot be read: %v; correct its permissions", name, known.err)
	case known.Kind == program.Empty || known.Kind == program.HTML:
		k.problems.Add(file.Pos, "file %q is %s; copy it there once more", name, known.Program)
	case netboot.IsIPXEScript(name) && known.Kind != program.Script:
		k.problems.Add(file.Pos, "file %q does not begin with #!ipxe, so iPXE does not take it for a script; begin it so", name)
	case !netboot.IsIPXEScript(name) && known.Kind == program.Script && !onlyIPXE:
		k.problems.Add(file.Pos, "file %q is an iPXE script, which its name does not tell, so firmware would be handed it too; name it %s.ipxe, or match ipxe: true", name, strings.TrimSuffix(name, filepath.Ext(name)))
	case !onlyIPXE || known.IPXE: // iPXE runs files of many kinds
		k.suits(file, name, known.Program, codes)
		k.companion(file, known.path)
	}
}

// suits compares a file with the architectures of its machines.
func (k *checker) suits(file conf.At[string], name string, known program.Program, codes []netboot.Arch) {
	if ext := strings.ToLower(filepath.Ext(name)); ext == ".iso" || ext == ".img" {
		return // which UEFI boots by HTTP as a disk
	}
	for _, code := range codes {
		if !known.RunsOn(code) {
			k.problems.Add(file.Pos, "file %q is %s, which %s machines (arch %d) cannot run; give them a file of their own", name, known, code, uint16(code))
			return
		}
	}
}

// companions are files that a loader fetches next, from its own directory.
var companions = []struct{ loader, companion, what string }{
	{"shimx64.efi", "grubx64.efi", "shim"}, {"shimaa64.efi", "grubaa64.efi", "shim"}, {"shimia32.efi", "grubia32.efi", "shim"},
	{"pxelinux.0", "ldlinux.c32", "PXELINUX"}, {"lpxelinux.0", "ldlinux.c32", "PXELINUX"},
	{"syslinux64.efi", "ldlinux.e64", "SYSLINUX"}, {"syslinux32.efi", "ldlinux.e32", "SYSLINUX"},
}

func (k *checker) companion(file conf.At[string], path string) {
	for _, c := range companions {
		if !strings.HasPrefix(filepath.Base(path), c.loader) { // Debian has shimx64.efi.signed
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), c.companion)); err != nil {
			k.warnings.Add(file.Pos, "%s fetches %s from its own directory, which is not there; copy it beside %s", c.what, c.companion, filepath.Base(path))
		}
	}
}

// nameOf is the name below the firmware directories that a file or one of our own URLs stands for. Names with
// placeholders are nobody's.
func (k *checker) nameOf(file string) (name string, ours bool) {
	if strings.Contains(file, "://") {
		if name, ours = k.ownPath(file); !ours {
			return "", false
		}
		file = name
	}
	if k.scripts != "" {
		file = strings.TrimPrefix(file, "m/{mac-hyphen}/") // the file server takes that off
	}
	return file, file != "" && !strings.Contains(file, "{")
}

// ownPath is the path of a URL on the server that files are fetched from: by TFTP, or at the address of http.
func (k *checker) ownPath(file string) (path string, ours bool) {
	if i := strings.IndexAny(file, "?#"); i >= 0 {
		file = file[:i]
	}
	if rest, ok := strings.CutPrefix(file, k.base+"/"); ok && k.base != "" {
		file = rest
	} else {
		scheme, rest, _ := strings.Cut(file, "://")
		authority, rest, _ := strings.Cut(rest, "/")
		base, prefix, _ := strings.Cut(strings.TrimPrefix(k.base, scheme+"://"), "/")
		switch {
		case scheme == "tftp" && k.isUs(strings.TrimSuffix(authority, ":69")):
		case k.base != "" && strings.HasPrefix(k.base, scheme+"://") && port(authority) == port(base) && k.isUs(host(authority)) && k.isUs(host(base)) && strings.HasPrefix(rest, prefix):
			rest = strings.TrimPrefix(strings.TrimPrefix(rest, prefix), "/")
		default:
			return "", false
		}
		file = rest
	}
	if plain, err := url.PathUnescape(file); err == nil {
		file = plain
	}
	return file, true
}

// isUs tells a URL's host that next-server stands for.
func (k *checker) isUs(host string) bool {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "{server}" || err == nil && (addr == k.server4 || addr == k.server6)
}

// host and port take a URL's authority apart.
func host(authority string) string { return strings.TrimSuffix(authority, ":"+port(authority)) }

func port(authority string) string {
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		return authority[i+1:]
	}
	return ""
}

// clients looks at a rule whose file some of its clients cannot fetch.
func (k *checker) clients(r *Rule) {
	file := r.Give.File.V
	wants := func(kind netboot.Firmware) bool { return slices.Contains(r.Match.Firmware, firmware{kind}) }
	switch {
	case file == "" || r.onlyIPXE() || netboot.IsIPXEScript(file):
	case strings.Contains(file, "://") && wants(netboot.FirmwarePXE):
		k.problems.Add(r.Give.File.Pos, "PXE firmware cannot fetch the URL %q; give it a name, or match firmware: http", file)
	case strings.Contains(file, "://") && len(r.Match.Firmware) == 0 && !r.onlyHTTP():
		k.warnings.Add(r.Give.File.Pos, "plain PXE firmware cannot fetch the URL %q, and passes this rule over; match ipxe: true or firmware: http to say so", file)
	case !strings.Contains(file, "://") && k.base == "" && (wants(netboot.FirmwareHTTP) || r.onlyHTTP()):
		k.problems.Add(r.Give.File.Pos, "HTTP firmware cannot fetch the name %q; set http: at the top of the map, or give a URL", file)
	}
}

// onlyHTTP tells a rule whose architectures or vendor classes are those of firmware that boots by HTTP.
func (r *Rule) onlyHTTP() bool {
	return len(r.codes()) > 0 && !slices.ContainsFunc(r.codes(), func(a netboot.Arch) bool { return !a.HTTP() }) ||
		len(r.VendorClass) > 0 && !slices.ContainsFunc(r.VendorClass, func(p pattern) bool { return !strings.HasPrefix(p.parts[0], "HTTPClient") })
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
