package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run of results, as three repetitions leave them.
func results(t *testing.T, samples ...Sample) *Results {
	t.Helper()
	r := &Results{raw: new(bytes.Buffer)}
	for _, s := range samples {
		if err := r.Add(&s); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func sample(name, server string, metric string, v float64) Sample {
	return Sample{Case: name, Server: server, Metrics: map[string]float64{metric: v}}
}

func TestTheMedianIsOfOneServerInOneCase(t *testing.T) {
	r := results(t, sample("a", "ours", "per_s", 30), sample("a", "ours", "per_s", 10), sample("a", "kea", "per_s", 99),
		sample("b", "ours", "per_s", 98), sample("a", "ours", "per_s", 20), Sample{Case: "a", Server: "ours", Error: "gone"})
	if m, ok := r.Median("a", "ours", "per_s"); !ok || m != 20 {
		t.Errorf("median %v, %t", m, ok)
	}
	if _, ok := r.Median("a", "ours", "mb_s"); ok {
		t.Error("a metric that nobody measured has a median")
	}
	if lines := strings.Count(r.raw.(*bytes.Buffer).String(), "\n"); lines != 6 {
		t.Errorf("%d lines were written for 6 samples", lines)
	}
}

func TestAFigureThatNothingWasMeasuredForIsTold(t *testing.T) {
	r := results(t, sample("a", "ours", "kept", math.NaN()), sample("a", "ours", "kept", math.Inf(1)), sample("a", "ours", "kept", 90))
	if m, ok := r.Median("a", "ours", "kept"); !ok || m != 90 {
		t.Errorf("median %v, %t", m, ok)
	}
	for _, s := range r.Samples[:2] {
		if len(s.Notes) != 1 || !strings.HasPrefix(s.Notes[0], "kept was not measured") {
			t.Errorf("notes %q", s.Notes)
		}
	}
}

func TestABarIsComparedWithTheBestOfTheOthers(t *testing.T) {
	r := results(t, sample("offers-relay", "ours", "per_s", 100), sample("offers-relay", "kea", "per_s", 40),
		sample("offers-relay", "dnsmasq", "per_s", 51), sample("x", "ours", "cpu", 5), sample("x", "kea", "cpu", 12),
		sample("x", "dnsmasq", "cpu", 9))
	for _, c := range []struct {
		bar     bar
		limit   float64
		best    string
		reached bool
	}{
		{bar{"", of("offers-relay", "per_s", "ours"), false, 2, of("offers-relay", "per_s", otherDHCP()...)}, 102, "dnsmasq", false},
		{bar{"", of("offers-relay", "per_s", "ours"), false, 2.5, of("offers-relay", "per_s", "kea")}, 100, "kea", true},
		{bar{"", of("x", "cpu", "ours"), true, .5, of("x", "cpu", "kea", "dnsmasq")}, 4.5, "dnsmasq", false},
		{bar{"", of("x", "cpu", "ours"), true, 5, figure{}}, 5, "", true},
	} {
		j, ok := r.judge(c.bar)
		if !ok || j.limit != c.limit || j.best != c.best || j.reached != c.reached {
			t.Errorf("%+v: limit %v of %q, reached %t, known %t", c.bar, j.limit, j.best, j.reached, ok)
		}
	}
	if _, ok := r.judge(bar{"", of("x", "cpu", "ours"), true, 1, of("x", "cpu", "absent")}); ok {
		t.Error("a bar was judged against a server that did not take part")
	}
}

// A misspelt name would leave a bar out of every report.
func TestEveryBarAndPlotIsOfACaseThatExists(t *testing.T) {
	b := new(Bench)
	known := map[string]bool{}
	for _, c := range append(append(b.dhcpCases(), b.fileCases()...), b.stormCases()...) {
		known[c.Name] = true
	}
	shown := map[string]bool{}
	for _, c := range columns {
		shown[c.metric] = true
	}
	check := func(f figure) {
		if len(f.servers) > 0 && (!known[f.name] || !shown[f.metric]) {
			t.Errorf("case %q or metric %q is unknown", f.name, f.metric)
		}
	}
	for _, bar := range bars() {
		check(bar.ours)
		check(bar.of)
	}
	for _, g := range groups() {
		for _, name := range g.cases {
			check(of(name, g.metric, "ours"))
		}
	}
	for _, name := range quickCases() {
		check(of(name, "noise", "ours"))
	}
}

func TestNumbersAreForReading(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3: "3", .125: "0.12", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567"} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
}

// A whole run, short: the echo and the library of another project, through namespaces, to a report with a plot.
func TestARunEndsInAReport(t *testing.T) {
	out := t.TempDir()
	b := &Bench{Programs: Programs{Bin: bin(t)}, Out: out, Reps: 1, Time: 50 * time.Millisecond}
	cases, err := b.choose("^(offers-relay|offers-direct|tftp-1-w1)$", "^(echo|pin)$")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.measure(context.Background(), cases); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(b.Out, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## offers-relay\n", "\n| echo | ", "\n| pin | ", "![DISCOVER and OFFER](offers.svg)"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), ", repetition ") {
		t.Errorf("a case failed:\n%s", text)
	}
	if plot, err := os.ReadFile(filepath.Join(b.Out, "offers.svg")); err != nil || !bytes.Contains(plot, []byte("<svg")) {
		t.Errorf("offers.svg is no plot: %v", err)
	}
}
