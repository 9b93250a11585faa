package boot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/program"
)

// A machine's boot is a chain: its ROM asks and runs what it is told; where that is iPXE, iPXE asks in turn. walk plays
// it for every kind of machine. It must end at a script, or at a file that is not iPXE.

// stage is who asks during a boot.
type stage struct {
	netboot.Client
	handed string // the entry that handed this iPXE out; empty: the machine had it
	file   string // which was its file
}

// finding is what goes wrong at an entry, for which architectures.
type finding struct {
	at    string // the entry; of hosts that fare alike, the first
	loop  bool
	file  string // what was handed out
	why   string // of what gets nothing: why not
	archs []string
	hosts map[string]bool // which are alike, so that one line tells of all
}

// findings are those of all machines.
type findings struct {
	order []*finding
	by    map[string]*finding
	rules map[string]bool // the places of rules
}

func (f *findings) note(n finding, arch netboot.Arch) {
	key := n.at
	if !f.rules[n.at] {
		key = "hosts with " + n.file
	}
	key += ": " + n.why
	known := f.by[key]
	if known == nil {
		known = &n
		known.hosts = map[string]bool{}
		f.by[key] = known
		f.order = append(f.order, known)
	}
	known.hosts[n.at] = true
	if name := arch.String(); !slices.Contains(known.archs, name) {
		known.archs = append(known.archs, name)
	}
}

// maxSteps bounds the walk: steps of a boot times rules, some 5 s.
const maxSteps = 300_000_000

// walk plays the boots of all machines through the map.
func (k *checker) walk(p *Policy) {
	found := &findings{by: map[string]*finding{}, rules: map[string]bool{}}
	for i := range k.file.Rules {
		found.rules[k.file.Rules[i].Match.Pos.String()] = true
	}
	starts, steps := k.starts(), 0
	for _, who := range k.identities() {
		for _, s := range starts {
			if len(who.codes) > 0 && !slices.Contains(who.codes, s.Arch) {
				continue
			}
			who.playedBy(&s.Client)
			steps += k.boot(p, s, found) * (1 + len(p.rules))
		}
		if steps > maxSteps {
			k.warnings.Add(conf.Pos{File: k.path}, "is too large to play every machine's boot through it; that of some entries was not looked at")
			break
		}
	}
	k.report(found)
}

func (k *checker) report(found *findings) {
	places := k.places()
	for _, f := range found.order {
		at, others := places[f.at], ""
		if n := len(f.hosts) - 1; n > 0 {
			others = fmt.Sprintf(" (and by %d other hosts)", n)
		}
		switch {
		case f.loop && netboot.IsIPXEBinary(f.file):
			k.warnings = slices.DeleteFunc(k.warnings, func(w conf.Problem) bool {
				return w.Pos == at && strings.HasPrefix(w.Text, "iPXE as it is usually built")
			})
			k.problems.Add(at, "boot loop: iPXE for %s, as it is usually built, matches this rule and is handed %s again and again; leave out what such a build lacks (https on BIOS), or serve another file", f.archs[0], f.file)
		case f.loop:
			k.problems.Add(at, "boot loop: the file %q is iPXE, which its name does not tell, so iPXE is handed it again and again%s; name it like ipxe.efi or undionly.kpxe", f.file, others)
		default:
			k.warnings.Add(at, "iPXE for %s is handed out here%s, and is told nothing when it asks: %s; add a rule such as {ipxe: true, file: boot.ipxe}, unless its script is embedded", strings.Join(f.archs, ", "), others, f.why)
		}
	}
}

// boot plays one machine's boot, in so many steps.
func (k *checker) boot(p *Policy, s stage, found *findings) (steps int) {
	for steps = 1; ; steps++ {
		asks := s.Client
		var passed passedOver
		a, mine := p.DecideTraced(&asks, func(c *netboot.Client, r Refusal) {
			if r.Why != ReasonLoop { // the rule that was for the firmware
				passed.hear(c, r)
			}
		})
		if !mine {
			if s.handed != "" && a.Because == "" {
				why := "no rule matches it"
				if passed.why != ReasonNone {
					why = passed.entry + ": " + passed.why.String()
				}
				found.note(finding{at: s.handed, file: s.file, why: why}, s.Arch)
			}
			return steps
		}
		file := strings.TrimPrefix(a.File, "tftp://["+asks.Local.String()+"]/") // as DHCPv6 has it
		next, isIPXE := k.becomes(asks, file)
		if !isIPXE {
			return steps
		}
		if s.Firmware == netboot.FirmwareIPXE && alike(&next, &s.Client) {
			found.note(finding{at: a.Because, loop: true, file: file}, next.Arch)
			return steps
		}
		s = stage{next, a.Because, file}
	}
}

// alike tells two iPXEs that no rule can tell apart.
func alike(a, b *netboot.Client) bool {
	return a.Arch == b.Arch && a.Features == b.Features && a.FeaturesKnown == b.FeaturesKnown && slices.Equal(a.UserClasses, b.UserClasses)
}

// becomes is who asks next after c has run the file, if that is iPXE and runs on c's machine: iPXE as it is usually built.
func (k *checker) becomes(c netboot.Client, file string) (next netboot.Client, isIPXE bool) {
	for _, us := range []string{"[" + c.Local.String() + "]", c.Local.String()} {
		file = strings.Replace(file, us, "{server}", 1) // as the map has it
	}
	known, there := k.look(file)
	if !netboot.IsIPXEBinary(file) && !known.IPXE {
		return c, false
	}
	switch name := c.Arch.String(); {
	case there && !known.RunsOn(c.Arch), !there && name == "bios" && isEFIName(file), !there && strings.HasPrefix(name, "uefi-") && !isEFIName(file):
		return c, false // which the machine cannot run
	case strings.HasPrefix(name, "uboot-") && (there && known.Kind != program.EFI || !there && !isEFIName(file)):
		return c, false
	case name == "uboot-arm32":
		c.Arch = archOf("uefi-arm32")
	case name == "uboot-arm64":
		c.Arch = archOf("uefi-arm64")
	case !slices.Contains(netboot.ArchNames(), name) || name == "rpi":
		return c, false // of which there is no iPXE
	default:
		c.Arch = archOf(name)
	}
	return asIPXE(c, netboot.UsualFeatures(c.Arch)), true
}

// isEFIName tells an EFI program by its name; the other forms of iPXE are for BIOS.
func isEFIName(file string) bool {
	file, _, _ = strings.Cut(file, "?")
	return strings.HasSuffix(strings.ToLower(file), ".efi")
}

// look is the file behind a name or one of our own URLs, where it is in a firmware directory.
func (k *checker) look(file string) (p program.Program, there bool) {
	if name, ours := k.nameOf(file); ours {
		f := k.open(name)
		return f.Program, f.path != "" && f.err == nil
	}
	return p, false
}

// looked is a file of a firmware directory.
type looked struct {
	program.Program
	path string // empty: there is none
	err  error  // of reading it
}

// open looks at a file once.
func (k *checker) open(name string) looked {
	f, before := k.looked[name]
	if !before {
		if f.path = k.find(name); f.path != "" {
			f.Program, f.err = program.Of(f.path)
		}
		k.looked[name] = f
	}
	return f
}

// places are the entries of the map by what answers call them.
func (k *checker) places() map[string]conf.Pos {
	places := map[string]conf.Pos{}
	for i := range k.file.Rules {
		places[k.file.Rules[i].Match.Pos.String()] = k.file.Rules[i].Match.Pos
	}
	for i := range k.file.Hosts {
		places[k.file.Hosts[i].Pos.String()] = k.file.Hosts[i].Pos
	}
	return places
}
