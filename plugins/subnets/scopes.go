package subnets

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// scope is what is said at one place of the file.
type scope = policy.Scope

// class is clients that a condition is true for.
type class = policy.Class

// ownOptions are what the server says itself, so that the file cannot.
var ownOptions = map[uint32]string{
	50: "", 51: "use lease-time", 52: "", 53: "", 54: "use the plugin server_id", 57: "", 61: "", 82: "",
}

// define declares options.
func (c *compiler) define(list definitions) {
	for _, d := range list {
		code, form, ok := strings.Cut(d.text, "=")
		number, isNumber := codeOf(code)
		if !ok || !isNumber {
			c.problems.Add(d.Pos, "option %s must be declared like `code 224 = text`", d.name)
			continue
		}
		t, err := option.ParseType(strings.TrimSpace(form))
		if err == nil {
			_, err = c.options.Define(d.name, number, t)
		}
		if err == nil {
			err = c.define6(d.name, number, t)
		}
		if err != nil {
			c.problems.Add(d.Pos, "%v", err)
		}
	}
}

// codeOf reads "code 224".
func codeOf(text string) (n uint32, ok bool) {
	words := strings.Fields(text)
	if len(words) != 2 || words[0] != "code" {
		return 0, false
	}
	for _, r := range words[1] {
		if r < '0' || r > '9' || n > 1<<24 {
			return 0, false
		}
		n = n*10 + uint32(r-'0')
	}
	return n, true
}

// scope reads what a place in the file gives; around is the one around it.
func (c *compiler) scope(kind policy.Kind, name string, at conf.Pos, around *scope, g *Gives) *scope {
	s := &scope{Kind: kind, Name: name, Pos: at, Parent: around}
	for _, o := range g.Options {
		d, err := c.options.Lookup(o.name)
		if err != nil {
			c.problems.Add(o.Pos, "%v", err)
			continue
		}
		if remedy, own := c.ownOption(d); own {
			if remedy == "" {
				remedy = "remove it"
			}
			c.problems.Add(o.Pos, "option %s is the server's own; %s", o.name, remedy)
			continue
		}
		c.set(s, o.Pos, d, o.values...)
	}
	if l := g.LeaseTime; l != nil {
		c.times(s, l)
	}
	if p := g.Preferred; p.V.Duration > 0 {
		c.setServer(s, p.Pos, "preferred-lifetime", binary.BigEndian.AppendUint32(nil, uint32(p.V.Duration/time.Second)))
	}
	if a := g.NextServer; a.V.IsValid() {
		c.setServer(s, a.Pos, "next-server", a.V.AsSlice())
	}
	if f := g.File; f != nil {
		if n := len(f.V.string); n > netboot.MaxFile {
			c.problems.Add(f.Pos, "file has %d bytes; the field of a reply has room for %d: shorten it", n, netboot.MaxFile)
		}
		c.setServer(s, f.Pos, "filename", []byte(f.V.string))
	}
	if n := g.ServerName; n != nil {
		if len(n.V.string) > 63 {
			c.problems.Add(n.Pos, "server-name has %d bytes; the field of a reply has room for 63: shorten it", len(n.V.string))
		}
		c.setServer(s, n.Pos, "server-name", []byte(n.V.string))
	}
	return s
}

func (c *compiler) set(s *scope, at conf.Pos, d *option.Definition, values ...string) {
	b, err := d.Parse(values...)
	if err != nil {
		c.problems.Add(at, "%v", err)
		return
	}
	s.Statements = append(s.Statements, policy.Set{Option: d, Value: expr.Constant(b)})
}

func (c *compiler) setServer(s *scope, at conf.Pos, name string, value []byte) {
	d, err := c.options.Lookup(option.Server + "." + name)
	if err != nil {
		c.problems.Add(at, "%v", err)
		return
	}
	s.Statements = append(s.Statements, policy.Set{Option: d, Value: expr.Constant(value)})
}

func (c *compiler) times(s *scope, l *LeaseTime) {
	shortest, usual, longest := l.Min.V.Duration, l.Default.V.Duration, l.Max.V.Duration
	switch {
	case longest > 0 && shortest > longest:
		c.problems.Add(l.Min.Pos, "the shortest lease time, %s, is longer than the longest, %s; correct one of the two", shortest, longest)
	case longest > 0 && usual > longest:
		c.problems.Add(l.Default.Pos, "the default lease time, %s, is longer than the longest, %s; correct one of the two", usual, longest)
	case usual > 0 && shortest > usual:
		c.problems.Add(l.Default.Pos, "the default lease time, %s, is shorter than the shortest, %s; correct one of the two", usual, shortest)
	}
	for name, d := range map[string]conf.At[duration]{"min-lease-time": l.Min, "default-lease-time": l.Default, "max-lease-time": l.Max} {
		if d.V.Duration > 0 {
			c.setServer(s, d.Pos, name, binary.BigEndian.AppendUint32(nil, uint32(d.V.Duration/time.Second)))
		}
	}
	if usual > 24*time.Hour && longest == 0 { // or it would be bounded by that
		c.setServer(s, l.Default.Pos, "max-lease-time", binary.BigEndian.AppendUint32(nil, uint32(usual/time.Second)))
	}
}

// class reads a class.
func (c *compiler) class(w *Class) {
	name := w.Name.V
	switch first := c.classes[name]; {
	case name == "":
		c.problems.AddAbsence(w.Pos, "class has no name; add one, like name: pxe")
	case name == "known" || name == "unknown":
		c.problems.Add(w.Name.Pos, "class %q has a name with a meaning of its own in allow and deny; choose another", name)
	case first != nil:
		c.problems.Add(w.Name.Pos, "class %s is already there on line %d; choose another name", name, first.Pos.Line)
	}
	k := &class{Scope: *c.scope(policy.ClassScope, name, w.Pos, c.p.scope, &w.Gives)}
	if w.When.V == "" && w.When6.V == "" {
		c.problems.AddAbsence(w.Pos, "class %s has no members; add a condition, like when: exists user-class", name)
	}
	k.If = c.condition("when", w.When, c.options)
	c.class6(k, w)
	c.classes[name] = k
	c.p.classes = append(c.p.classes, k)
}

// condition reads when a client is of a class; nil: never.
func (c *compiler) condition(key string, w conf.At[string], options *option.Registry) *expr.Expr {
	if w.V == "" {
		return nil
	}
	cond, err := expr.Condition(w.Pos, w.V, expr.Words{Options: options})
	var all conf.Problems
	if errors.As(err, &all) {
		for _, p := range all {
			c.problems.Add(conf.Pos{File: p.File, Line: p.Line}, "%s: %s", key, p.Text)
		}
	}
	return cond
}
