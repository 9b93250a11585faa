package tftpd_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/tftpd"
)

func TestNamesOfFirmwareBecomePathsBelowTheRoot(t *testing.T) {
	for asked, want := range map[string]string{
		"ipxe.efi":      "ipxe.efi",
		"/ipxe.efi":     "ipxe.efi",
		"//ipxe.efi":    "ipxe.efi",
		`\ipxe.efi`:     "ipxe.efi",
		`/\/ipxe.efi`:   "ipxe.efi",
		"./ipxe.efi":    "ipxe.efi",
		"/./ipxe.efi":   "ipxe.efi",
		`\Boot\BCD`:     "Boot/BCD",
		"a//b/./c":      "a/b/c",
		"sub/../ok":     "ok",
		"a/b/../../c":   "c",
		"dir/":          "dir",
		"a..b":          "a..b",
		"..a/b":         "..a/b",
		"...":           "...",
		"two words":     "two words",
		"%2e%2e/x":      "%2e%2e/x",
		"C:/boot":       "C:/boot",
		"b\u00fccher/x": "b\u00fccher/x",
	} {
		if got, err := tftpd.Clean(asked); got != want || err != nil {
			t.Errorf("%q becomes %q, %v; want %q", asked, got, err, want)
		}
	}
}

func TestNamesThatLeadOutOrAreEmptyAreRefused(t *testing.T) {
	for asked, want := range map[string]error{
		"..":            tftpd.ErrOutside,
		"/..":           tftpd.ErrOutside,
		`..\x`:          tftpd.ErrOutside,
		`..\\x`:         tftpd.ErrOutside,
		"../etc/passwd": tftpd.ErrOutside,
		"/a/../../x":    tftpd.ErrOutside,
		"a/../..":       tftpd.ErrOutside,
		"":              fs.ErrNotExist,
		"/":             fs.ErrNotExist,
		".":             fs.ErrNotExist,
		"a/..":          fs.ErrNotExist,
		"\x00x":         fs.ErrNotExist,
		"\xff":          fs.ErrNotExist,
		"a\nb":          fs.ErrNotExist,
		"a\x7f":         fs.ErrNotExist,
	} {
		if got, err := tftpd.Clean(asked); !errors.Is(err, want) || got != "" {
			t.Errorf("%q becomes %q, %v; want %v", asked, got, err, want)
		}
	}
}

func TestWhatROMsReadBehindANameIsCutOff(t *testing.T) {
	for asked, want := range map[string]string{
		"ipxe.efi": "ipxe.efi", "ipxe.efi\x00\xff\xff": "ipxe.efi", "ipxe.efi\xff": "ipxe.efi", "ipxe.efi\x7f..": "ipxe.efi",
		"ipxe.efi\n/../../x": "ipxe.efi", "\xff": "",
	} {
		if got := tftpd.CutGarbage(asked); got != want {
			t.Errorf("%q becomes %q, want %q", asked, got, want)
		}
	}
}

func FuzzCleanNameStaysBelowTheRoot(f *testing.F) {
	for _, seed := range []string{"/ipxe.efi", `\Boot\BCD`, "../x", `..\..//./x`, "a/../..", "x\x00\xff", "%2e%2e/", ".../..", " /.. "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		name, err := tftpd.Clean(asked)
		if err != nil {
			if name != "" || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, tftpd.ErrOutside) {
				t.Fatalf("%q: %q, %v", asked, name, err)
			}
			return
		}
		// A valid path is relative, and has no empty, "." or ".." element.
		if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00\n\x7f") {
			t.Fatalf("%q becomes %q", asked, name)
		}
		if again, err := tftpd.Clean(name); again != name || err != nil {
			t.Fatalf("%q becomes %q, which becomes %q, %v", asked, name, again, err)
		}
	})
}
