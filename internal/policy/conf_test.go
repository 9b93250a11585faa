package policy_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// config is a dhcpd.conf as these tests have them: the texts that the real dhcpd was given, with all that concerns
// options, and nothing that concerns addresses.
type config struct {
	options *option.Registry
	classes []*policy.Class
	hosts   map[string]*policy.Scope // by hardware, "1:52:54:0:..." as bytes
	network *policy.Scope            // the last subnet
	pool    *policy.Scope            // the last pool in it
	policy  *policy.Policy
	words   expr.Words
	lex     *expr.Lexer
}

// readConfig panics with a mistake: the texts are fixed, and fuzzing reads expressions only.
func readConfig(text string) *config { return readConfigFor(option.DHCP, text) }

// readConfigFor reads the configuration of a server for the protocol whose space is main.
func readConfigFor(main, text string) *config {
	c := &config{options: option.NewRegistry(main), hosts: map[string]*policy.Scope{}}
	c.words = expr.Words{Options: c.options, Variables: true}
	c.lex = expr.NewLexer(conf.Pos{File: "dhcpd.conf", Line: 1, Column: 1}, text)
	global := &policy.Scope{Kind: policy.Global}
	c.block(global, &global.Statements)
	c.policy = policy.New(c.options)
	return c
}

func (c *config) word(words ...string) bool {
	for _, w := range words {
		if c.lex.Peek().Is(w) {
			c.lex.Next()
			return true
		}
	}
	return false
}

func (c *config) take(word string) {
	if t := c.lex.Next(); !t.Is(word) {
		panic(fmt.Sprintf("%s: %s stands where %q should", t.Pos, t, word))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func (c *config) block(s *policy.Scope, list *[]policy.Statement) {
	for c.lex.Peek().Kind != expr.EOF && !c.lex.Peek().Is("}") {
		c.statement(s, list)
	}
}

// scope reads "name {", the statements, and "}".
func (c *config) scope(kind policy.Kind, parent *policy.Scope) *policy.Scope {
	s := &policy.Scope{Kind: kind, Parent: parent}
	for !c.word("{") {
		s.Name += c.lex.Next().Text
	}
	c.block(s, &s.Statements)
	c.take("}")
	return s
}

func (c *config) statement(s *policy.Scope, list *[]policy.Statement) {
	t := c.lex.Next()
	switch strings.ToLower(t.Text) {
	case "shared-network":
		c.scope(policy.SharedNetwork, s)
	case "subnet", "subnet6":
		c.network, c.pool = nil, nil
		c.network = c.scope(policy.Subnet, s)
	case "pool":
		c.pool = c.scope(policy.Pool, s)
	case "group":
		c.scope(policy.Group, s)
	case "host":
		c.scope(policy.Host, s)
	case "class":
		class := &policy.Class{}
		c.classes = append(c.classes, class)
		scope := c.scope(policy.ClassScope, s)
		class.Scope = *scope
	case "match":
		c.take("if")
		var err error
		c.classes[len(c.classes)-1].If, err = expr.ReadCondition(c.lex, c.words)
		check(err)
		c.take(";")
	case "hardware":
		c.take("ethernet")
		address, err := expr.ReadData(c.lex, c.words)
		check(err)
		b, _ := address.Constant()
		c.hosts["\x01"+string(b)] = s
		c.take(";")
	case "range", "range6", "fixed-address", "ping-check", "allow", "deny":
		for !c.word(";") {
			c.lex.Next()
		}
	case "if":
		*list = append(*list, c.condition(s))
	case "option":
		c.option(list, policy.Supersede)
	case "append":
		c.option(list, policy.Append)
	case "prepend":
		c.option(list, policy.Prepend)
	case "default":
		c.option(list, policy.Default)
	case "set":
		name := c.lex.Next().Text
		c.take("=")
		value, err := expr.ReadAny(c.lex, c.words)
		check(err)
		c.take(";")
		*list = append(*list, policy.Assign{Name: name, Value: value})
	default:
		c.set(list, "server."+t.Text, policy.Supersede)
	}
}

func (c *config) condition(s *policy.Scope) policy.If {
	x, err := expr.ReadCondition(c.lex, c.words)
	check(err)
	made := policy.If{Condition: x}
	body := func(list *[]policy.Statement) {
		c.take("{")
		c.block(s, list)
		c.take("}")
	}
	body(&made.Then)
	switch {
	case c.word("elsif"):
		made.Else = []policy.Statement{c.condition(s)}
	case c.word("else"):
		if c.word("if") {
			made.Else = []policy.Statement{c.condition(s)}
		} else {
			body(&made.Else)
		}
	}
	return made
}

func (c *config) set(list *[]policy.Statement, name string, how policy.How) {
	d, err := c.options.Lookup(name)
	check(err)
	value, err := expr.ReadValue(c.lex, d, c.words)
	check(err)
	c.take(";")
	*list = append(*list, policy.Set{Option: d, Value: value, How: how})
}

// option reads a declaration or a value.
func (c *config) option(list *[]policy.Statement, how policy.How) {
	name := c.lex.Next().Text
	if name == "space" {
		name, widths := c.lex.Next().Text, [2]int{1, 1}
		for i := range widths {
			if c.word("code", "length") {
				c.take("width")
				n, err := strconv.Atoi(c.lex.Next().Text)
				check(err)
				widths[i] = n
			}
		}
		_, err := c.options.AddSpace(name, widths[0], widths[1])
		check(err)
		c.take(";")
		return
	}
	if c.word(".") {
		name += "." + c.lex.Next().Text
	}
	if !c.word("code") {
		c.set(list, name, how)
		return
	}
	code, err := strconv.ParseUint(c.lex.Next().Text, 10, 32)
	check(err)
	c.take("=")
	var form []string
	for !c.word(";") {
		form = append(form, c.lex.Next().Text)
	}
	kind, err := option.ParseType(strings.Join(form, " "))
	check(err)
	_, err = c.options.Define(name, uint32(code), kind)
	check(err)
}
