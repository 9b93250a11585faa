// Package msdhcp writes PowerShell scripts that make a Microsoft DHCP server tell machines what to boot. Its words are
// those of Microsoft's DhcpServer module: classes, policies that match by them, and option values of a policy.
package msdhcp

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Prefix begins the name of everything that a script makes, so that it can remove what it made before.
const Prefix = "netboot "

// Class is a vendor or user class: a name for what clients send.
type Class struct {
	Type Type
	Data string // what a client's option 60 or 77 begins with, or is
}

// Type is a kind of class.
type Type string

// The types of class.
const (
	Vendor Type = "Vendor" // option 60
	User   Type = "User"   // option 77
)

func (c Class) name() string { return Prefix + c.Data }

// Match is what one condition compares a client with: one of Values (or, with Not, none of them). A value that ends in *
// takes whatever begins so.
type Match struct {
	Not    bool
	Values []string
}

// Policy gives options to the clients that match all of its conditions; an empty condition is none.
type Policy struct {
	Because string // where the operator wrote it
	Vendor  Match  // data of vendor classes
	User    Match  // data of user classes
	MAC     Match  // hex digits
	Server  netip.Addr
	File    string
	Class60 string // option 60; empty: not sent
}

// Script is a whole configuration. The first policy that matches a client counts.
type Script struct {
	Source   string     // the map it was made from, for the comment at the top
	Scope    netip.Addr // invalid: the policies are for the whole server
	Policies []Policy
	LeftOut  []string // what could not be said, for comments
}

// Sayable tells a text that the script can hold: plain ASCII. PowerShell takes typographic quotes for quotes, and version
// 5.1 reads a file without a byte order mark in the system's own code page, where any byte may be one.
func Sayable(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return true
}

// Write writes the script. It fails on a text that is not Sayable, and where w does.
func (s *Script) Write(w io.Writer) error {
	p := &printer{}
	p.comment("Network boot for Microsoft DHCP, made by netbootctl export msdhcp from " + s.Source)
	p.comment("Run it as administrator on the DHCP server. It first removes what it made before: every policy and class")
	p.comment("whose name begins with \"" + Prefix + "\". Remove options 60, 66 and 67 that are set elsewhere.")
	for _, l := range s.LeftOut {
		p.comment("LEFT OUT: " + l)
	}
	p.line("#Requires -Modules DhcpServer")
	p.line("$ErrorActionPreference = 'Stop'")
	p.line("")
	scope := ""
	if s.Scope.IsValid() {
		scope = " -ScopeId " + p.quote(s.Scope.String())
	}
	// Only the name is passed on: the other properties would be taken for parameters.
	made := " | Where-Object -Property Name -Like -Value " + p.quote(Prefix+"*") + " | Select-Object -Property Name | "
	p.line("Get-DhcpServerv4Policy" + scope + made + "Remove-DhcpServerv4Policy" + scope + " -Confirm:$false")
	for _, kind := range []Type{User, Vendor} {
		ofKind := " -Type " + string(kind)
		p.line("Get-DhcpServerv4Class" + ofKind + made + "Remove-DhcpServerv4Class" + ofKind + " -Confirm:$false")
	}
	p.line("")
	if s.uses60() {
		p.comment("Option 60 is not among those that Microsoft defines; where it is there already, it stays as it is.")
		p.line("Add-DhcpServerv4OptionDefinition -OptionId 60 -Name " + p.quote("ClassIdentifier") + " -Type String -ErrorAction SilentlyContinue")
	}
	for _, c := range s.classes() {
		p.line("Add-DhcpServerv4Class -Name " + p.quote(c.name()) + " -Type " + string(c.Type) + " -Data " + p.quote(c.Data))
	}
	for i := range s.Policies {
		p.policy(&s.Policies[i], i+1, scope)
	}
	if p.err != nil {
		return p.err
	}
	_, err := io.WriteString(w, strings.ReplaceAll(p.b.String(), "\n", "\r\n"))
	return err
}

func (s *Script) uses60() bool {
	for i := range s.Policies {
		if s.Policies[i].Class60 != "" {
			return true
		}
	}
	return false
}

// classes are all that the policies name, each once.
func (s *Script) classes() (all []Class) {
	seen := map[Class]bool{}
	for i := range s.Policies {
		p := &s.Policies[i]
		for _, m := range []struct {
			kind  Type
			match Match
		}{{Vendor, p.Vendor}, {User, p.User}} {
			for _, v := range m.match.Values {
				c := Class{m.kind, strings.TrimSuffix(v, "*")}
				if !seen[c] {
					seen[c] = true
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// printer gathers the script and the first text that it cannot hold.
type printer struct {
	b   strings.Builder
	err error
}

func (p *printer) line(s string) { p.b.WriteString(s + "\n") }

// comment is a line of its own whatever s is.
func (p *printer) comment(s string) {
	quoted := strconv.QuoteToASCII(s)
	p.line("# " + strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`))
}

// quote is s as a literal: PowerShell looks for nothing but the quote in it.
func (p *printer) quote(s string) string {
	if !Sayable(s) && p.err == nil {
		p.err = fmt.Errorf("%s has characters that PowerShell may misread; use plain ASCII", strconv.QuoteToASCII(s))
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func (p *printer) policy(policy *Policy, number int, scope string) {
	name := p.quote(fmt.Sprintf("%s%03d", Prefix, number))
	p.line("")
	p.comment(policy.Because)
	line := "Add-DhcpServerv4Policy -Name " + name + scope + " -Condition AND"
	for _, c := range []struct {
		parameter, prefix string
		match             Match
	}{{"VendorClass", Prefix, policy.Vendor}, {"UserClass", Prefix, policy.User}, {"MacAddress", "", policy.MAC}} {
		if len(c.match.Values) == 0 {
			continue
		}
		line += " -" + c.parameter + " " + map[bool]string{false: "EQ", true: "NE"}[c.match.Not]
		for _, v := range c.match.Values {
			line += "," + p.quote(c.prefix+v)
		}
	}
	p.line(fmt.Sprintf("%s -ProcessingOrder %d", line, number))
	option := func(code int, value string) {
		p.line(fmt.Sprintf("Set-DhcpServerv4OptionValue -PolicyName %s%s -OptionId %d -Value %s", name, scope, code, p.quote(value)))
	}
	if policy.Class60 != "" {
		option(60, policy.Class60)
	}
	option(66, policy.Server.String())
	if policy.File != "" {
		option(67, policy.File)
	}
}
