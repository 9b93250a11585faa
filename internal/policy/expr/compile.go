package expr

import (
	"bytes"
	"encoding/binary"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

type (
	dataFunc   = func(*Env) ([]byte, bool)
	numberFunc = func(*Env) (uint64, bool)
	truthFunc  = func(*Env) Truth
)

// compiler turns nodes into closures. An operand of the wrong sort, which only a variable can be, has no value.
type compiler struct {
	words    Words
	problems conf.Problems
}

func (c *compiler) expr(n *node, text string) *Expr {
	x := &Expr{node: n, text: text, words: c.words, data: noData, number: noNumber, truth: noTruth}
	switch n.sort {
	case boolSort:
		x.truth = c.boolean(n)
	case dataSort:
		x.data = c.data(n)
	case numberSort:
		x.number = c.number(n)
	default:
		x.truth, x.data, x.number = c.boolean(n), c.data(n), c.number(n)
	}
	return x
}

// Value evaluates an expression of any sort; false: it has no value.
func (x *Expr) Value(e *Env) (v Value, ok bool) {
	v.sort = x.node.sort
	switch {
	case v.sort == boolSort:
		v.truth = x.truth(e)
		ok = v.truth != Null
	case v.sort == dataSort:
		v.data, ok = x.Data(e)
	case v.sort == numberSort:
		v.number, ok = x.number(e)
	case x.node.op == variable:
		return e.variable(x.node.name)
	}
	return v, ok
}

func noTruth(*Env) Truth { return Null }

func (c *compiler) boolean(n *node) truthFunc {
	if n.sort != boolSort && n.sort != anySort {
		return noTruth
	}
	switch n.op {
	case "known":
		return func(e *Env) Truth { return truth(e.Known) }
	case "static":
		return func(e *Env) Truth { return truth(e.Static) }
	case "exists":
		path := c.words.Options.PathTo(n.def)
		return func(e *Env) Truth {
			_, there := path.Find(e.Options)
			return truth(there)
		}
	case "defined":
		return func(e *Env) Truth {
			_, there := e.variable(n.name)
			return truth(there)
		}
	case variable:
		return func(e *Env) Truth {
			v, _ := e.variable(n.name)
			return v.truth
		}
	case opNot:
		return negated(c.boolean(n.args[0]))
	case opAnd:
		return and(c.boolean(n.args[0]), c.boolean(n.args[1]))
	case opOr:
		return or(c.boolean(n.args[0]), c.boolean(n.args[1]))
	case opEqual:
		return c.equal(n.args[0], n.args[1])
	case opNotEqual:
		return negated(c.equal(n.args[0], n.args[1]))
	case opMatch, opMatchFold:
		return c.match(n)
	}
	return noTruth
}

func negated(f truthFunc) truthFunc {
	return func(e *Env) Truth { return [...]Truth{Null: Null, False: True, True: False}[f(e)] }
}

// and has no value where its first part is not true, or its second has none.
func and(a, b truthFunc) truthFunc {
	return func(e *Env) Truth {
		if a(e) != True {
			return Null
		}
		return b(e)
	}
}

// or has no value only where neither part has one.
func or(a, b truthFunc) truthFunc {
	return func(e *Env) Truth {
		first := a(e)
		if first == True {
			return True
		}
		return max(first, b(e))
	}
}

// equal is true where both sides have no value; it always has one itself.
func (c *compiler) equal(a, b *node) truthFunc {
	if a.sort == dataSort && b.sort == dataSort {
		left, right := c.data(a), c.data(b)
		return func(e *Env) Truth {
			l, lok := left(e)
			r, rok := right(e)
			return truth(lok == rok && (!lok || bytes.Equal(l, r)))
		}
	}
	left, right := c.expr(a, ""), c.expr(b, "")
	return func(e *Env) Truth {
		l, lok := left.Value(e)
		r, rok := right.Value(e)
		return truth(lok == rok && (!lok || l.equal(r)))
	}
}

func noNumber(*Env) (uint64, bool) { return 0, false }

func (c *compiler) number(n *node) numberFunc {
	if n.sort != numberSort && n.sort != anySort {
		return noNumber
	}
	switch n.op {
	case constNumber:
		num := uint64(n.num)
		return func(*Env) (uint64, bool) { return num, true }
	case "extract-int":
		return extract(c.data(n.args[0]), int(n.num)/8)
	case "lease-time":
		return func(e *Env) (uint64, bool) { return uint64(e.LeaseTime.Seconds()), e.LeaseTime > 0 }
	case variable:
		return func(e *Env) (uint64, bool) {
			v, ok := e.variable(n.name)
			return v.number, ok && v.sort == numberSort
		}
	}
	if precedence[n.op] > 0 {
		return calculate(n.op, c.number(n.args[0]), c.number(n.args[1]))
	}
	return noNumber // client-state: a server has none
}

func extract(f dataFunc, width int) numberFunc {
	return func(e *Env) (uint64, bool) {
		b, ok := f(e)
		if !ok || len(b) < width {
			return 0, false
		}
		switch width {
		case 1:
			return uint64(b[0]), true
		case 2:
			return uint64(binary.BigEndian.Uint16(b)), true
		}
		return uint64(binary.BigEndian.Uint32(b)), true
	}
}

func calculate(op string, a, b numberFunc) numberFunc {
	return func(e *Env) (uint64, bool) {
		l, lok := a(e)
		r, rok := b(e)
		if !lok || !rok {
			return 0, false
		}
		switch op {
		case "+":
			return l + r, true
		case "-":
			return l - r, true
		case "*":
			return l * r, true
		case "&":
			return l & r, true
		case "|":
			return l | r, true
		case "^":
			return l ^ r, true
		}
		switch {
		case r == 0:
			return 0, false
		case op == "/":
			return l / r, true
		}
		return l % r, true
	}
}
