package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/server"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// metric is what a collector says of itself.
type metric struct{ name, help, labels, kind string }

// gathering is a registry that only remembers what it was given.
type gathering struct {
	prometheus.Registerer
	metrics []metric
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "([^"]*)", constLabels: \{\}, variableLabels: \{([^}]*)\}\}$`)

func (g *gathering) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		kind := "gauge"
		switch c.(type) {
		case *prometheus.CounterVec, prometheus.Counter:
			kind = "counter"
		case *prometheus.HistogramVec:
			kind = "histogram"
		}
		if _, isGauge := c.(prometheus.Gauge); isGauge { // which has a counter's methods too
			kind = "gauge"
		}
		out := make(chan *prometheus.Desc, 8)
		c.Describe(out)
		close(out)
		for d := range out {
			m := described.FindStringSubmatch(d.String())
			if m == nil {
				panic("cannot read " + d.String())
			}
			if m[1] == boot.MetricDecisions { // a collector of our own
				kind = "counter"
			}
			g.metrics = append(g.metrics, metric{m[1], m[2], m[3], kind})
		}
	}
}

func everyMetric() []metric {
	g := new(gathering)
	log, _ := logtest.NewNullLogger()
	server.Count(g)
	daemon.NewLogWriter(io.Discard, g).Close()
	live.NewReloader(log, g)
	boot.New(boot.Env{Metrics: g})
	tftpd.NewMetrics(g)
	return g.metrics
}

func TestMetricsAreNamedAndDocumentedByOneRule(t *testing.T) {
	docs := map[string]string{}
	for subsystem, file := range map[string]string{
		"boot": "../plugins/boot/README.md", "config": "../plugins/boot/README.md", "dhcpd": "README.md", "log": "README.md", "tftpd": "../docs/metrics.md",
	} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs[subsystem] = string(b)
	}
	endings := map[string]*regexp.Regexp{
		"counter": regexp.MustCompile(`_total$`), "histogram": regexp.MustCompile(`_(seconds|bytes)$`), "gauge": regexp.MustCompile(`([^l]|[^a]l|[^t]al)$`),
	}
	all := everyMetric()
	if len(all) < 12 {
		t.Fatalf("found %d metrics", len(all))
	}
	seen := map[string]bool{}
	for _, m := range all {
		name := regexp.MustCompile(`^netboot_([a-z]+)_[a-z]+(_[a-z]+)*$`).FindStringSubmatch(m.name)
		if name == nil || seen[m.name] {
			t.Errorf("%s is not netboot_SUBSYSTEM_..., or is there twice", m.name)
			continue
		}
		seen[m.name] = true
		if !endings[m.kind].MatchString(m.name) {
			t.Errorf("%s is a %s, and its name does not end as one", m.name, m.kind)
		}
		if !regexp.MustCompile(`^[A-Z].*\.$`).MatchString(m.help) {
			t.Errorf("%s: the help %q is no sentence", m.name, m.help)
		}
		for _, label := range strings.Split(m.labels, ",") {
			if label == "mac" || label == "client" || label == "ip" || label == "uuid" || label == "hostname" {
				t.Errorf("%s has the label %s: a value for each machine belongs into the log", m.name, label)
			}
		}
		shown := "`" + m.name + "`"
		if m.labels != "" {
			shown = "`" + m.name + "{" + m.labels + "}`"
		}
		if !strings.Contains(docs[name[1]], shown) {
			t.Errorf("%s is not in the README of %s", shown, name[1])
		}
	}
}

// Code, tests and dashboards must mean one metric by one name.
func TestNamesOfMetricsAreConstants(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		constants := map[token.Pos]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			if decl, ok := n.(*ast.GenDecl); ok && decl.Tok == token.CONST {
				ast.Inspect(decl, func(n ast.Node) bool {
					if lit, ok := n.(*ast.BasicLit); ok {
						constants[lit.Pos()] = true
					}
					return true
				})
			}
			if lit, ok := n.(*ast.BasicLit); ok && strings.HasPrefix(lit.Value, `"netboot_`) {
				found++
				if !constants[lit.Pos()] {
					t.Errorf("%s: the name %s is no constant", set.Position(lit.Pos()), lit.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || found < 12 {
		t.Errorf("found %d names, %v", found, err)
	}
}
