// Package expr is dhcpd's expression language (dhcp-eval(5)): conditions, data and numbers over a message, read and
// grouped exactly as ISC dhcpd reads and groups them, and compiled once. A compiled expression is immutable and may be
// evaluated by any number of goroutines.
package expr

import (
	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// Expr is a compiled expression. It knows where it was written, and how.
type Expr struct {
	node  *node
	text  string
	words Words

	data   func(*Env) ([]byte, bool)
	number func(*Env) (uint64, bool)
	truth  func(*Env) Truth
}

// Condition compiles a condition that is all of text, which begins at pos. The error, if any, is a conf.Problems that
// has every mistake. Where pos has no column, problems have none.
func Condition(pos conf.Pos, text string, w Words) (*Expr, error) {
	return whole(pos, text, w, boolSort)
}

// Data compiles an expression for bytes, likewise.
func Data(pos conf.Pos, text string, w Words) (*Expr, error) { return whole(pos, text, w, dataSort) }

func whole(pos conf.Pos, text string, w Words, want sort) (*Expr, error) {
	var problems conf.Problems
	if len(text) > maxText {
		problems.Add(pos, "the expression is longer than %d KiB; divide it", maxText>>10)
		return nil, problems
	}
	l := NewLexer(pos, text)
	e, err := read(l, w, want)
	if err == nil && l.Peek().Kind != EOF {
		problems.Add(l.Peek().Pos, "the expression ends before %s; join what follows with and or or", l.Peek())
		return nil, problems
	}
	return e, err
}

// ReadCondition compiles the condition that begins at the next token, up to where it can go on no longer.
func ReadCondition(l *Lexer, w Words) (*Expr, error) { return read(l, w, boolSort) }

// ReadData compiles an expression for bytes, likewise.
func ReadData(l *Lexer, w Words) (*Expr, error) { return read(l, w, dataSort) }

// ReadAny compiles any expression, likewise: what a variable is set to.
func ReadAny(l *Lexer, w Words) (*Expr, error) { return read(l, w, anySort) }

func read(l *Lexer, w Words, want sort) (*Expr, error) {
	p := &parser{lex: l, words: w}
	before := len(l.problems)
	n := p.whole(want)
	problems := append(p.problems, l.problems[before:]...)
	if len(problems) > 0 {
		return nil, problems.With(nil)
	}
	c := compiler{words: w}
	e := c.expr(n, l.text[n.from:n.to])
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return e, nil
}

// Constant is always these bytes.
func Constant(b []byte) *Expr {
	c := &struct {
		Expr
		node
	}{node: node{op: constData, sort: dataSort, data: b, hex: true}}
	c.Expr = Expr{node: &c.node, number: noNumber, truth: noTruth}
	return &c.Expr
}

// Join is the value of a, then that of b: an option that is appended to.
func Join(d *option.Definition, a, b *Expr) *Expr {
	n := &node{op: "concat", sort: dataSort, args: []*node{a.node, b.node}, pos: b.node.pos}
	joined := &Expr{node: n, text: n.String(), number: noNumber, truth: noTruth}
	joined.data = func(e *Env) ([]byte, bool) {
		first, ok := a.Data(e)
		second, also := b.Data(e)
		if !ok || !also {
			return nil, false
		}
		return d.Join(first, second), true
	}
	return joined
}

// Pos is where the expression begins.
func (x *Expr) Pos() conf.Pos { return x.node.pos }

// Text is the expression as it was written.
func (x *Expr) Text() string {
	if x.text == "" {
		return x.String()
	}
	return x.text
}

// String is the expression with the parentheses that dhcpd's grouping means.
func (x *Expr) String() string { return x.node.String() }

// Constant is the value of an expression that is always the same.
func (x *Expr) Constant() ([]byte, bool) { return x.node.data, x.node.op == constData }

// Truth evaluates a condition.
func (x *Expr) Truth(e *Env) Truth { return x.truth(e) }

// Data evaluates an expression for bytes; false: it has no value. The bytes may be shared with the message and the
// configuration: they are not to be changed.
func (x *Expr) Data(e *Env) ([]byte, bool) {
	if x.data == nil { // of a Constant
		return x.node.data, true
	}
	return x.data(e)
}

// Part is a piece of a condition and what it was.
type Part struct {
	Text   string
	Depth  int // of pieces inside of pieces: 0 is the whole
	Result Truth
}

// Explain evaluates a condition piece by piece. Pieces that the whole did not need are evaluated too: expressions change
// nothing.
func (x *Expr) Explain(e *Env) []Part { return explain(x.node, x.words, e, 0, nil) }

func explain(n *node, w Words, e *Env, depth int, parts []Part) []Part {
	c := compiler{words: w}
	parts = append(parts, Part{n.String(), depth, c.boolean(n)(e)})
	if n.op == opAnd || n.op == opOr || n.op == opNot {
		for _, a := range n.args {
			parts = explain(a, w, e, depth+1, parts)
		}
	}
	return parts
}
