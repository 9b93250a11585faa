package expr

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// sort is what an expression yields.
type sort uint8

const (
	anySort sort = iota // a variable: known when it is set
	boolSort
	dataSort
	numberSort
)

func (s sort) String() string {
	return [...]string{"anything", "a condition", "data", "a number"}[s]
}

// node is an expression as it was read: a constant, or an operation and its operands.
type node struct {
	op   string // the word or the sign that the operator wrote; one of the const... below for what has none
	sort sort
	args []*node
	def  *option.Definition // option, config-option, exists
	data []byte             // constData
	hex  bool               // it was written as hexadecimal bytes
	num  int64              // constNumber; the bits of extract-int and encode-int
	name string             // variable, defined
	pos  conf.Pos

	from, to int // where it stands in its text
}

// Operations that have no word of their own.
const (
	constData   = "data"
	constNumber = "number"
	variable    = "variable"
	opNot       = "not"
	opAnd       = "and"
	opOr        = "or"
	opEqual     = "="
	opNotEqual  = "!="
	opMatch     = "~="
	opMatchFold = "~~"
)

// precedence is dhcpd's: the higher binds the looser, and an operator that is looser than the one before it takes all
// that follows. This is what makes "A and x = y or B" mean "A and ((x = y) or B)".
var precedence = map[string]int{
	opEqual: 4, opNotEqual: 4, opMatch: 4, opMatchFold: 4, opAnd: 3, opOr: 3, "+": 2, "-": 2, "*": 1, "/": 1, "%": 1,
	"&": 100, "|": 100, "^": 100,
}

// yields is the sort of what a binary operator gives, and of what it takes.
func yields(op string) (gives, takes sort) {
	switch op {
	case opAnd, opOr:
		return boolSort, boolSort
	case opEqual, opNotEqual:
		return boolSort, anySort
	case opMatch, opMatchFold:
		return boolSort, dataSort
	}
	return numberSort, numberSort
}

// String is the expression with all parentheses that its grouping needs, so that nobody has to know dhcpd's rules.
func (n *node) String() string {
	switch n.op {
	case constData:
		if n.hex {
			return option.Hex(n.data)
		}
		return strconv.QuoteToASCII(string(n.data))
	case constNumber:
		return strconv.FormatInt(n.num, 10)
	case variable:
		return n.name
	case "option", "config-option", "exists":
		return n.op + " " + n.def.String()
	case "defined":
		return "defined(" + n.name + ")"
	case opNot:
		return "not " + n.args[0].atom()
	}
	if precedence[n.op] > 0 {
		return n.args[0].atom() + " " + n.op + " " + n.args[1].atom()
	}
	if len(n.args) == 0 && n.num == 0 {
		return n.op
	}
	words := make([]string, 0, len(n.args)+1)
	for _, a := range n.args {
		words = append(words, a.String())
	}
	if n.num != 0 {
		words = append(words, fmt.Sprint(n.num))
	}
	return n.op + "(" + strings.Join(words, ", ") + ")"
}

// atom is the expression as an operand.
func (n *node) atom() string {
	if precedence[n.op] > 0 {
		return "(" + n.String() + ")"
	}
	return n.String()
}
