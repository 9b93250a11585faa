package pool_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheREADMEsExampleIsTakenAndEveryMetricIsInIt(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^    - range: (\S+ .*)$`).FindAllStringSubmatch(string(b), -1)
	if len(lines) != 2 || lines[0][1] != "FILE START END LEASETIME" {
		t.Fatalf("%q", lines)
	}
	args := strings.Fields(lines[1][1])
	args[0] = filepath.Join(t.TempDir(), filepath.Base(args[0]))
	l := newLab(t, args...)
	l.machine(1).boots("192.0.2.100")
	families, err := l.metrics.Gather()
	if err != nil || len(families) < 8 {
		t.Fatal(families, err)
	}
	for _, f := range families {
		if !strings.Contains(string(b), "`"+f.GetName()) {
			t.Errorf("%s is not in the README", f.GetName())
		}
	}
}
