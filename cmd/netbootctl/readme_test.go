package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// page is a page of the documentation.
func page(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block is the example of a page that begins so.
func block(t *testing.T, page, first string) string {
	t.Helper()
	m := regexp.MustCompile("(?s)```[^\n]*\n( *)(" + regexp.QuoteMeta(first) + "\n.*?)\n *```").FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no page has an example that begins with %s", first)
	}
	return strings.ReplaceAll(m[2], "\n"+m[1], "\n") + "\n"
}

// sample is a command as a page shows it, and what it prints there.
type sample struct{ args, prints string }

func samplesOf(page, verb string) (all []sample) {
	for _, m := range regexp.MustCompile(`(?m)^    \$ netbootctl (`+verb+` .*)\n((?:    .*\n)+)`).FindAllStringSubmatch(page, -1) {
		all = append(all, sample{m[1], m[2]})
	}
	return all
}

// isPrintedBy compares what a program printed with a sample, in which "..." stands for any lines.
func (s sample) isPrintedBy(t *testing.T, got string) {
	t.Helper()
	rest := "\n" + got
	for _, part := range strings.Split(s.prints, "    ...\n") { // in their order
		part = "\n" + strings.ReplaceAll("\n"+part, "\n    ", "\n")[1:]
		_, behind, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%s: prints no\n%s\nin\n%s", s.args, part, rest)
		}
		rest = "\n" + behind
	}
}

// The README's network, whose map had another program for UEFI before.
func TestTheREADMEsExamplesOfExplainAreWhatItSays(t *testing.T) {
	readme, here := page(t, "../../README.md"), page(t, "README.md")
	bootMap := block(t, readme, "# boot.yml")
	files(t, map[string]string{"config.yml": block(t, readme, "# config.yml"), "subnets.yml": block(t, readme, "# subnets.yml"), "boot.yml": bootMap, "boot.yml.old": strings.ReplaceAll(bootMap, "ipxe.efi", "snponly.efi")})
	examples := samplesOf(here, "explain")
	if len(examples) < 2 {
		t.Fatalf("has %d examples", len(examples))
	}
	for _, e := range examples {
		got, _ := explains(t, nil, strings.Fields(e.args)[1:]...)
		e.isPrintedBy(t, got)
	}
}

func TestTheREADMEsExampleOfCheckIsWhatItSays(t *testing.T) {
	readme, here := page(t, "../../README.md"), page(t, "README.md")
	usual := usual()
	dir := files(t, map[string]string{
		"config.yml": strings.ReplaceAll(block(t, readme, "# config.yml"), "eth1", "lo"), "subnets.yml": strings.ReplaceAll(block(t, readme, "# subnets.yml"), "/var/lib/netboot/", ""), "boot.yml": block(t, here, "# boot.yml (with mistakes)"),
		"boot/undionly.kpxe": usual["firmware/undionly.kpxe"], "boot/ipxe.efi": usual["firmware/ipxe.efi"],
	})
	examples := samplesOf(here, "check")
	if len(examples) != 1 {
		t.Fatalf("has %d examples", len(examples))
	}
	inDir := strings.NewReplacer("/etc/netboot", dir, "/var/lib/netboot", dir)
	if err := os.WriteFile("boot.yml", []byte(inDir.Replace(page(t, "boot.yml"))), 0o644); err != nil {
		t.Fatal(err)
	}
	got, _ := says(t, strings.Fields(inDir.Replace(examples[0].args))...)
	examples[0].prints = inDir.Replace(examples[0].prints)
	examples[0].isPrintedBy(t, got)
}

// The site of the page about scripts.
func TestTheREADMEsExampleOfRenderIsWhatItSays(t *testing.T) {
	scripts, here := page(t, "../../scripts/README.md"), page(t, "README.md")
	dir := files(t, map[string]string{"machines.yml": block(t, scripts, "# machines.yml"), "install.ipxe.tmpl": block(t, scripts, "#!ipxe")})
	examples := samplesOf(here, "render")
	if len(examples) != 1 {
		t.Fatalf("has %d examples", len(examples))
	}
	inDir := strings.NewReplacer("/etc/netboot/scripts", dir)
	got, _ := says(t, strings.Fields(inDir.Replace(examples[0].args))...)
	examples[0].prints = inDir.Replace(examples[0].prints)
	examples[0].isPrintedBy(t, got)
}

func TestThePagesExportOfAMapIsAScript(t *testing.T) {
	proxy := page(t, "../../docs/proxy.md")
	dir := files(t, map[string]string{"boot.yml": block(t, proxy, "# boot.yml")})
	program, err := program()
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^netbootctl (export .*)$`).FindStringSubmatch(proxy)
	if line == nil {
		t.Fatal("the page has no export")
	}
	said, _ := exec.Command("sh", "-c", program+" "+strings.ReplaceAll(line[1], "/etc/netboot", dir)).CombinedOutput()
	script, err := os.ReadFile("netboot.ps1")
	if err != nil || !bytes.Contains(script, []byte("Add-DhcpServerv4Policy")) {
		t.Errorf("%v, says %s and writes:\n%s", err, said, script)
	}
}
