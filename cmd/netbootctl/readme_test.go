package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The README's network, whose map had another program for UEFI before.
func TestTheREADMEsExamplesOfExplainAreWhatItSays(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)
	block := func(first string) string {
		m := regexp.MustCompile("(?s)```yaml\n( *)(" + first + "\n.*?)\n *```").FindStringSubmatch(readme)
		if m == nil {
			t.Fatalf("has no %s", first)
		}
		return strings.ReplaceAll(m[2], "\n"+m[1], "\n") + "\n"
	}
	bootMap := block("# boot.yml")
	files(t, map[string]string{"config.yml": block("# config.yml"), "boot.yml": bootMap, "boot.yml.old": strings.ReplaceAll(bootMap, "ipxe.efi", "snponly.efi")})
	examples := regexp.MustCompile(`(?m)^    \$ netbootctl explain (.*)\n((?:    .*\n)+)`).FindAllStringSubmatch(readme, -1)
	if len(examples) < 2 {
		t.Fatalf("has %d examples", len(examples))
	}
	for _, e := range examples {
		got, _ := explains(t, nil, strings.Fields(e[1])...)
		rest := "\n" + got
		for _, part := range strings.Split(e[2], "    ...\n") { // in their order
			part = "\n" + strings.ReplaceAll("\n"+part, "\n    ", "\n")[1:]
			_, behind, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s: prints no\n%s\nin\n%s", e[1], part, rest)
			}
			rest = "\n" + behind
		}
	}
}
