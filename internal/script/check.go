package script

import (
	"errors"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Check loads the directory as the file server does, and renders what every machine of machines.yml would get, and what
// an unknown one of every architecture would. A template that no machine is given, and that others chain to, must
// render for one machine at least; that it does not for another is a warning.
func Check(dir string) (problems, warnings conf.Problems) {
	l, err := Load(dir)
	if err != nil {
		errors.As(err, &problems)
		return problems, nil
	}
	c := &checker{l: l, said: map[string]bool{}, given: map[string]bool{}}
	for _, name := range []string{Entry, First} {
		for _, e := range l.known.entries {
			c.renders(name, e.sample, "the machine on "+e.because.String())
		}
		c.renders(name, Machine{Serial: "unknown"}, "an unknown machine")
	}
	c.renders(First, Machine{}, "a machine that says nothing")
	for _, name := range l.names() {
		if l.Has(name) && !c.given[name] {
			c.chained(name)
		}
	}
	return c.problems, c.warnings
}

type checker struct {
	l                  *Library
	problems, warnings conf.Problems
	said               map[string]bool // problems, which many machines share
	given              map[string]bool // scripts that some machine gets
}

// renders looks at what m gets by name, whatever its architecture is.
func (c *checker) renders(name string, m Machine, who string) {
	for _, arch := range append([]string{""}, netboot.ArchNames()...) {
		m.Arch = arch
		s, err := c.l.Render(name, m)
		if err == nil {
			c.given[s.Name] = true
			continue
		}
		var p conf.Problem
		if !errors.As(err, &p) {
			continue // a name that is none
		}
		c.given[c.l.choose(name, c.l.known.find(&m), m.Identified())] = true
		if !c.said[p.Error()] {
			c.said[p.Error()] = true
			c.problems.Add(p.Pos, "%s (for %s)", p.Text, forWhom(who, arch))
		}
		return
	}
}

func forWhom(who, arch string) string {
	if arch == "" {
		return who
	}
	return who + " as " + arch
}

// chained looks at a script that nobody is given.
func (c *checker) chained(name string) {
	var first conf.Problem
	var who string
	worked := false
	try := func(m Machine, is string) {
		for _, arch := range append([]string{""}, netboot.ArchNames()...) {
			m.Arch = arch
			_, err := c.l.Render(name, m)
			var p conf.Problem
			switch {
			case err == nil:
				worked = true
			case errors.As(err, &p) && who == "":
				first, who = p, forWhom(is, arch)
			}
		}
	}
	for _, e := range c.l.known.entries {
		try(e.sample, "the machine on "+e.because.String())
	}
	try(Machine{Serial: "unknown"}, "an unknown machine")
	switch {
	case who == "":
	case worked:
		c.warnings.Add(first.Pos, "%s (if %s asked for it)", first.Text, who)
	default:
		c.problems.Add(first.Pos, "%s (for every machine)", first.Text)
	}
}
