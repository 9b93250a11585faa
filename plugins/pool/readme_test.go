package pool_test

import (
	"os"
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
	if len(lines) != 3 || !strings.HasPrefix(lines[0][1], "FILE START END LEASETIME [") {
		t.Fatalf("%q", lines)
	}
	var l *lab
	for _, example := range lines[1:] {
		here := strings.ReplaceAll(example[1], "/var/lib/netboot", t.TempDir())
		l = newLab(t, strings.Fields(here)...)
		l.machine(1).boots("192.0.2.100")
	}
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
