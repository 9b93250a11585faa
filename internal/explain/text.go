package explain

import (
	"fmt"
	"io"
	"strings"
)

// Style is how a text is marked for a person.
type Style struct{ Colour bool }

func (s Style) paint(code, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) bold(text string) string  { return s.paint("1", text) }
func (s Style) green(text string) string { return s.paint("1;32", text) }
func (s Style) red(text string) string   { return s.paint("1;31", text) }
func (s Style) faint(text string) string { return s.paint("2", text) }

// Print writes the explanation for a person.
func (x *Explanation) Print(out io.Writer, style Style) error {
	t := &table{style: style}
	x.client(t)
	t.blank()
	for _, e := range x.Considered {
		t.row(e.At, style.faint("passed over: "+e.Why))
	}
	if x.Decides != nil {
		t.row(x.Decides.At, style.green("answers: "+x.Decides.Why))
	}
	switch {
	case strings.HasPrefix(x.Outcome, "no reply"):
		t.line(style.red(x.Outcome))
	case strings.HasPrefix(x.Outcome, "no "):
		t.line(style.bold(x.Outcome))
	}
	if d := x.DroppedBy; d != nil {
		t.row(d.At, d.Why)
	}
	t.blank()
	if r := x.Reply; r != nil {
		t.line(style.bold(fmt.Sprintf("%s, %d bytes", r.Type, r.Size)))
		for _, f := range r.Fields {
			by := ""
			if f.By != "" {
				by = style.faint("  by " + f.By)
			}
			t.row(f.Label(), f.Value+by)
		}
		t.blank()
	}
	for _, l := range x.Leases {
		t.line("note: " + l.note())
	}
	for _, n := range x.Notes {
		t.line("note: " + n)
	}
	t.blank()
	_, err := io.WriteString(out, strings.TrimRight(t.String(), "\n")+"\n")
	return err
}

// kind is the request's type, and its port where it is not the usual one.
func (x *Explanation) kind() string {
	if x.Port == 0 {
		return x.Type
	}
	return fmt.Sprintf("%s to port %d", x.Type, x.Port)
}

func (x *Explanation) client(t *table) {
	c := x.Client
	t.line(t.style.bold(x.kind() + " from " + c.name() + ", " + c.machine()))
	for _, f := range []struct{ name, value string }{
		{"mac", c.MAC}, {"uuid", c.UUID}, {"arch", strings.TrimSuffix(c.Arch+", by "+c.ArchBy, ", by ")}, {"firmware", c.Firmware},
		{"features", strings.Join(c.Features, ", ")}, {"user-class", strings.Join(c.UserClasses, ", ")},
		{"vendor-class", c.VendorClass}, {"hostname", c.Hostname}, {"relay", c.Relay}, {"circuit-id", c.CircuitID},
		{"remote-id", c.RemoteID}, {"network", c.Network}, {"subnet", c.Subnet}, {"class", strings.Join(c.Classes, ", ")},
	} {
		if f.value != "" {
			t.row(f.name, f.value)
		}
	}
}

// table is text whose rows are aligned between two blank lines. Only what comes first in a row sets its width, so that
// marks on the second part do not count.
type table struct {
	strings.Builder
	style   Style
	pending [][2]string // rows, and lines with an empty second part and a first that is not aligned
}

const line = "\x00"

func (t *table) row(name, value string) { t.pending = append(t.pending, [2]string{name, value}) }
func (t *table) line(text string)       { t.pending = append(t.pending, [2]string{line, text}) }

func (t *table) blank() {
	width := 0
	for _, r := range t.pending {
		if r[0] != line {
			width = max(width, len(r[0]))
		}
	}
	for _, r := range t.pending {
		if r[0] == line {
			t.WriteString(r[1] + "\n")
			continue
		}
		t.WriteString(strings.TrimRight(fmt.Sprintf("  %-*s  %s", width, r[0], r[1]), " ") + "\n")
	}
	t.pending = nil
	t.WriteString("\n")
}
