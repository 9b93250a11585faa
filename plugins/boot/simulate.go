package boot

import (
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// A machine's boot is a chain: its ROM asks and runs what it is told; where that is iPXE, iPXE asks in turn. walk plays
// it for every kind of machine. It must end at a script, or at a file that is not iPXE.

// stage is who asks during a boot.
type stage struct {
	netboot.Client
	handed string // the entry that handed this iPXE out; empty: the machine had it
}

// finding is what goes wrong at an entry, for which architectures.
type finding struct {
	loop  bool
	file  string // what was handed out
	why   string // of what gets nothing: why not
	archs []string
}

// walk plays the boots of all machines through the map.
func (k *checker) walk(p *Policy) {
	found := map[string]*finding{}
	var order []string
	note := func(entry string, f finding, arch netboot.Arch) {
		key := entry + f.why
		if found[key] == nil {
			found[key] = &f
			order = append(order, key)
		}
		if name := arch.String(); !slices.Contains(found[key].archs, name) {
			found[key].archs = append(found[key].archs, name)
		}
	}
	starts := k.starts()
	for _, who := range k.identities() {
		for _, s := range starts {
			s.MAC, s.UUID, s.Hostname, s.Relay = who.MAC, who.UUID, who.Hostname, who.Relay
			if len(who.UserClasses) > 0 {
				s.UserClasses = who.UserClasses
			}
			if who.VendorClass != "" {
				s.VendorClass = who.VendorClass
			}
			k.boot(p, s, note)
		}
	}
	places := k.places()
	for _, key := range order {
		f := found[key]
		at := places[strings.TrimSuffix(key, f.why)]
		switch {
		case f.loop && netboot.IsIPXEBinary(f.file):
			k.warnings = slices.DeleteFunc(k.warnings, func(w conf.Problem) bool {
				return w.Pos == at && strings.HasPrefix(w.Text, "iPXE as it is usually built")
			})
			k.problems.Add(at, "boot loop: iPXE for %s, as it is usually built, matches this rule and is handed %s again and again; leave out what such a build lacks (https on BIOS), or serve another file", f.archs[0], f.file)
		case f.loop:
			k.problems.Add(at, "boot loop: the file %q is iPXE, which its name does not tell, so iPXE is handed it again and again; name it like ipxe.efi or undionly.kpxe", f.file)
		default:
			k.warnings.Add(at, "iPXE for %s is handed out here, and is told nothing when it asks: %s; add a rule such as {ipxe: true, file: boot.ipxe}, unless its script is embedded", strings.Join(f.archs, ", "), f.why)
		}
	}
}

// boot plays one machine's boot.
func (k *checker) boot(p *Policy, s stage, note func(entry string, f finding, arch netboot.Arch)) {
	for {
		asks := s.Client
		var passed passedOver
		a, mine := p.DecideTraced(&asks, func(c *netboot.Client, entry string, why Reason) {
			if why != ReasonLoop { // the rule that was for the firmware
				passed.hear(c, entry, why)
			}
		})
		if !mine {
			if s.handed != "" && a.Because == "" {
				why := "no rule matches it"
				if passed.why != ReasonNone {
					why = passed.entry + ": " + passed.why.String()
				}
				note(s.handed, finding{why: why}, s.Arch)
			}
			return
		}
		next, isIPXE := k.becomes(asks, a.File)
		if !isIPXE {
			return
		}
		if s.Firmware == netboot.FirmwareIPXE && alike(&next, &s.Client) {
			note(a.Because, finding{loop: true, file: a.File}, next.Arch)
			return
		}
		s = stage{next, a.Because}
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
	if !netboot.IsIPXEBinary(file) && !known.ipxe {
		return c, false
	}
	switch name := c.Arch.String(); {
	case there && !known.runsOn(c.Arch), !there && name == "bios" && isEFIName(file), !there && strings.HasPrefix(name, "uefi-") && !isEFIName(file):
		return c, false // which the machine cannot run
	case name == "uboot-arm32":
		c.Arch = archOf("uefi-arm32")
	case name == "uboot-arm64":
		c.Arch = archOf("uefi-arm64")
	case !slices.Contains(netboot.ArchNames(), name) || name == "rpi":
		return c, false // of which there is no iPXE
	default:
		c.Arch = archOf(name)
	}
	return asIPXE(c, builtIn(c.Arch)), true
}

// isEFIName tells an EFI program by its name; the other forms of iPXE are for BIOS.
func isEFIName(file string) bool {
	file, _, _ = strings.Cut(file, "?")
	return strings.HasSuffix(strings.ToLower(file), ".efi")
}

// look is the file behind a name or one of our own URLs, where it is in a firmware directory.
func (k *checker) look(file string) (p program, there bool) {
	name, ours := k.nameOf(file)
	if !ours {
		return p, false
	}
	if p, there = k.looked[name]; there {
		return p, true
	}
	path := k.find(name)
	if path == "" {
		return p, false
	}
	p, err := programOf(path)
	if err != nil {
		return p, false // program says so
	}
	k.looked[name] = p
	return p, true
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
