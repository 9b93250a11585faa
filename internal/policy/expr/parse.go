package expr

import (
	"strconv"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

const (
	maxText  = 64 << 10 // of one expression
	maxDepth = 100      // of parentheses and functions inside of each other
)

// parser reads expressions. What is merely wrong in its meaning is noted, and reading goes on; what cannot be read ends
// it.
type parser struct {
	lex      *Lexer
	words    Words
	problems conf.Problems
	depth    int
}

// broken is why reading could not go on. It is noted where it is made.
type broken struct{}

func (p *parser) fail(t Token, format string, args ...any) {
	p.problems.Add(t.Pos, format, args...)
	panic(broken{})
}

// whole reads an expression that must yield this sort; nil: it could not be read.
func (p *parser) whole(want sort) (n *node) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(broken); !ok {
				panic(r)
			}
			n = nil
		}
	}()
	n = p.expression(want)
	p.expect(n, want)
	return n
}

// expect notes an expression of another sort than is needed here.
func (p *parser) expect(n *node, want sort) {
	if want != anySort && n.sort != anySort && n.sort != want {
		p.problems.Add(n.pos, "%s is %s; %s is needed here%s", n, n.sort, want, hint(n, want))
	}
}

func hint(n *node, want sort) string {
	if want == boolSort && n.sort == dataSort {
		return ", such as a comparison (in parentheses after not)"
	}
	return ""
}

// expression reads operands and operators.
func (p *parser) expression(context sort) *node {
	first := p.operand(context)
	op, ok := p.operator()
	if !ok {
		return first
	}
	p.takeOperator(op)
	return p.rest(first, op, first.sort)
}

// rest reads what follows "left op", as dhcpd does it. context is what numbers mean where they stand: hexadecimal
// bytes, or, beside a number, a number.
func (p *parser) rest(left *node, op string, context sort) *node {
	for {
		right := p.operand(context)
		next, more := p.operator()
		if more {
			p.takeOperator(next)
			context = right.sort
			if precedence[op] < precedence[next] {
				_, inner := yields(next)
				if next == opEqual || next == opNotEqual {
					inner = dataSort
					if right.sort == numberSort {
						inner = numberSort
					}
				}
				p.enter(p.lex.Peek())
				right = p.rest(right, next, inner)
				p.depth--
				more = false
			}
		}
		left = p.combine(left, op, right)
		if !more {
			return left
		}
		op = next
	}
}

func (p *parser) combine(left *node, op string, right *node) *node {
	gives, takes := yields(op)
	p.expect(left, takes)
	p.expect(right, takes)
	if takes == anySort && right.sort == boolSort {
		p.problems.Add(right.pos, "%s is a condition, and %s compares data or numbers; use and, or, not", right, op)
	} else if takes == anySort && left.sort != right.sort && left.sort != anySort && right.sort != anySort {
		p.problems.Add(right.pos, "%s compares %s with %s, which are never equal", op, left.sort, right.sort)
	}
	return &node{op: op, sort: gives, args: []*node{left, right}, pos: left.pos, from: left.from, to: right.to}
}

// operator looks at the next token, or two.
func (p *parser) operator() (string, bool) {
	t := p.lex.Peek()
	switch {
	case t.Is(opAnd):
		return opAnd, true
	case t.Is(opOr):
		return opOr, true
	case t.Kind != Punct:
		return "", false
	case t.Text == "!" || t.Text == "~":
		op := t.Text + p.lex.ahead(1).Text
		if op != opNotEqual && op != opMatch && op != opMatchFold {
			p.fail(t, "%s is not an operator; use !=, ~= or ~~", t)
		}
		return op, true
	}
	_, ok := precedence[t.Text]
	return t.Text, ok
}

func (p *parser) takeOperator(op string) {
	p.lex.Next()
	if op == opNotEqual || op == opMatch || op == opMatchFold {
		p.lex.Next()
	}
}

func (p *parser) enter(t Token) {
	if p.depth++; p.depth > maxDepth {
		p.fail(t, "the expression is nested more than %d deep; simplify it", maxDepth)
	}
}

// operand reads one thing without operators, or what stands in parentheses.
func (p *parser) operand(context sort) *node {
	t := p.lex.Next()
	p.enter(t)
	n := p.operandAt(t, context)
	p.depth--
	n.pos, n.from, n.to = t.Pos, t.from, p.lex.end
	return n
}

func (p *parser) operandAt(t Token, context sort) *node {
	switch t.Kind {
	case String:
		n := &node{op: constData, sort: dataSort}
		if t.Text != "" {
			n.data = []byte(t.Text)
		}
		return n
	case Number, Hex, Name:
		if t.Kind == Number && context == numberSort {
			num, err := strconv.ParseInt(t.Text, 10, 32)
			if err != nil {
				p.problems.Add(t.Pos, "%s is not a number from -2147483648 to 2147483647", t)
			}
			return &node{op: constNumber, sort: numberSort, num: num}
		}
		if t.Kind == Name {
			return p.word(t)
		}
		return p.bytes(t)
	}
	if !t.Is("(") {
		p.fail(t, "%s is not the beginning of an expression", t)
	}
	n := p.expression(context)
	p.close()
	return n
}

// bytes reads 52:54:00, a single pair as well.
func (p *parser) bytes(t Token) *node {
	n := &node{op: constData, sort: dataSort, hex: true}
	for {
		octet, err := strconv.ParseUint(t.Text, 16, 8)
		if err != nil || t.Kind != Number && t.Kind != Hex {
			p.fail(t, "%s is not a hexadecimal byte from 00 to ff", t)
		}
		n.data = append(n.data, byte(octet))
		if !p.lex.Peek().Is(":") {
			return n
		}
		p.lex.Next()
		t = p.lex.Next()
	}
}

func (p *parser) close() {
	if t := p.lex.Next(); !t.Is(")") {
		p.fail(t, "a parenthesis must be closed before %s", t)
	}
}

func (p *parser) comma() {
	if t := p.lex.Next(); !t.Is(",") {
		p.fail(t, "a comma is missing before %s", t)
	}
}

// option reads the name of an option. One that is unknown is noted.
func (p *parser) option() *option.Definition {
	t := p.lex.Next()
	if t.Kind == String || t.Kind == EOF || t.Kind == Punct {
		p.fail(t, "the name of an option is missing before %s", t)
	}
	name := t.Text
	if p.lex.Peek().Is(".") {
		p.lex.Next()
		short := p.lex.Next()
		if short.Kind == String || short.Kind == EOF || short.Kind == Punct {
			p.fail(short, "the name of an option is missing before %s", short)
		}
		name += "." + short.Text
	}
	d, err := p.words.Options.Lookup(name)
	if err != nil {
		p.problems.Add(t.Pos, "%v", err)
	}
	return d
}

func (p *parser) bits() int64 {
	t := p.lex.Next()
	switch t.Text {
	case "8", "16", "32":
		bits, _ := strconv.ParseInt(t.Text, 10, 64)
		return bits
	}
	p.problems.Add(t.Pos, "an integer has 8, 16 or 32 bits, not %s", t)
	return 8
}
