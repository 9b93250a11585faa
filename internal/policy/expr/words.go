package expr

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// Words are what an expression may speak of.
type Words struct {
	Options   *option.Registry
	Variables bool // any other word is a variable, as in dhcpd.conf; false: it is a mistake

	// Resolve looks up the name of a machine that stands for its IPv4 addresses; it returns at least one, or an error
	// that says what to do. nil: names are mistakes.
	Resolve func(name string) ([]netip.Addr, error)
}

// function is a word of the language that stands for a value, perhaps with operands in parentheses.
type function struct {
	gives sort
	takes []sort // of the operands; nil: it stands without parentheses
	more  bool   // any number of operands of the last sort
	bits  bool   // the last operand is 8, 16 or 32
}

var functions = map[string]function{
	"known": {gives: boolSort}, "static": {gives: boolSort},
	"hardware": {gives: dataSort}, "leased-address": {gives: dataSort}, "filename": {gives: dataSort},
	"server-name": {gives: dataSort}, "host-decl-name": {gives: dataSort}, "null": {gives: dataSort},
	"lease-time": {gives: numberSort}, "client-state": {gives: numberSort},
	"substring":        {gives: dataSort, takes: []sort{dataSort, numberSort, numberSort}},
	"suffix":           {gives: dataSort, takes: []sort{dataSort, numberSort}},
	"lcase":            {gives: dataSort, takes: []sort{dataSort}},
	"ucase":            {gives: dataSort, takes: []sort{dataSort}},
	"concat":           {gives: dataSort, takes: []sort{dataSort, dataSort}, more: true},
	"pick-first-value": {gives: dataSort, takes: []sort{dataSort}, more: true},
	"binary-to-ascii":  {gives: dataSort, takes: []sort{numberSort, numberSort, dataSort, dataSort}},
	"reverse":          {gives: dataSort, takes: []sort{numberSort, dataSort}},
	"packet":           {gives: dataSort, takes: []sort{numberSort, numberSort}},
	"encode-int":       {gives: dataSort, takes: []sort{numberSort}, bits: true},
	"extract-int":      {gives: numberSort, takes: []sort{dataSort}, bits: true},
	"v6relay":          {gives: dataSort, takes: []sort{numberSort, dataSort}},
}

// word reads what begins with a name.
func (p *parser) word(t Token) *node {
	word := strings.ToLower(t.Text)
	switch word {
	case opNot:
		n := p.operand(boolSort)
		p.expect(n, boolSort)
		return &node{op: opNot, sort: boolSort, args: []*node{n}}
	case "exists":
		return p.optionNode(word, boolSort)
	case "option", "config-option":
		return p.optionNode(word, dataSort)
	case "defined":
		return p.defined()
	case "pick":
		word = "pick-first-value"
	}
	f, known := functions[word]
	called := p.lex.Peek().Is("(")
	switch {
	case known && f.takes != nil:
		return p.call(word, f)
	case known:
		return &node{op: word, sort: f.gives}
	case called:
		p.problems.Add(t.Pos, "there is no function %s; %s", t, conf.Suggest(word, names(true)))
		return p.unknownCall()
	case !p.words.Variables:
		p.problems.Add(t.Pos, "%s has no meaning here; %s", t, p.meant(word))
	}
	return &node{op: variable, name: t.Text}
}

// meant is the remedy for a word that is none. Often "option" was left out.
func (p *parser) meant(word string) string {
	if _, err := p.words.Options.Lookup(word); err == nil {
		return "an option is written: option " + word
	}
	return conf.Suggest(word, names(false))
}

func names(called bool) (list []string) {
	for name, f := range functions {
		if called == (f.takes != nil) {
			list = append(list, name)
		}
	}
	if !called {
		list = append(list, "option", "exists", "not")
	}
	slices.Sort(list)
	return list
}

// optionNode is an option that is asked for. One that is unknown is noted, and counts as absent.
func (p *parser) optionNode(word string, gives sort) *node {
	d := p.option()
	if d == nil {
		return &node{op: "null", sort: gives}
	}
	return &node{op: word, sort: gives, def: d}
}

func (p *parser) defined() *node {
	p.open()
	t := p.lex.Next()
	if t.Kind != Name && t.Kind != Hex {
		p.fail(t, "the name of a variable is needed, not %s", t)
	}
	p.close()
	return &node{op: "defined", sort: boolSort, name: t.Text}
}

func (p *parser) open() {
	if t := p.lex.Next(); !t.Is("(") {
		p.fail(t, "a parenthesis is missing before %s", t)
	}
}

func (p *parser) call(word string, f function) *node {
	n := &node{op: word, sort: f.gives}
	p.open()
	for i := 0; ; i++ {
		takes := f.takes[min(i, len(f.takes)-1)]
		a := p.expression(takes)
		p.expect(a, takes)
		n.args = append(n.args, a)
		if i+1 >= len(f.takes) && (!f.more || !p.lex.Peek().Is(",")) {
			break
		}
		p.comma()
	}
	if f.bits {
		p.comma()
		n.num = p.bits()
	}
	p.close()
	return n
}

// unknownCall reads over the operands of a function that there is not.
func (p *parser) unknownCall() *node {
	p.open()
	for !p.lex.Peek().Is(")") {
		p.expression(anySort)
		if p.lex.Peek().Is(",") {
			p.lex.Next()
		} else if !p.lex.Peek().Is(")") {
			break
		}
	}
	p.close()
	return &node{op: "null"}
}
