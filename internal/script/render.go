package script

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// Render gives machine m the script that it asks for by name. The error wraps fs.ErrNotExist for a name that is none;
// any other is a conf.Problem of the template. Half a script is never returned.
func (l *Library) Render(name string, m Machine) (Script, error) {
	if !l.Has(name) {
		return Script{}, fmt.Errorf("no such script: %w", fs.ErrNotExist)
	}
	e := l.known.find(&m)
	out := Script{Name: l.choose(name, e, m.Identified())}
	if e.because != (conf.Pos{}) {
		out.Because = e.because.String()
	}
	s := l.scripts[out.Name]
	if !s.template {
		out.Text = s.text
		return out, nil
	}
	var b bounded
	if err := l.templates.ExecuteTemplate(&b, out.Name, facts(&m, e)); err != nil {
		at, text := l.place(err, out.Name)
		return Script{}, conf.Problem{Pos: at, Text: text}
	}
	out.Text = b.Bytes()
	if !isScript(out.Text) {
		return Script{}, conf.Problem{
			Pos:  conf.Pos{File: l.file(out.Name)},
			Text: "does not begin with the line #!ipxe, so iPXE would not run it; write nothing before that line",
		}
	}
	return out, nil
}

// choose is the script behind a name.
func (l *Library) choose(name string, e *entry, identified bool) string {
	_, own := l.scripts[name]
	switch {
	case name == First && own:
		return First
	case name == First && !identified:
		return Bootstrap
	case name != First && name != Entry:
		return name
	case e.script != "":
		return e.script
	}
	return l.fallback()
}

// fallback is the script of a machine that has none of its own.
func (l *Library) fallback() string {
	if name := l.known.def.V; name != "" {
		return name
	}
	if _, own := l.scripts[Entry]; own {
		return Entry
	}
	return Default
}

// facts are what a template sees. Every name is always there, so that one that is not is a mistake.
func facts(m *Machine, e *entry) map[string]any {
	ip := ""
	if m.IP.IsValid() {
		ip = m.IP.String()
	}
	return map[string]any{
		"mac": m.MAC.String(), "uuid": m.UUID.String(), "ip": ip, "arch": m.Arch,
		"serial": m.Serial, "asset": m.Asset, "hostname": m.Hostname,
		"manufacturer": m.Manufacturer, "product": m.Product,
		"known": e.because != (conf.Pos{}), "values": map[string]any(e.values),
	}
}

// bounded is a buffer that a template cannot fill without end.
type bounded struct{ bytes.Buffer }

var errTooLong = errors.New("the script becomes longer than 256 KiB")

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxScript {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}
