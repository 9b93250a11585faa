package integration_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/plugins/boot"
)

var (
	blockOf = regexp.MustCompile("(?s)```(\\w*)\n(.*?)\n *```")
	ruleIn  = regexp.MustCompile("`- (\\{[^`]*\\})`")
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// document is what a page shows.
type document struct {
	maps                                  []string
	config, subnets, tftpd, script, shell string
}

// examples are a page's blocks, without the indentation of the step that they belong to.
func examples(t *testing.T, path string) (d document) {
	t.Helper()
	for _, b := range blockOf.FindAllStringSubmatch(readFile(t, path), -1) {
		indent := b[2][:len(b[2])-len(strings.TrimLeft(b[2], " "))]
		text := strings.ReplaceAll("\n"+b[2], "\n"+indent, "\n")[1:] + "\n"
		switch {
		case strings.HasPrefix(text, "# boot.yml"):
			d.maps = append(d.maps, text)
		case strings.HasPrefix(text, "# config.yml"):
			d.config = text
		case strings.HasPrefix(text, "# subnets.yml"):
			d.subnets = text
		case strings.HasPrefix(text, "# tftpd.yml"):
			d.tftpd = text
		case strings.HasPrefix(text, "#!ipxe"):
			d.script = text
		case b[1] == "sh":
			d.shell += text
		default:
			t.Errorf("%s: no test knows what this example is:\n%s", path, text)
		}
	}
	return d
}

// programs are the commands of a page that start a program of the suite, or check its configuration.
func (d document) programs() (lines []string) {
	for _, line := range strings.Split(d.shell, "\n") {
		if strings.HasPrefix(line, "sudo netboot-") || strings.HasPrefix(line, "netbootctl check ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestEveryMapInThePagesIsTaken(t *testing.T) {
	t.Parallel()
	maps := append(examples(t, "../README.md").maps, examples(t, "../docs/proxy.md").maps...)
	rules := ruleIn.FindAllStringSubmatch(readFile(t, "../docs/isc-dhcpd.md"), -1)
	if len(maps) < 3 || len(rules) < 4 {
		t.Fatalf("found %d maps and %d rules", len(maps), len(rules))
	}
	for _, r := range rules {
		maps = append(maps, "rules: ["+r[1]+"]\n")
	}
	for _, m := range maps {
		if _, err := boot.Parse("README.md", []byte(m)); err != nil {
			t.Errorf("%v in:\n%s", err, m)
		}
	}
}

var (
	linkIn    = regexp.MustCompile(`\]\(([^)]+)\)`)
	headingIn = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors are the headings of a page as GitHub names them in links.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, h := range headingIn.FindAllStringSubmatch(text, -1) {
		found[strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return found
}

func TestEveryLinkInThePagesLeadsSomewhere(t *testing.T) {
	t.Parallel()
	var pages []string
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range pages {
		for _, m := range linkIn.FindAllStringSubmatch(readFile(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
			} else if anchor != "" && !anchors(readFile(t, target))[anchor] {
				t.Errorf("%s: %s has no heading for the link %s", page, target, m[1])
			}
		}
	}
	if links < 20 {
		t.Errorf("found %d links", links)
	}
}

// The names of metrics are constants of their own.
var metricIn = regexp.MustCompile(`"((netboot_(?:lease_)?[a-z]+_)[a-z0-9_]+)"`)

func TestEveryMetricIsInThePageOfMetricsOrWhereItLeads(t *testing.T) {
	t.Parallel()
	const page = "../docs/metrics.md"
	all := readFile(t, page)
	for _, m := range linkIn.FindAllStringSubmatch(all, -1) {
		path, _, _ := strings.Cut(m[1], "#")
		all += readFile(t, filepath.Join(filepath.Dir(page), path))
	}
	names := 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range metricIn.FindAllStringSubmatch(readFile(t, path), -1) {
			names++
			if !strings.Contains(all, "`"+m[1]) {
				t.Errorf("%s: the metric %s is in no page", path, m[1])
			}
			if !strings.Contains(readFile(t, page), "`"+m[2]) {
				t.Errorf("%s says nothing of %s*", page, m[2])
			}
		}
		return nil
	})
	if err != nil || names < 30 {
		t.Fatal(names, err)
	}
}
