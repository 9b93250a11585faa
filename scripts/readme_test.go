package scripts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/script"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/scripts"
)

var block = regexp.MustCompile("(?s)```(\\w+) ?([^\n]*)\n(.*?)```")

func TestTheREADMEsSiteIsTakenAndRenders(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	seen := 0
	for _, b := range block.FindAllStringSubmatch(string(readme), -1) {
		name := b[2]
		switch {
		case strings.HasPrefix(b[3], "# machines.yml"):
			name = "machines.yml"
		case strings.HasPrefix(b[3], "# boot.yml"):
			if _, err := boot.Parse("boot.yml", []byte(b[3])); err != nil {
				t.Error(err)
			}
			seen++
			continue
		case b[1] != "ipxe":
			t.Errorf("no test knows what this example is:\n%s", b[3])
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b[3]), 0o644); err != nil {
			t.Fatal(err)
		}
		seen++
	}
	if seen != 3 {
		t.Fatalf("found %d examples", seen)
	}
	if problems, warnings := script.Check(dir); len(problems)+len(warnings) > 0 {
		t.Error(problems, warnings)
	}
	l, err := script.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := script.Ask("mac=52:54:00:aa:bb:01&manufacturer=Dell%20Inc.&product=R640")
	s, err := l.Render("boot.ipxe", m)
	want := `#!ipxe
set base http://192.0.2.1/bookworm
kernel ${base}/vmlinuz disk=/dev/sda console=ttyS0,115200 quiet hostname=unnamed
initrd ${base}/initrd.img
echo a Dell: R640
boot || shell
`
	if err != nil || string(s.Text) != want {
		t.Errorf("%v, %s", err, s.Text)
	}
}

// Everything that a query may tell, and every shipped script, is in the README.
func TestTheREADMEHasEveryFactAndScript(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := scripts.Shipped.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range shipped {
		words = append(words, "`"+strings.TrimSuffix(e.Name(), ".tmpl")+"`")
	}
	for _, fact := range script.Facts() {
		words = append(words, "."+fact, fact+"=")
	}
	for _, w := range words {
		if !strings.Contains(string(readme), w) {
			t.Errorf("%s is not in the README", w)
		}
	}
}

// A goto without its label ends a script in the middle.
func TestEveryJumpInAShippedScriptArrives(t *testing.T) {
	shipped, err := scripts.Shipped.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	jumps := 0
	for _, e := range shipped {
		text, err := scripts.Shipped.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`goto (\w+)`).FindAllStringSubmatch(string(text), -1) {
			jumps++
			if !strings.Contains(string(text), "\n:"+m[1]+"\n") {
				t.Errorf("%s: there is no label %s", e.Name(), m[1])
			}
		}
	}
	if jumps < 5 {
		t.Errorf("found %d jumps", jumps)
	}
}
