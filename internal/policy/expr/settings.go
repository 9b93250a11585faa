package expr

import "github.com/coredhcp-netboot/suite/internal/policy/option"

// maxNested bounds settings whose values are made of other settings: dhcpd has no bound and a ring ends it.
const maxNested = 16

// Value is what a variable holds.
type Value struct {
	sort   sort
	data   []byte
	number uint64
	truth  Truth
}

// equal is dhcpd's: values of different sorts are not.
func (v Value) equal(w Value) bool {
	return v.sort == w.sort && v.number == w.number && v.truth == w.truth && string(v.data) == string(w.data)
}

// Settings are what statements have set: options, by definition, and variables, by name. Values are evaluated when they
// are asked for, as dhcpd does it, so config-option sees what was set last.
type Settings struct {
	list      []Setting
	index     []uint16 // 1 and the place in list, by the option's ID
	variables []assigned
}

// Setting is one option that is set.
type Setting struct {
	Option *option.Definition
	Value  *Expr
}

type assigned struct {
	name  string
	value Value
	null  bool // it was set to what has no value
}

// NewSettings has room for every option of the registry.
func NewSettings(r *option.Registry) *Settings {
	return &Settings{list: make([]Setting, 0, 32), index: make([]uint16, r.Len())}
}

// Reset forgets everything, and keeps the memory.
func (s *Settings) Reset() {
	for _, set := range s.list {
		s.index[set.Option.ID()] = 0
	}
	s.list, s.variables = s.list[:0], s.variables[:0]
}

// Set sets an option; what it was before is forgotten.
func (s *Settings) Set(d *option.Definition, value *Expr) {
	if at := s.index[d.ID()]; at > 0 {
		s.list[at-1] = Setting{d, value}
		return
	}
	s.list = append(s.list, Setting{d, value})
	s.index[d.ID()] = uint16(len(s.list))
}

// Lookup is what the option is set to; nil: nothing.
func (s *Settings) Lookup(d *option.Definition) *Expr {
	if s == nil {
		return nil
	}
	if at := s.index[d.ID()]; at > 0 {
		return s.list[at-1].Value
	}
	return nil
}

// List has all options that are set, in the order in which each was set first.
func (s *Settings) List() []Setting { return s.list }

// Option evaluates what the option is set to.
func (e *Env) Option(d *option.Definition) ([]byte, bool) {
	x := e.Settings.Lookup(d)
	switch {
	case x == nil || e.depth >= maxNested:
		return nil, false
	case x.data == nil:
		return x.node.data, true
	}
	e.depth++
	defer func() { e.depth-- }()
	return x.data(e)
}

// Assign sets a variable to what x is now.
func (e *Env) Assign(name string, x *Expr) {
	v, ok := x.Value(e)
	s := e.Settings
	for i := range s.variables {
		if s.variables[i].name == name {
			s.variables[i] = assigned{name, v, !ok}
			return
		}
	}
	s.variables = append(s.variables, assigned{name, v, !ok})
}

// Unset forgets a variable.
func (e *Env) Unset(name string) {
	for i := range e.Settings.variables {
		if e.Settings.variables[i].name == name {
			e.Settings.variables[i].null = true
		}
	}
}

func (e *Env) variable(name string) (Value, bool) {
	if e.Settings == nil {
		return Value{}, false
	}
	for i := range e.Settings.variables {
		if v := &e.Settings.variables[i]; v.name == name {
			return v.value, !v.null
		}
	}
	return Value{}, false
}
