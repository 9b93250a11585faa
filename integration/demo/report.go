package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/integration/lab"
)

// paper is where the report is printed, in colour if a person watches.
type paper struct {
	out    *os.File
	colour bool
}

func newPaper(out *os.File) *paper {
	return &paper{out: out, colour: isTerminal(out) && os.Getenv("NO_COLOR") == ""}
}

// The colours of a terminal.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p *paper) paint(colour, text string) string {
	if !p.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *paper) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// report tells a person how the machines fared. The zero report tells nothing.
type report struct{ paper *paper }

func (r report) title(dir string) {
	p := r.paper
	how := "by emulation: this computer has no hardware virtualisation that works for it"
	if lab.Accelerated() {
		how = "with hardware virtualisation"
	}
	p.line("%s", p.paint(bold, "Three machines boot through netboot-dhcpd and netboot-tftpd"))
	p.line("  network   namespaces of its own, 192.0.2.0/24; no live network is touched")
	p.line("  machines  QEMU, %s", how)
	p.line("  files     %s: config.example.yml and the files that it names, logs, captures", dir)
}

// boot prints a machine's timeline.
func (r report) boot(b *lab.Boot) {
	if r.paper == nil {
		return
	}
	p := r.paper
	p.line("")
	p.line("%s  %s, %s", p.paint(bold, b.Name), b.Kind, b.MAC)
	p.line("")
	var before lab.Event
	for _, e := range b.Timeline() {
		if why := pause(before, e); why != "" {
			p.line("%s", p.paint(dim, fmt.Sprintf("  %8s    ... %s", "", why)))
		}
		r.event(e)
		before = e
	}
	p.line("")
	if b.Err() != nil {
		p.line("  %s", p.paint(red, "the machine did not run its script"))
		return
	}
	p.line("  %s %.1f s after power on; it waited %.3f s of them for the servers, the rest is the firmware's own",
		p.paint(green, "its script was done"), b.Took().Seconds(), b.Waited().Seconds())
}

// event prints a line of a timeline.
func (r report) event(e lab.Event) {
	p := r.paper
	took, direction := "", "  "
	if e.Took >= time.Millisecond {
		took = fmt.Sprintf("  (%.3f s)", e.Took.Seconds())
	}
	switch e.What {
	case lab.DHCP, lab.TFTP, lab.HTTP:
		direction = map[string]string{lab.Machine: "->", lab.Servers: "<-"}[e.Who]
	}
	colour := colours[e.What]
	if e.Bad {
		colour = red
	}
	what := p.paint(colour, fmt.Sprintf("%-6s", e.What))
	p.line("  %8.3f s  %s %s  %s%s", e.At.Seconds(), what, direction, e.Text, p.paint(dim, took))
}

// pause explains a long time between two lines, so that nobody looks for it in the servers.
func pause(before, after lab.Event) string {
	const long = time.Second
	gap := after.At - before.At - before.Took
	if gap < long {
		return ""
	}
	why := "the machine is busy with itself"
	switch {
	case before.What == lab.Power || strings.Contains(before.Text, "BIOS"):
		why = "the firmware starts"
	case strings.HasPrefix(before.Text, "iPXE") && after.What == lab.DHCP:
		why = "iPXE waits for a key, to let a person in"
	case before.Who == lab.Servers && strings.HasPrefix(before.Text, "OFFER"):
		why = "the firmware waits for offers of other servers"
	case before.What == lab.DHCP && before.Who == lab.Machine:
		why = "no answer yet"
	}
	return fmt.Sprintf("%.1f s: %s", gap.Seconds(), why)
}

// colours tell the lines of a timeline apart at a glance.
var colours = map[string]string{
	lab.DHCP: cyan, lab.TFTP: yellow, lab.HTTP: yellow, lab.Script: green, lab.Screen: dim,
}

// success is the last line of a demonstration that worked.
func (r report) success(boots []*lab.Boot, dir string) {
	p := r.paper
	var names []string
	for _, b := range boots {
		names = append(names, fmt.Sprintf("%s in %.1f s", b.Name, b.Took().Seconds()))
	}
	p.line("")
	p.line("%s", p.paint(bold, "Every machine ran its script: "+strings.Join(names, ", ")+"."))
	p.line("Try it on a real network: README.md. What was recorded is in %s.", dir)
}
