package policy

import (
	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// Kind is what a scope is declared for.
type Kind uint8

// The kinds of scopes.
const (
	Global Kind = iota
	SharedNetwork
	Subnet
	Pool
	ClassScope
	Group
	Host
)

func (k Kind) String() string {
	return [...]string{"global", "shared-network", "subnet", "pool", "class", "group", "host"}[k]
}

// Scope is a place in a configuration that statements belong to. It is immutable once packets are evaluated.
type Scope struct {
	Kind       Kind
	Name       string // as in the configuration; empty: it has none
	Pos        conf.Pos
	Parent     *Scope // the scope around it, by the text; nil: it is the outermost
	Statements []Statement
}

// holds tells whether s is within, or around it.
func (s *Scope) around(within *Scope) bool {
	for ; within != nil; within = within.Parent {
		if s == within {
			return true
		}
	}
	return false
}

// Statement is one thing that a scope does for a packet.
type Statement interface{ run(*run) }

// How is what becomes of a value that an option has already.
type How uint8

// The ways to set an option.
const (
	Supersede How = iota // it is forgotten
	Default              // it stays, and the statement does nothing
	Append               // it stays, and the new value follows it
	Prepend              // it stays, behind the new value
)

// Set gives an option a value. next-server, filename, lease times and switches are options of the space "server".
type Set struct {
	Option *option.Definition
	Value  *expr.Expr
	How    How
}

// If runs one of two lists of statements. A condition that is null counts as false.
type If struct {
	Condition  *expr.Expr
	Then, Else []Statement // elsif is an Else of one If
}

// Assign sets a variable to what the value is at that moment; one without a value unsets it.
type Assign struct {
	Name  string
	Value *expr.Expr // nil: unset
}

func (s Set) run(r *run) {
	old := r.env.Settings.Lookup(s.Option)
	switch {
	case old == nil || s.How == Supersede:
		r.env.Settings.Set(s.Option, s.Value)
	case s.How == Append:
		r.env.Settings.Set(s.Option, expr.Join(s.Option, old, s.Value))
	case s.How == Prepend:
		r.env.Settings.Set(s.Option, expr.Join(s.Option, s.Value, old))
	}
}

func (s If) run(r *run) {
	result := s.Condition.Truth(r.env)
	if r.env.Trace != nil {
		r.env.Trace(expr.Step{Condition: s.Condition, Result: result})
	}
	if result == expr.True {
		r.statements(s.Then)
	} else {
		r.statements(s.Else)
	}
}

func (s Assign) run(r *run) {
	if s.Value == nil {
		r.env.Unset(s.Name)
	} else {
		r.env.Assign(s.Name, s.Value)
	}
}
