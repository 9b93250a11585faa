package policy

import (
	"slices"

	"github.com/coredhcp-netboot/suite/internal/policy/expr"
)

// Class is a set of clients, told by a condition, by the value of an expression, or by both.
type Class struct {
	Scope
	If         *expr.Expr        // nil: any client
	By         *expr.Expr        // whose value picks one of Subclasses; nil: the class has none
	Subclasses map[string]*Class // by the value, as bytes; each one's Super is this class
	Super      *Class            // of a subclass; nil: it is a class of its own
}

// Is tells whether a client of class c is a member of d: the same class, or the one of which c is a subclass.
func (c *Class) Is(d *Class) bool { return c == d || c.Super == d }

// Members tells whether one of these classes makes its client a member of d.
func Members(of []*Class, d *Class) bool {
	return slices.ContainsFunc(of, func(c *Class) bool { return c.Is(d) })
}

// Match finds the classes of a client among these, in their order, and appends them to dst. It is done before anything
// else is known of the client, so conditions find known false, as in dhcpd.
func Match(dst []*Class, env *Env, among []*Class) []*Class {
	for _, c := range among {
		if found := c.match(env); found != nil {
			dst = append(dst, found)
		}
	}
	return dst
}

func (c *Class) match(env *Env) *Class {
	if c.If != nil {
		result := c.If.Truth(env)
		if env.Trace != nil {
			env.Trace(expr.Step{Condition: c.If, Result: result})
		}
		if result != expr.True {
			return nil
		}
	}
	if c.By == nil {
		if c.If == nil {
			return nil // dhcpd: a class without match has no members
		}
		return c
	}
	value, ok := c.By.Data(env)
	if !ok || len(value) == 0 {
		return nil
	}
	return c.Subclasses[string(value)]
}
