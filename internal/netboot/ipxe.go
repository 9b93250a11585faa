package netboot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// OptionIPXE is the option in which iPXE's settings and features travel (Etherboot's encapsulated space).
const OptionIPXE = 175

// Features is the set of what an iPXE build can do, from option 175. Bit n is feature code n
// (iPXE: include/ipxe/features.h).
type Features uint64

var featureNames = map[string]uint8{
	"pxe-ext": 16, "iscsi": 17, "aoe": 18, "http": 19, "https": 20, "tftp": 21, "ftp": 22, "dns": 23, "bzimage": 24,
	"multiboot": 25, "slam": 26, "srp": 27, "nbi": 32, "pxe": 33, "elf": 34, "comboot": 35, "efi": 36, "fcoe": 37,
	"vlan": 38, "menu": 39, "sdi": 40, "nfs": 41,
}

// Features that decide whether a URL can be fetched.
const (
	FeatureHTTP  Features = 1 << 19
	FeatureHTTPS Features = 1 << 20
)

// ParseFeature reads a feature's name.
func ParseFeature(s string) (Features, error) {
	if code, ok := featureNames[s]; ok {
		return 1 << code, nil
	}
	return 0, fmt.Errorf("iPXE feature %q is unknown; use one of %s", s, strings.Join(FeatureNames(), ", "))
}

// FeatureNames are the names that ParseFeature knows, sorted.
func FeatureNames() []string {
	names := make([]string, 0, len(featureNames))
	for n := range featureNames {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// UsualFeatures are those of iPXE as its makefile and the distributions build it: HTTPS is on for EFI only.
func UsualFeatures(a Arch) (f Features) {
	names := []string{"pxe-ext", "iscsi", "aoe", "http", "tftp", "dns", "bzimage", "srp", "pxe", "elf", "vlan", "menu"}
	if a.String() != "bios" {
		names = append(names, "https", "efi")
	}
	for _, name := range names {
		f |= 1 << featureNames[name]
	}
	return f
}

// Has tells whether all of want are present.
func (f Features) Has(want Features) bool { return f&want == want }

// Names are the set's features by name, sorted; one without a name is its number.
func (f Features) Names() (names []string) {
	for name, code := range featureNames {
		if f.Has(1 << code) {
			names = append(names, name)
			f &^= 1 << code
		}
	}
	for code := range 64 {
		if f.Has(1 << code) {
			names = append(names, strconv.Itoa(code))
		}
	}
	slices.Sort(names)
	return names
}

// featuresFrom decodes option 175 as a client sends it: code, length and value of each item, where a feature has its
// version as value. Its bus id (177) and version (235) are no features. A list cut short counts as far as it goes.
func featuresFrom(b []byte) (f Features) {
	for len(b) >= 2 {
		code, n := b[0], int(b[1])
		if code == 0 { // padding
			b = b[1:]
			continue
		}
		if len(b) < 2+n {
			break
		}
		if code >= 16 && code <= 63 && n > 0 {
			f |= 1 << code
		}
		b = b[2+n:]
	}
	return f
}

// isIPXEClass tells iPXE's user class, or that of gPXE, its ancestor. The match is on the beginning, as iPXE builds
// append to it, and is case-sensitive.
func isIPXEClass(class string) bool {
	return strings.HasPrefix(class, "iPXE") || strings.HasPrefix(class, "gPXE")
}

// IsIPXEBinary tells by its name a file that is iPXE itself: undionly.kpxe, ipxe.efi, ipxe-x86_64.efi, snponly.efi,
// ipxe.pxe, realtek.kpxe, with or without directories or a URL before it. The kpxe formats are iPXE's alone.
func IsIPXEBinary(file string) bool {
	base, _, _ := strings.Cut(strings.ToLower(baseName(file)), ";")
	stem, suffix, _ := strings.Cut(base, ".")
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		suffix = base[i+1:]
	}
	switch suffix {
	case "kpxe", "kkpxe", "kkkpxe", "lkrn":
		return true
	case "efi", "pxe", "0":
		return strings.HasPrefix(stem, "ipxe") || strings.HasPrefix(stem, "undionly") ||
			strings.HasPrefix(stem, "snponly") || stem == "snp" || strings.HasPrefix(stem, "snp-") ||
			strings.HasPrefix(base, "netboot.xyz")
	}
	return false
}

// IsIPXEScript tells by its name a file that only iPXE can run.
func IsIPXEScript(file string) bool {
	return strings.HasSuffix(strings.ToLower(baseName(file)), ".ipxe")
}

// baseName is what stands behind the last slash of a name, or of a URL's path.
func baseName(file string) string {
	if strings.Contains(file, "://") {
		if i := strings.IndexAny(file, "?#"); i >= 0 {
			file = file[:i]
		}
	}
	return file[strings.LastIndexByte(file, '/')+1:]
}
