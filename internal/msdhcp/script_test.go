package msdhcp_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/msdhcp"
	"github.com/coredhcp-netboot/suite/internal/msdhcp/powershell"
)

var addr = netip.MustParseAddr

func write(t testing.TB, s *msdhcp.Script) string {
	t.Helper()
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAScriptIsCommandsThatPowerShellReadsAsMeant(t *testing.T) {
	text := write(t, &msdhcp.Script{Source: "boot.yml", Scope: addr("192.0.2.0"), LeftOut: []string{"boot.yml:9: x"}, Policies: []msdhcp.Policy{
		{Because: "boot.yml:3", User: msdhcp.Match{Values: []string{"iPXE"}}, Server: addr("192.0.2.1"), File: "http://192.0.2.1/boot.ipxe?m=${net0/mac}"},
		{Because: "boot.yml:4", Vendor: msdhcp.Match{Values: []string{"HTTPClient:Arch:00016*"}}, MAC: msdhcp.Match{Values: []string{"525400*", "525400AABB01"}}, Server: addr("192.0.2.1"), File: "http://192.0.2.1/ipxe.efi", Class60: "HTTPClient"},
		{Because: "boot.yml:5", User: msdhcp.Match{Not: true, Values: []string{"iPXE"}}, Vendor: msdhcp.Match{Values: []string{"PXEClient:Arch:00007*", "PXEClient:Arch:00009*"}}, Server: addr("192.0.2.1"), File: "it's.efi"},
	}})
	commands, err := powershell.Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var got []string
	for _, c := range commands {
		got = append(got, c.String())
	}
	want := []string{
		"$ErrorActionPreference = {Stop}",
		"Get-DhcpServerv4Policy -ScopeId {192.0.2.0} | Where-Object -Property {Name} -Like -Value {netboot *} | Select-Object -Property {Name} | Remove-DhcpServerv4Policy -ScopeId {192.0.2.0} -Confirm:$false",
		"Get-DhcpServerv4Class -Type {User} | Where-Object -Property {Name} -Like -Value {netboot *} | Select-Object -Property {Name} | Remove-DhcpServerv4Class -Type {User} -Confirm:$false",
		"Get-DhcpServerv4Class -Type {Vendor} | Where-Object -Property {Name} -Like -Value {netboot *} | Select-Object -Property {Name} | Remove-DhcpServerv4Class -Type {Vendor} -Confirm:$false",
		"Add-DhcpServerv4OptionDefinition -OptionId {60} -Name {ClassIdentifier} -Type {String} -ErrorAction {SilentlyContinue}",
		"Add-DhcpServerv4Class -Name {netboot iPXE} -Type {User} -Data {iPXE}",
		"Add-DhcpServerv4Class -Name {netboot HTTPClient:Arch:00016} -Type {Vendor} -Data {HTTPClient:Arch:00016}",
		"Add-DhcpServerv4Class -Name {netboot PXEClient:Arch:00007} -Type {Vendor} -Data {PXEClient:Arch:00007}",
		"Add-DhcpServerv4Class -Name {netboot PXEClient:Arch:00009} -Type {Vendor} -Data {PXEClient:Arch:00009}",
		"Add-DhcpServerv4Policy -Name {netboot 001} -ScopeId {192.0.2.0} -Condition {AND} -UserClass {EQ,netboot iPXE} -ProcessingOrder {1}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 001} -ScopeId {192.0.2.0} -OptionId {66} -Value {192.0.2.1}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 001} -ScopeId {192.0.2.0} -OptionId {67} -Value {http://192.0.2.1/boot.ipxe?m=${net0/mac}}",
		"Add-DhcpServerv4Policy -Name {netboot 002} -ScopeId {192.0.2.0} -Condition {AND} -VendorClass {EQ,netboot HTTPClient:Arch:00016*} -MacAddress {EQ,525400*,525400AABB01} -ProcessingOrder {2}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 002} -ScopeId {192.0.2.0} -OptionId {60} -Value {HTTPClient}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 002} -ScopeId {192.0.2.0} -OptionId {66} -Value {192.0.2.1}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 002} -ScopeId {192.0.2.0} -OptionId {67} -Value {http://192.0.2.1/ipxe.efi}",
		"Add-DhcpServerv4Policy -Name {netboot 003} -ScopeId {192.0.2.0} -Condition {AND} -VendorClass {EQ,netboot PXEClient:Arch:00007*,netboot PXEClient:Arch:00009*} -UserClass {NE,netboot iPXE} -ProcessingOrder {3}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 003} -ScopeId {192.0.2.0} -OptionId {66} -Value {192.0.2.1}",
		"Set-DhcpServerv4OptionValue -PolicyName {netboot 003} -ScopeId {192.0.2.0} -OptionId {67} -Value {it's.efi}",
	}
	if !slices.Equal(got, want) {
		t.Errorf("reads as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTextsThatPowerShellMayMisreadAreRefused(t *testing.T) {
	// U+2018 to U+201B are quotes to PowerShell, and the second byte of U+0411 is one to Windows-1252.
	for _, evil := range []string{"a\u2019; Stop-Computer #", "\u0411", "a\nb", "a\x00b", "a\rb", "\x7f"} {
		err := (&msdhcp.Script{Policies: []msdhcp.Policy{{Server: addr("192.0.2.1"), File: evil}}}).Write(&strings.Builder{})
		if err == nil {
			t.Errorf("%q is written", evil)
		}
	}
}

// FuzzScript: whatever a map says, it stays inside its literal or comment.
func FuzzScript(f *testing.F) {
	f.Add("x'; Stop-Computer; '", "c\n Stop-Computer", "u`'")
	f.Add("$(Stop-Computer)", "#>", "a''b'")
	f.Fuzz(func(t *testing.T, file, comment, class string) {
		s := &msdhcp.Script{Source: comment, LeftOut: []string{comment}, Policies: []msdhcp.Policy{
			{Because: comment, User: msdhcp.Match{Values: []string{class}}, Server: addr("192.0.2.1"), File: file},
		}}
		var b strings.Builder
		if err := s.Write(&b); err != nil {
			if msdhcp.Sayable(file) && msdhcp.Sayable(class) {
				t.Errorf("refused: %v", err)
			}
			return
		}
		commands, err := powershell.Parse(b.String())
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		n := 8
		if file == "" {
			n--
		}
		if len(commands) != n {
			t.Fatalf("%d commands:\n%s", len(commands), b.String())
		}
		if last := commands[len(commands)-1].Pipeline[0]; file != "" && !slices.Equal(last.Values("Value"), []string{file}) {
			t.Errorf("%q became %q", file, last.Values("Value"))
		}
	})
}
