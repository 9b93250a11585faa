package boot_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/conf/conftest"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	must(t, err)
	return string(b)
}

func TestEveryExampleInTheREADMEIsAMap(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 4 {
		t.Fatalf("found %d examples", len(blocks))
	}
	for _, b := range blocks {
		if _, err := boot.Parse("README.md", []byte(b[1])); err != nil {
			t.Errorf("%v in:\n%s", err, b[1])
		}
	}
}

func TestEveryKeyOfAMapIsInTheREADME(t *testing.T) {
	text := readme(t)
	for _, key := range conftest.Keys[boot.File]() {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("key %s is not in the README", key)
		}
	}
}

func TestTheShippedMapIsTaken(t *testing.T) {
	p, err := boot.Load("../../boot.example.yml")
	must(t, err)
	for _, w := range p.Warnings { // only of directories and files that this machine need not have
		if !strings.Contains(w.Text, "firmware director") && !strings.HasPrefix(w.Text, "scripts directory") {
			t.Errorf("warns: %v", w)
		}
	}
	b, err := os.ReadFile("../../boot.example.yml")
	must(t, err)
	for _, key := range conftest.Keys[boot.File]() {
		if key != "features" && key != "circuit-id" && key != "remote-id" && key != "firmware" && !strings.Contains(string(b), key+":") {
			t.Errorf("key %s is not in boot.example.yml", key)
		}
	}
}
