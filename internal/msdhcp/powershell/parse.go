// Package powershell reads the part of PowerShell that generated scripts are made of, strictly: a script that it takes
// has nothing but commands with literal arguments in it. It is for tests.
package powershell

import (
	"fmt"
	"slices"
	"strings"
)

// Statement is one line of a script.
type Statement struct {
	Variable string    // of an assignment, with its $
	Value    string    // of an assignment
	Pipeline []Command // otherwise
}

// Command is a command with its parameters in order.
type Command struct {
	Name       string
	Parameters []Parameter
}

// Parameter is -Name, with its values; no name: a positional argument.
type Parameter struct {
	Name   string
	Values []string
}

// Values are those of a parameter.
func (c *Command) Values(name string) []string {
	for _, p := range c.Parameters {
		if p.Name == name {
			return p.Values
		}
	}
	return nil
}

// String shows values in braces.
func (s Statement) String() string {
	if s.Variable != "" {
		return s.Variable + " = {" + s.Value + "}"
	}
	var commands []string
	for _, c := range s.Pipeline {
		words := []string{c.Name}
		for _, p := range c.Parameters {
			if p.Name != "" {
				words = append(words, "-"+p.Name)
			}
			if len(p.Values) > 0 {
				words = append(words, "{"+strings.Join(p.Values, ",")+"}")
			}
		}
		commands = append(commands, strings.Join(words, " "))
	}
	return strings.Join(commands, " | ")
}

