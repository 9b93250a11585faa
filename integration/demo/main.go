// Command demo boots a BIOS machine and a UEFI machine through the suite and shows how each boot went, step by step.
// Everything happens in network namespaces of its own: no live network is touched.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coredhcp-netboot/suite/integration/lab"
)

// patience is how long one machine may take; emulated on a slow computer it needs a minute.
const patience = 5 * time.Minute

// machines are the demonstration's, by the names that its output has for them.
var machines = []struct {
	name string
	kind lab.Kind
}{
	{"old-dell", lab.PlainPXE},
	{"new-dell", lab.BIOS},
	{"rack-7", lab.UEFI},
}

func main() {
	bin := flag.String("bin", "", "directory with the built netboot-dhcpd and netboot-tftpd (default: build them)")
	asJSON := flag.Bool("json", false, "print the result as JSON")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *asJSON)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

// run does the demonstration; an error is why not every machine ran its script.
func run(ctx context.Context, bin string, asJSON bool) error {
	if err := lab.Need(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "netboot-demo-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the person who called sudo wants to read it
		return err
	}
	progress := newProgress(os.Stderr)
	defer progress.Close()
	if asJSON {
		progress.quiet()
	}
	var r report
	if !asJSON {
		r = report{paper: newPaper(os.Stdout)}
		r.title(dir)
	}
	if bin == "" {
		if bin, err = os.MkdirTemp("", "netboot-bin-"); err != nil {
			return err
		}
		defer os.RemoveAll(bin)
		progress.Step("building the suite")
		if err := lab.Build(bin); err != nil {
			return err
		}
	}
	suite, err := lab.Built(bin)
	if err != nil {
		return err
	}
	if suite.Files, err = lab.Shipped(); err != nil {
		return err
	}
	progress.Step("starting the suite")
	l, err := lab.Open(lab.Config{Dir: dir, Server: suite, Watch: progress.Console})
	if err != nil {
		return fmt.Errorf("%w\nlogs are in %s", err, dir)
	}
	boots, err := bootAll(ctx, l, progress, r)
	err = errors.Join(err, l.Close())
	progress.Close()
	if asJSON {
		return errors.Join(err, writeJSON(dir, boots))
	}
	if err != nil {
		return fmt.Errorf("not every machine ran its script; logs and captures are in %s\n%w", dir, err)
	}
	r.success(boots, dir)
	return nil
}

// bootAll boots one machine after the other and reports each when it is done.
func bootAll(ctx context.Context, l *lab.Lab, p *progress, r report) ([]*lab.Boot, error) {
	var boots []*lab.Boot
	var errs []error
	for _, m := range machines {
		p.Step(m.name + " powers on")
		limited, cancel := context.WithTimeoutCause(ctx, patience, errors.New(patience.String()+" are over"))
		b, err := l.Boot(limited, m.name, m.kind)
		cancel()
		p.Clear()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		boots = append(boots, b)
		if ctx.Err() != nil {
			return boots, errors.New("interrupted")
		}
		r.boot(b)
		errs = append(errs, b.Err())
	}
	return boots, errors.Join(errs...)
}

func writeJSON(dir string, boots []*lab.Boot) error {
	type machine struct {
		Name    string      `json:"name"`
		Kind    string      `json:"kind"`
		MAC     string      `json:"mac"`
		Booted  bool        `json:"booted"`
		Seconds float64     `json:"seconds"`
		Waited  float64     `json:"waited_for_servers_seconds"`
		Events  []lab.Event `json:"events"`
		Checks  []lab.Check `json:"checks"`
	}
	out := struct {
		Booted   bool      `json:"booted"`
		Files    string    `json:"files"`
		Machines []machine `json:"machines"`
	}{Booted: len(boots) == len(machines), Files: dir}
	for _, b := range boots {
		out.Booted = out.Booted && b.Err() == nil
		out.Machines = append(out.Machines, machine{
			Name: b.Name, Kind: b.Kind.String(), MAC: b.MAC.String(), Booted: b.Err() == nil,
			Seconds: b.Took().Seconds(), Waited: b.Waited().Seconds(), Events: b.Timeline(), Checks: b.Checks,
		})
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
