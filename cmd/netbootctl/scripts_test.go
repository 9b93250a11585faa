package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/placeholder"
)

func TestRenderShowsWhatAMachineGets(t *testing.T) {
	files(t, map[string]string{
		"boot.ipxe.tmpl": "#!ipxe\necho {{.mac}} {{.arch}} {{.values.disk}} {{.product}}\n",
		"machines.yml":   "values: {disk: none}\nmachines:\n  - {serial: 7XK2, values: {disk: sda}}\n",
	})
	for _, c := range []struct {
		args               []string
		script, beside     string
		found, commandLine bool
	}{
		{args: []string{"--mac", "52-54-00-aa-bb-01", "--arch", "bios", "--product", "Power Edge"}, script: "#!ipxe\necho 52:54:00:aa:bb:01 bios none Power%20Edge\n", beside: "boot.ipxe because of the name\n"},
		{args: []string{"--serial", "7XK2", "autoexec.ipxe"}, script: "#!ipxe\necho   sda \n", beside: "boot.ipxe because of machines.yml:3\n"},
		{args: []string{"none.ipxe"}, beside: ".: has no script none.ipxe; the machine gets a file of that name, or nothing\n", found: true},
		{args: []string{"--mac", "x"}, beside: `--mac "x" is not a MAC address`, commandLine: true},
		{args: []string{"--arch", "vax"}, beside: `--arch "vax" is unknown; use one of bios, `, commandLine: true},
		{args: []string{"a.ipxe", "b.ipxe"}, beside: `"b.ipxe" is one name too many; ask for one script`, commandLine: true},
	} {
		var out, beside bytes.Buffer
		err := run(append([]string{"render", "--scripts", "."}, c.args...), &out, &beside)
		if c.commandLine {
			if err == nil || !strings.HasPrefix(err.Error(), c.beside) {
				t.Errorf("%q: %v", c.args, err)
			}
			continue
		}
		if out.String() != c.script || beside.String() != c.beside || errors.Is(err, errFound) != c.found || err != nil && !c.found {
			t.Errorf("%q: %v, %q, %q", c.args, err, out.String(), beside.String())
		}
	}
}

func TestRenderTellsEveryMistake(t *testing.T) {
	files(t, map[string]string{"a.ipxe.tmpl": "#!ipxe\n{{end}}\n", "b.ipxe": "x\n", "boot.ipxe": "#!ipxe\n"})
	text, err := says(t, "render", "--scripts", ".")
	if want := "b.ipxe:1: does not begin with the line #!ipxe, so iPXE would not run it; add the line\na.ipxe.tmpl:2: unexpected {{end}}; correct the template\n"; text != want || !errors.Is(err, errFound) {
		t.Errorf("%v: %s", err, text)
	}
	files(t, map[string]string{"boot.ipxe.tmpl": "#!ipxe\necho {{.values.disk}}\n"})
	text, err = says(t, "render", "--scripts", ".")
	if want := "boot.ipxe.tmpl:2: at <.values.disk>: map has no entry for key \"disk\"\n"; text != want || !errors.Is(err, errFound) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestEmbedPutsAScriptInThePlaceOfThePlaceholder(t *testing.T) {
	files(t, map[string]string{"boot.ipxe": "#!ipxe\necho site", "long.ipxe": strings.Repeat("#", 16385), "plain.efi": "MZ"})
	if text, err := says(t, "embed", "--placeholder", "-o", "placeholder.ipxe"); err != nil || text != "placeholder.ipxe is written\n" {
		t.Fatal(err, text)
	}
	blank, err := os.ReadFile("placeholder.ipxe")
	if err != nil || !bytes.Equal(blank, placeholder.Text()) {
		t.Fatal(err)
	}
	if err := os.WriteFile("build.efi", append([]byte("before"), append(blank, "after"...)...), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := says(t, "embed", "build.efi", "--script", "boot.ipxe", "-o", "site.efi"); err != nil {
		t.Fatal(err, text)
	}
	got, err := os.ReadFile("site.efi")
	want := "before#!ipxe\necho site" + strings.Repeat("\n", 16384-len("#!ipxe\necho site")) + "after"
	if err != nil || string(got) != want {
		t.Errorf("%v, %d bytes", err, len(got))
	}
	for said, args := range map[string][]string{
		"long.ipxe: the script has 16385 bytes, and the placeholder holds 16384; shorten it, or chain to a longer one; nothing is written\n": {"build.efi", "--script", "long.ipxe", "-o", "no.efi"},
		"plain.efi: has no placeholder; build iPXE for EFI with EMBED= and what netbootctl embed --placeholder writes; nothing is written\n": {"plain.efi", "--script", "boot.ipxe", "-o", "no.efi"},
		"open none.ipxe: no such file or directory\n": {"build.efi", "--script", "none.ipxe", "-o", "no.efi"},
	} {
		if text, err := says(t, append([]string{"embed"}, args...)...); text != said || !errors.Is(err, errFound) {
			t.Errorf("%q: %v, %s", args, err, text)
		}
		if _, err := os.Stat("no.efi"); err == nil {
			t.Errorf("%q: a file is written", args)
		}
	}
	for said, args := range map[string][]string{
		"names no file to write; give -o OUT":                         {"build.efi", "--script", "boot.ipxe"},
		"takes one file and its script; write embed IN --script FILE": {"build.efi", "-o", "x"},
	} {
		if _, err := says(t, append([]string{"embed"}, args...)...); err == nil || errors.Is(err, errFound) || !strings.HasPrefix(err.Error(), said) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestCheckRendersTheBootScripts(t *testing.T) {
	dir := files(t, map[string]string{
		"config.yml":      chain("server_id: 192.0.2.1", "boot: boot.yml"),
		"boot.yml":        "scripts: .\nhttp: http://192.0.2.1:8080\nrules:\n  - {ipxe: true, file: \"http://192.0.2.1:8080/bootstrap.ipxe\"}\n  - {ipxe: true, arch: bios, file: \"http://192.0.2.1:8080/bootstarp.ipxe\"}\n",
		"boot.ipxe.tmpl":  "#!ipxe\n{{if eq .arch \"uefi-arm64\"}}echo {{.values.dtb}}{{end}}\n",
		"machines.yml":    "machines:\n  - {serial: A, values: {dtb: x}}\n  - {serial: B}\n",
		"other.ipxe.tmpl": "#!ipxe\necho {{.values.dtb}}\n",
	})
	text, err := says(t, "check")
	want := `boot.yml:5: "http://192.0.2.1:8080/bootstarp.ipxe" would be the script bootstarp.ipxe, which is not in the directory DIR; create it, or correct the name
boot.ipxe.tmpl:2: at <.values.dtb>: map has no entry for key "dtb" (for the machine on machines.yml:3 as uefi-arm64)
boot.yml:5: warning: the rule never answers: the one on line 4 takes every client of it; put this one first, or remove it
other.ipxe.tmpl:2: warning: at <.values.dtb>: map has no entry for key "dtb" (if the machine on machines.yml:3 asked for it)
config.yml: 2 mistakes, 2 warnings
`
	want = strings.Replace(want, "DIR", dir, 1)
	if text != want || !errors.Is(err, errFound) {
		t.Errorf("%v:\n%s\nnot:\n%s", err, text, want)
	}
}
