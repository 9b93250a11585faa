package boot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// What follows plays boots on its own, from what clients.md and the plugin's README say, to hold the loop finder
// against: it knows nothing of the plugin's code. A map is a list of random rules.

// randomRule is a rule, and the machine's words that it is for.
type randomRule struct {
	arch, firmware, features, lacks, class, not []string
	ipxe                                        *bool
	anyOf                                       []randomRule
	file                                        string
	ignore                                      bool
}

// player is who asks.
type player struct {
	arch, firmware, class string
	features              []string
	told                  bool // its features
}

var (
	randomArchs = map[string]string{"bios": "kpxe", "uefi-ia32": "efi", "uefi-x64": "efi", "uefi-arm64": "efi"}
	// What iPXE has as it is built: HTTP and menus everywhere, HTTPS by default on EFI only (section c.1). NFS is off.
	builtBIOS, builtEFI = []string{"http", "menu"}, []string{"http", "menu", "https", "efi"}
	randomFiles         = []string{"undionly.kpxe", "ipxe.efi", "snponly.efi", "boot.ipxe", "http://192.0.2.9/boot.ipxe", "https://192.0.2.9/boot.ipxe",
		"grub.efi", "http://192.0.2.9/x", "http://192.0.2.9/ipxe.efi", "lpxelinux.0"}
)

func (r *randomRule) yaml() string {
	var words []string
	list := func(key string, values []string) {
		if len(values) > 0 {
			words = append(words, key+": ["+strings.Join(values, ", ")+"]")
		}
	}
	list("arch", r.arch)
	list("firmware", r.firmware)
	list("features", r.features)
	list("lacks", r.lacks)
	list("user-class", r.class)
	if r.ipxe != nil {
		words = append(words, "ipxe: "+strconv.FormatBool(*r.ipxe))
	}
	if len(r.not) > 0 {
		words = append(words, "not: {arch: ["+strings.Join(r.not, ", ")+"]}")
	}
	if len(r.anyOf) > 0 {
		var all []string
		for i := range r.anyOf {
			all = append(all, r.anyOf[i].yaml())
		}
		words = append(words, "any: ["+strings.Join(all, ", ")+"]")
	}
	if r.file != "" {
		words = append(words, fmt.Sprintf("file: %q", r.file))
	}
	if r.ignore {
		words = append(words, "ignore: true")
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func subset(have, want []string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(have, w) })
}

func (r *randomRule) matches(p player) bool {
	return (len(r.arch) == 0 || slices.Contains(r.arch, p.arch)) &&
		(len(r.firmware) == 0 || slices.Contains(r.firmware, p.firmware)) &&
		(len(r.features) == 0 || p.told && subset(p.features, r.features)) &&
		(len(r.lacks) == 0 || p.told && !subset(p.features, r.lacks)) &&
		(len(r.class) == 0 || slices.Contains(r.class, p.class)) &&
		(r.ipxe == nil || *r.ipxe == (p.firmware == "ipxe")) &&
		!slices.Contains(r.not, p.arch) &&
		(len(r.anyOf) == 0 || slices.ContainsFunc(r.anyOf, func(a randomRule) bool { return a.matches(p) }))
}

// asks tells a rule that hands iPXE to iPXE: by lacks or by a user class.
func (r *randomRule) asks() bool {
	return len(r.lacks) > 0 || len(r.class) > 0 ||
		len(r.anyOf) > 0 && !slices.ContainsFunc(r.anyOf, func(a randomRule) bool { return !a.asks() })
}

func isIPXE(file string) bool {
	return strings.HasSuffix(file, "undionly.kpxe") || strings.HasSuffix(file, "ipxe.efi") || strings.HasSuffix(file, "snponly.efi")
}

// answers tells whether p can fetch and run the rule's file.
func (r *randomRule) answers(p player) bool {
	scheme, _, isURL := strings.Cut(r.file, "://")
	switch {
	case r.ignore:
		return true
	case strings.HasSuffix(r.file, ".ipxe") && p.firmware != "ipxe",
		p.firmware == "pxe" && isURL,
		p.firmware == "http" && !isURL, // these maps have no http
		p.firmware == "ipxe" && p.told && isURL && !slices.Contains(p.features, scheme),
		p.firmware == "ipxe" && isIPXE(r.file) && !r.asks():
		return false
	}
	return true
}