// Parse reads a script: ASCII lines that end in CR LF, each empty, a comment, an assignment of a literal, or a pipeline.
func Parse(script string) (all []Statement, err error) {
	if !strings.HasSuffix(script, "\r\n") {
		return nil, fmt.Errorf("does not end with a line")
	}
	for n, line := range strings.Split(strings.TrimSuffix(script, "\r\n"), "\r\n") {
		for _, r := range line {
			if r < ' ' || r > '~' {
				return nil, fmt.Errorf("line %d: has the character %q", n+1, r)
			}
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := statement(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func statement(line string) (s Statement, err error) {
	tokens, err := tokenize(line)
	if err != nil {
		return s, err
	}
	if len(tokens) == 3 && strings.HasPrefix(tokens[0].text, "$") && !tokens[0].literal && tokens[1].text == "=" && tokens[2].literal {
		return Statement{Variable: tokens[0].text, Value: tokens[2].text}, nil
	}
	for len(tokens) > 0 {
		var c Command
		if c, tokens, err = command(tokens); err != nil {
			return s, err
		}
		if err := known(&c); err != nil {
			return s, err
		}
		s.Pipeline = append(s.Pipeline, c)
	}
	return s, nil
}

// command reads up to a pipe or the end.
func command(tokens []token) (c Command, rest []token, err error) {
	if tokens[0].literal || !strings.Contains(tokens[0].text, "-") || strings.HasPrefix(tokens[0].text, "-") {
		return c, nil, fmt.Errorf("%q is no command", tokens[0].text)
	}
	c.Name = tokens[0].text
	for i := 1; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case !t.literal && t.text == "|":
			if i == len(tokens)-1 {
				return c, nil, fmt.Errorf("nothing behind the pipe")
			}
			return c, tokens[i+1:], nil
		case !t.literal && strings.HasPrefix(t.text, "-"):
			c.Parameters = append(c.Parameters, Parameter{Name: t.text[1:]})
		case !t.literal && strings.ContainsAny(t.text, "$=-:"):
			return c, nil, fmt.Errorf("%q is no literal", t.text)
		case t.joined: // behind a comma
			last := &c.Parameters[len(c.Parameters)-1]
			last.Values = append(last.Values, t.text)
		case len(c.Parameters) == 0 || len(c.Parameters[len(c.Parameters)-1].Values) > 0:
			c.Parameters = append(c.Parameters, Parameter{Values: []string{t.text}})
		default:
			last := &c.Parameters[len(c.Parameters)-1]
			last.Values = append(last.Values, t.text)
		}
	}
	return c, nil, nil
}

// parameters are those of each cmdlet that a script may use, as Microsoft documents them (module DhcpServer of Windows
// Server 2012 R2 to 2025, and PowerShell 5.1).
var parameters = map[string][]string{
	"Add-DhcpServerv4Class":            {"Name", "Type", "Data", "Description"},
	"Add-DhcpServerv4OptionDefinition": {"OptionId", "Name", "Type", "Description", "ErrorAction"},
	"Add-DhcpServerv4Policy":           {"Name", "Condition", "Description", "ScopeId", "ProcessingOrder", "VendorClass", "UserClass", "MacAddress"},
	"Get-DhcpServerv4Class":            {"Name", "Type"},
	"Get-DhcpServerv4Policy":           {"Name", "ScopeId"},
	"Remove-DhcpServerv4Class":         {"Name", "Type", "Confirm:$false"},
	"Remove-DhcpServerv4Policy":        {"Name", "ScopeId", "Confirm:$false"},
	"Select-Object":                    {"Property"},
	"Set-DhcpServerv4OptionValue":      {"OptionId", "Value", "PolicyName", "ScopeId"},
	"Where-Object":                     {"Property", "Like", "Value"},
}

// known tells a command that exists, with parameters that it has, each given once.
func known(c *Command) error {
	names, ok := parameters[c.Name]
	if !ok {
		return fmt.Errorf("there is no cmdlet %s", c.Name)
	}
	seen := map[string]bool{}
	for _, p := range c.Parameters {
		if !slices.Contains(names, p.Name) || seen[p.Name] {
			return fmt.Errorf("%s has no parameter %q, or has it already", c.Name, p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

type token struct {
	text    string
	literal bool // was quoted
	joined  bool // stands behind a comma
}

// tokenize knows bare words, single-quoted literals and commas between them. Whatever has a meaning beyond that outside
// of quotes is a mistake.
func tokenize(line string) (tokens []token, err error) {
	joined := false
	for line != "" {
		switch line[0] {
		case ' ':
			if joined {
				return nil, fmt.Errorf("a space behind a comma")
			}
			line = line[1:]
		case ',':
			if joined || len(tokens) == 0 {
				return nil, fmt.Errorf("a comma that joins nothing")
			}
			joined, line = true, line[1:]
		case '\'':
			text, rest, err := literal(line[1:])
			if err != nil {
				return nil, err
			}
			if rest != "" && !strings.ContainsRune(" ,", rune(rest[0])) {
				return nil, fmt.Errorf("%q runs into a literal", rest)
			}
			tokens = append(tokens, token{text, true, joined})
			joined, line = false, rest
		default:
			end := strings.IndexAny(line, " ,'")
			if end < 0 {
				end = len(line)
			}
			word := line[:end]
			if end < len(line) && line[end] == '\'' {
				return nil, fmt.Errorf("a quote inside %q", word)
			}
			if strings.ContainsAny(word, "`\"(){}[];&<>@#%!?*\\") || strings.Contains(word, "$") && word != "-Confirm:$false" && word != "$ErrorActionPreference" {
				return nil, fmt.Errorf("%q has a character that PowerShell takes for more than a word", word)
			}
			tokens = append(tokens, token{word, false, joined})
			joined, line = false, line[end:]
		}
	}
	if joined {
		return nil, fmt.Errorf("a comma at the end")
	}
	return tokens, nil
}

// literal reads up to a quote that is not doubled.
func literal(s string) (text, rest string, err error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			return "", "", fmt.Errorf("a quote that does not end")
		}
		b.WriteString(s[:i])
		if !strings.HasPrefix(s[i+1:], "'") {
			return b.String(), s[i+1:], nil
		}
		b.WriteByte('\'')
		s = s[i+2:]
	}
}
