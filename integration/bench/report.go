package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// column is a metric as the report shows it.
type column struct{ metric, head string }

// columns are all metrics, in the order in which tables and progress lines have them.
var columns = []column{
	{"per_s", "done/s"}, {"max_s", "maximum/s"}, {"asked_s", "asked/s"}, {"kept", "% of maximum"}, {"known_s", "known/s"}, {"restart_s", "restart s"},
	{"lost", "lost %"}, {"wrong", "wrong"}, {"offer_p50_ms", "OFFER p50 ms"}, {"offer_p99_ms", "OFFER p99 ms"},
	{"ack_p99_ms", "ACK p99 ms"}, {"cpu_10k", "CPU s/10k"},
	{"mb_s", "MB/s"}, {"of_bound", "% of bound"}, {"rtt_ms", "RTT ms"}, {"p50_ms", "p50 ms"}, {"p99_ms", "p99 ms"},
	{"done", "done"}, {"failed", "failed"}, {"rrqs", "RRQs again"}, {"acks", "ACKs again"}, {"duplicates", "duplicates"},
	{"cpu_gb", "CPU s/GB"},
	{"booted", "booted"}, {"all_s", "last after s"}, {"p50_s", "half after s"}, {"dhcp_again", "DHCP again"},
	{"tftp_again", "TFTP again"}, {"cpu_s", "CPU s"},
	{"rss_mb", "RSS MiB"}, {"tasks", "tasks"}, {"generator", "generator"}, {"clients", "clients"}, {"noise", "noise"},
}

// report writes report.md and its plots, and returns its path.
func (b *Bench) report(cases []Case, took time.Duration) (string, error) {
	w := new(strings.Builder)
	fmt.Fprintf(w, "# Benchmarks\n\n%s; %s; medians of %d interleaved repetitions (least to most).\n", system(),
		took.Round(time.Second), b.Reps)
	if b.Quick {
		w.WriteString("\nA quick run: figures for a first look, not for a comparison.\n")
	}
	w.WriteString(`
*CPU* is the server's. *generator* and *clients* are the load's own, in cores: near 1, the load is the limit. *noise* is
the part of the machine that somebody else had; over 0.2 a row says little, and only ratios between neighbours count.
*wrong* are answers that no machine could use, or should have got.
`)
	b.judgements(w)
	for _, c := range cases {
		b.table(w, c)
	}
	for _, g := range groups() {
		file := g.name + ".svg"
		drawn, err := b.results.plot(g, filepath.Join(b.Out, file))
		if err != nil {
			return "", err
		}
		if drawn {
			fmt.Fprintf(w, "\n![%s](%s)\n", g.title, file)
		}
	}
	path := filepath.Join(b.Out, "report.md")
	return path, os.WriteFile(path, []byte(w.String()), 0o644)
}

// judgements is the table of figures to reach.
func (b *Bench) judgements(w *strings.Builder) {
	var rows []string
	for _, bar := range bars() {
		j, ok := b.results.judge(bar)
		if !ok {
			continue
		}
		sign, reached := "≥", "**no**"
		if j.most {
			sign = "≤"
		}
		if j.reached {
			reached = "yes"
		}
		limit := number(j.limit)
		if j.best != "" {
			limit = fmt.Sprintf("%s = %s × %s", limit, number(j.factor), j.best)
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s %s | %s |\n", j.text, number(j.figure), sign, limit, reached))
	}
	if len(rows) > 0 {
		fmt.Fprintf(w, "\n## Figures to reach\n\n| what | ours | bar | reached |\n|---|--:|---|---|\n%s", strings.Join(rows, ""))
	}
}

// table shows one case: a row for each server.
func (b *Bench) table(w *strings.Builder, c Case) {
	fmt.Fprintf(w, "\n## %s\n\n%s.\n\n", c.Name, strings.ToUpper(c.Text[:1])+c.Text[1:])
	shown := slices.DeleteFunc(slices.Clone(columns), func(col column) bool {
		return !slices.ContainsFunc(b.results.Samples, func(s Sample) bool {
			_, has := s.Metrics[col.metric]
			return has && s.Case == c.Name
		})
	})
	w.WriteString("| server |")
	for _, col := range shown {
		fmt.Fprintf(w, " %s |", col.head)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("--:|", len(shown)))
	for _, server := range b.results.Servers(c.Name) {
		fmt.Fprintf(w, "| %s |", server)
		for _, col := range shown {
			fmt.Fprintf(w, " %s |", b.results.cell(c.Name, server, col.metric))
		}
		w.WriteString("\n")
	}
	for _, s := range b.results.Samples {
		if s.Case == c.Name && s.Error != "" {
			fmt.Fprintf(w, "\n- %s, repetition %d: %s\n", s.Server, s.Rep+1, strings.ReplaceAll(s.Error, "\n", "; "))
		}
	}
}

// cell is the median, and the range where there is one.
func (r *Results) cell(name, server, metric string) string {
	median, ok := r.Median(name, server, metric)
	if !ok {
		return "–"
	}
	v := r.Values(name, server, metric)
	if len(v) == 1 || v[0] == v[len(v)-1] {
		return number(median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(median), number(v[0]), number(v[len(v)-1]))
}

// number shows three digits, or all before the point.
func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int(v)):
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// grouped puts commas between thousands.
func grouped(digits string) string {
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// system is the machine in a line.
func system() string {
	var name unix.Utsname
	kernel := "?"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	model := "unknown CPU"
	text, _ := os.ReadFile("/proc/cpuinfo")
	if _, rest, found := strings.Cut(string(text), "model name\t: "); found {
		model, _, _ = strings.Cut(rest, "\n")
	}
	return fmt.Sprintf("%s, %d cores of %s, Linux %s, %s", time.Now().Format("2006-01-02 15:04"), runtime.NumCPU(), model,
		kernel, runtime.Version())
}
