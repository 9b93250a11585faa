package subnets_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/conf/conftest"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryExampleInTheREADMEIsTaken(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) != 5 {
		t.Fatalf("found %d examples", len(blocks))
	}
	for _, b := range blocks {
		if _, err := subnets.Parse("README.md", []byte(b[1])); err != nil {
			t.Errorf("%v in:\n%s", err, b[1])
		}
	}
}

func TestEveryKeyOfTheFileIsInTheREADME(t *testing.T) {
	text := readme(t)
	for _, key := range append(conftest.Keys[subnets.File](), conftest.Keys[subnets.ToldKeys]()...) {
		if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, key+":") {
			t.Errorf("key %s is not in the README", key)
		}
	}
}

func TestEveryMetricIsInTheREADME(t *testing.T) {
	l := newLab(t, office)
	l.machine(1).boots("10.1.1.100")
	families, err := l.metrics.Gather()
	if err != nil || len(families) < 8 {
		t.Fatal(families, err)
	}
	text := readme(t)
	for _, f := range families {
		if !strings.Contains(text, "`"+f.GetName()) {
			t.Errorf("%s is not in the README", f.GetName())
		}
	}
}