// loopIn plays the boot of one machine, and tells the rule that hands iPXE to the same iPXE; 0: none does.
func loopIn(rules []randomRule, p player) int {
	for range 10 {
		at := slices.IndexFunc(rules, func(r randomRule) bool { return r.matches(p) && r.answers(p) })
		if at < 0 || rules[at].ignore || !isIPXE(rules[at].file) || !strings.HasSuffix(rules[at].file, "."+randomArchs[p.arch]) {
			return 0 // it ends here: at a script, at another file, or at one that the machine cannot run
		}
		next := player{arch: p.arch, firmware: "ipxe", class: "iPXE", told: p.told, features: builtEFI}
		if p.arch == "bios" {
			next.features = builtBIOS
		}
		if !next.told {
			next.features = nil
		}
		if p.firmware == "ipxe" && p.class == next.class && p.told == next.told && slices.Equal(p.features, next.features) {
			return at + 1
		}
		p = next
	}
	panic("a boot that neither ends nor repeats itself")
}

// loops are the rules at which some machine's boot goes round.
func loops(rules []randomRule) (found []int) {
	features := []string{"http", "menu", "https", "efi"}
	for arch := range randomArchs {
		for _, told := range []bool{true, false} { // by DHCPv4, by DHCPv6
			for _, class := range []string{"", "iPXE", "PlainPXE", "lab"} {
				starts := []player{{arch: arch, firmware: "pxe", told: told, class: class}, {arch: arch, firmware: "http", told: told, class: class}}
				for set := range 1 << len(features) { // a card's own iPXE, of every build
					var has []string
					for i, f := range features {
						if set>>i&1 == 1 && told {
							has = append(has, f)
						}
					}
					starts = append(starts, player{arch: arch, firmware: "ipxe", told: told, class: class, features: has})
				}
				for _, p := range starts {
					if at := loopIn(rules, p); at > 0 && !slices.Contains(found, at) {
						found = append(found, at)
					}
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

func some(rng *rand.Rand, chance float64, from ...string) (out []string) {
	if rng.Float64() >= chance {
		return nil
	}
	rng.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return slices.Clone(from[:1+rng.IntN(2)])
}

func randomMatch(rng *rand.Rand) (r randomRule) {
	r.arch = some(rng, 0.4, "bios", "uefi-ia32", "uefi-x64", "uefi-arm64")
	r.firmware = some(rng, 0.1, "pxe", "http", "ipxe")
	r.features = some(rng, 0.1, "http", "menu", "https", "nfs")
	r.lacks = some(rng, 0.5, "http", "menu", "https", "nfs", "efi")
	r.class = some(rng, 0.15, "PlainPXE", "lab")
	r.not = some(rng, 0.1, "bios", "uefi-x64")
	if rng.Float64() < 0.2 {
		yes := rng.IntN(2) == 0
		r.ipxe = &yes
	}
	return r
}

func randomMap(rng *rand.Rand) (rules []randomRule) {
	for range 1 + rng.IntN(6) {
		r := randomMatch(rng)
		if rng.Float64() < 0.2 {
			for range 2 {
				if m := randomMatch(rng); m.yaml() != "{}" {
					r.anyOf = append(r.anyOf, m)
				}
			}
		}
		few := len(randomFiles)
		if rng.Float64() < 0.5 {
			few = 3 // which are iPXE
		}
		if r.file = randomFiles[rng.IntN(few)]; rng.Float64() < 0.05 {
			r.file, r.ignore = "", true
		}
		rules = append(rules, r)
	}
	return rules
}

var loopAt = regexp.MustCompile(`boot\.yml:(\d+): boot loop: `)

func TestTheLoopFinderAgreesWithABruteForceOnRandomMaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(2026, 11))
	path := filepath.Join(t.TempDir(), "boot.yml")
	looping, fine := 0, 0
	for looping+fine < 1000 {
		rules := randomMap(rng)
		text := "rules:\n"
		for i := range rules {
			text += "  - " + rules[i].yaml() + "\n"
		}
		must(t, os.WriteFile(path, []byte(text), 0o600))
		problems, _ := boot.Check(path)
		if _, err := boot.Load(path); err != nil || strings.Contains(problems.Error(), "the rule never answers") {
			continue // a map that is refused for another reason
		}
		var got []int
		for _, m := range loopAt.FindAllStringSubmatch(problems.Error(), -1) {
			line, err := strconv.Atoi(m[1])
			must(t, err)
			got = append(got, line-1)
		}
		want := loops(rules)
		if !slices.Equal(got, want) {
			t.Fatalf("finds loops at the rules %v, and there are some at %v:\n%s", got, want, text)
		}
		if len(want) > 0 {
			looping++
		} else {
			fine++
		}
	}
	if looping < 150 || fine < 150 {
		t.Errorf("%d maps with a loop and %d without: this is no test", looping, fine)
	}
}
