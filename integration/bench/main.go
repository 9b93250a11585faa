// Command bench measures the suite against other servers, side by side in one run, and writes a report. It needs root,
// for network namespaces of its own; no live network is touched. `make bench` builds and calls it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// Bench is a run of the benchmarks.
type Bench struct {
	Programs Programs
	Out      string
	Reps     int           // of each case, interleaved between the servers
	Time     time.Duration // that one measurement of a DHCP server takes
	Quick    bool
	results  Results
	work     int // directories made
}

// Case is one thing that is measured of every server that can do it.
type Case struct {
	Name    string
	Text    string // what is done, for the report
	Servers []string
	Run     func(ctx context.Context, server string) (Sample, error)
}

func main() {
	if err := run(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			fmt.Fprintln(os.Stderr, "bench:", line)
		}
		os.Exit(1)
	}
}

func run() error {
	b := new(Bench)
	flag.StringVar(&b.Programs.Bin, "bin", "bin", "`directory` with the project's programs, built")
	flag.StringVar(&b.Programs.Foreign, "foreign", "bin/foreign", "`directory` that packages.sh unpacked servers in")
	flag.StringVar(&b.Out, "out", "bench-out", "`directory` for the report, the plots and the raw results")
	flag.IntVar(&b.Reps, "reps", 3, "repetitions of each case; the report has their medians")
	flag.DurationVar(&b.Time, "time", 3*time.Second, "how long one measurement of a DHCP server takes")
	flag.BoolVar(&b.Quick, "quick", false, "some of the cases, once and for a second each")
	cases := flag.String("cases", "", "only the cases whose name this `regexp` matches")
	servers := flag.String("servers", "", "only the servers whose name this `regexp` matches")
	list := flag.Bool("list", false, "list the cases and their servers and exit")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("%q is no flag; see --help", flag.Arg(0))
	}
	if b.Quick {
		b.Reps, b.Time = 1, time.Second
	}
	wanted, err := b.choose(*cases, *servers)
	if err != nil {
		return err
	}
	if *list {
		for _, c := range wanted {
			fmt.Fprintf(os.Stdout, "%-24s %s\n%-24s %s\n", c.Name, c.Text, "", strings.Join(c.Servers, " "))
		}
		return nil
	}
	if err := nettest.Need("ip", "taskset"); err != nil {
		return err
	}
	restore, err := prioritize()
	if err != nil {
		return err
	}
	defer restore()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return b.measure(ctx, wanted)
}

// choose picks the cases to run, with the servers that are there.
func (b *Bench) choose(cases, servers string) ([]Case, error) {
	wantedCase, err := regexp.Compile(cases)
	if err != nil {
		return nil, fmt.Errorf("--cases: %w", err)
	}
	wantedServer, err := regexp.Compile(servers)
	if err != nil {
		return nil, fmt.Errorf("--servers: %w", err)
	}
	var chosen []Case
	for _, c := range slices.Concat(b.dhcpCases(), b.fileCases(), b.stormCases()) {
		if !wantedCase.MatchString(c.Name) || b.Quick && !slices.Contains(quickCases(), c.Name) {
			continue
		}
		var there []string
		for _, s := range c.Servers {
			if wantedServer.MatchString(s) {
				there = append(there, s)
			}
		}
		if c.Servers = there; len(there) > 0 {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no case of a server that is installed is called so; see --list, and run: sh integration/packages.sh bench")
	}
	return chosen, nil
}

// quickCases are those that say most.
func quickCases() []string {
	return []string{"offers-relay", "offers-direct", "dora", "tftp-1-w64", "tftp-100-w1", "tftp-100-w16", "tftp-rtt1-w16",
		"tftp-loss1-w16", "storm"}
}

// measure runs the cases, and writes the report even where it is stopped halfway.
func (b *Bench) measure(ctx context.Context, cases []Case) error {
	b.Out = filepath.Join(b.Out, time.Now().Format("2006-01-02T15-04-05"))
	if err := os.MkdirAll(b.Out, 0o755); err != nil {
		return err
	}
	raw, err := os.Create(filepath.Join(b.Out, "results.jsonl"))
	if err != nil {
		return err
	}
	defer raw.Close()
	b.results.raw = raw
	begun := time.Now()
	for _, c := range cases {
		fmt.Fprintf(os.Stderr, "%s: %s\n", c.Name, c.Text)
		for rep := range b.Reps {
			for _, server := range c.Servers {
				if ctx.Err() != nil {
					break
				}
				s, err := c.Run(ctx, server)
				s.Case, s.Server, s.Rep = c.Name, server, rep
				if err != nil {
					s.Error = err.Error()
				}
				if err := b.results.Add(&s); err != nil {
					return err
				}
				fmt.Fprintln(os.Stderr, "  "+progress(s))
			}
		}
	}
	path, err := b.report(cases, time.Since(begun))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, path)
	return ctx.Err()
}

// progress is a sample in one line.
func progress(s Sample) string {
	line := fmt.Sprintf("%-16s", s.Server)
	for _, c := range columns {
		if v, ok := s.Metrics[c.metric]; ok {
			line += fmt.Sprintf("  %s %s", c.metric, number(v))
		}
	}
	for _, note := range s.Notes {
		line += "\n    " + note
	}
	if s.Error != "" {
		line += "\n    error: " + s.Error
	}
	return line
}

// workDir is a fresh directory for one server's state.
func (b *Bench) workDir(server string) (string, error) {
	b.work++
	return filepath.Abs(filepath.Join(b.Out, "work", fmt.Sprintf("%03d-%s", b.work, server)))
}
