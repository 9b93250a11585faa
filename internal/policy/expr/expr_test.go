package expr_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

func words(t testing.TB) expr.Words {
	t.Helper()
	r := option.NewRegistry(option.DHCP)
	if _, err := r.AddSpace("ipxe", 1, 1); err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]string{"ipxe-encap-opts 175": "encapsulate ipxe", "arch 93": "unsigned integer 16", "ipxe.efi 36": "unsigned integer 8"} {
		kind, err := option.ParseType(form)
		if err != nil {
			t.Fatal(err)
		}
		name, code, _ := strings.Cut(name, " ")
		if _, err := r.Define(name, map[string]uint32{"175": 175, "93": 93, "36": 36}[code], kind); err != nil {
			t.Fatal(err)
		}
	}
	return expr.Words{Options: r}
}

var start = conf.Pos{File: "site.yml", Line: 3, Column: 9}

func TestAConditionIsShownWithTheGroupingThatItHas(t *testing.T) {
	w := words(t)
	for text, want := range map[string]string{
		`exists arch and exists user-class or known`:                       `(exists arch and exists user-class) or known`,
		`known or exists arch and exists user-class`:                       `(known or exists arch) and exists user-class`,
		`known and option arch = 00:07 or exists user-class`:               `known and ((option arch = 00:07) or exists user-class)`,
		`option arch = 00:07 or option arch = 00:09 and exists user-class`: `(option arch = 00:07) or ((option arch = 00:09) and exists user-class)`,
		`not exists arch and known`:                                        `not exists arch and known`,
		`SUBSTRING(Option vendor-class-identifier, 0, 9) = "PXEClient"`:    `substring(option vendor-class-identifier, 0, 9) = "PXEClient"`,
		`(extract-int(option arch, 16) + 1) = 8`:                           `(extract-int(option arch, 16) + 1) = 8`,
		`pick(option user-class, null) ~= "^i" # the rest of the line`:     `pick-first-value(option user-class, null) ~= "^i"`,
		`encode-int(7, 16) = option arch`:                                  `encode-int(7, 16) = option arch`,
	} {
		x, err := expr.Condition(start, text, w)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if x.String() != want {
			t.Errorf("%s\nis shown as %s\nwant        %s", text, x, want)
		}
		again, err := expr.Condition(start, x.String(), w)
		if err == nil && again.String() != want {
			t.Errorf("%s, shown and read again, is %s", text, again)
		}
	}
}

func TestEveryMistakeOfAConditionIsReportedInOneRunWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"option arhc = 00:07 and\n  exists ipxe.efo or nonesuch(option arch) = 1": `
site.yml:3:16: option arhc is unknown; did you mean "arch"?
site.yml:4:10: option ipxe.efo is unknown; did you mean "ipxe.efi"?
site.yml:4:22: there is no function "nonesuch"; use one of binary-to-ascii, concat, encode-int, extract-int, lcase, packet, pick-first-value, reverse, substring, suffix, ucase, v6relay`,
		`arch = 00:07`:                       "\nsite.yml:3:9: \"arch\" has no meaning here; an option is written: option arch",
		`knwon`:                              "\nsite.yml:3:9: \"knwon\" has no meaning here; did you mean \"known\"?",
		`option arch`:                        "\nsite.yml:3:9: option arch is data; a condition is needed here, such as a comparison (in parentheses after not)",
		`option arch = "a`:                   "\nsite.yml:3:23: a string begins here and does not end; add the second \"",
		`option arch = 300`:                  "\nsite.yml:3:23: \"300\" is not a hexadecimal byte from 00 to ff",
		`option arch = `:                     "\nsite.yml:3:23: the end is not the beginning of an expression",
		`known known`:                        "\nsite.yml:3:15: the expression ends before \"known\"; join what follows with and or or",
		`option arch = "\xzz"`:               "\nsite.yml:3:25: an escape in a string has three octal digits, or x and two hexadecimal ones",
		`option arch ~= "("`:                 "\nsite.yml:3:24: \"(\" is not a regular expression: error parsing regexp: missing closing ): `(`",
		`extract-int(option arch, 16) = 07:`: "\nsite.yml:3:42: \":\" is where the expression ends",
	} {
		_, err := expr.Condition(start, text, words(t))
		if text == `extract-int(option arch, 16) = 07:` {
			if err == nil {
				t.Errorf("%s is taken", text)
			}
			continue
		}
		if err == nil || "\n"+err.Error() != want {
			t.Errorf("%s\ngot:  %v\nwant: %s", text, err, want)
		}
	}
}

func TestWithoutAColumnOnlyLinesAreSaid(t *testing.T) {
	_, err := expr.Condition(conf.Pos{File: "subnets.yml", Line: 3}, "known and\nexists nonesuch-at-all", words(t))
	if err == nil || err.Error() != "subnets.yml:4: option nonesuch-at-all is unknown; declare it with its code and type" {
		t.Error(err)
	}
}

func TestDeepNestingAndLongTextsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"parentheses": strings.Repeat("(", 5000) + "known" + strings.Repeat(")", 5000),
		"functions":   strings.Repeat("lcase(", 5000),
		"not":         strings.Repeat("not ", 5000) + "known",
		"comparisons": strings.Repeat(`known and option arch = 00 or `, 2000) + "known",
		"long":        strings.Repeat("known and ", 10000) + "known",
	} {
		if _, err := expr.Condition(start, text, words(t)); err == nil && name != "comparisons" {
			t.Errorf("%s: is taken", name)
		}
	}
}

func TestAConditionExplainsItself(t *testing.T) {
	x, err := expr.Condition(start, `exists user-class and option user-class = "iPXE" or known`, words(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range x.Explain(&expr.Env{Options: option.FromMap(map[uint8][]byte{77: []byte("iPXE")})}) {
		got = append(got, strings.Repeat("  ", p.Depth)+p.Text+": "+p.Result.String())
	}
	want := []string{
		`exists user-class and ((option user-class = "iPXE") or known): true`,
		`  exists user-class: true`,
		`  (option user-class = "iPXE") or known: true`,
		`    option user-class = "iPXE": true`,
		`    known: false`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
	if x.Pos() != start || x.Text() != `exists user-class and option user-class = "iPXE" or known` {
		t.Error("it does not know where it stands:", x.Pos(), x.Text())
	}
}

func TestValuesAreReadAsInDhcpdConf(t *testing.T) {
	w := words(t)
	w.Resolve = func(name string) ([]netip.Addr, error) {
		if name == "ntp.example" {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		}
		return nil, fmt.Errorf("%s has no address; write it as a number", name)
	}
	for _, c := range []struct{ option, text, want string }{
		{"ntp-servers", `192.0.2.9, ntp.example;`, "192.0.2.9, 192.0.2.1, 192.0.2.2"},
		{"swap-server", `ntp.example;`, "192.0.2.1"},
		{"host-name", `web-1;`, `"web-1"`},
		{"host-name", `"a \"b\" \101";`, `"a \"b\" A"`},
		{"vendor-class-identifier", `0a;`, "0a"},
		{"dhcp-client-identifier", `1:2:ff;`, "01:02:ff"},
		{"vendor-class-identifier", `PXEClient;`, `site.yml:3:9: option vendor-class-identifier: "PXEClient" is neither text in quotes nor hexadecimal bytes with colons`},
		{"static-routes", `10.0.0.0 192.0.2.1, 10.1.0.0 192.0.2.2 }`, "10.0.0.0 192.0.2.1, 10.1.0.0 192.0.2.2"},
		{"time-offset", `-18000;`, "-18000"},
		{"ip-forwarding", `on;`, "true"},
		{"domain-search", `"a.example", "b.example";`, `"a.example", "b.example"`},
		{"host-name", `= concat("a", 62);`, `"ab"`},
		{"host-name", `;`, "site.yml:3:9: option host-name: has no value; give one"},
		{"routers", `nowhere;`, "site.yml:3:9: option routers: nowhere has no address; write it as a number"},
	} {
		d, err := w.Options.Lookup(c.option)
		if err != nil {
			t.Fatal(err)
		}
		l := expr.NewLexer(start, c.text)
		x, err := expr.ReadValue(l, d, w)
		got := fmt.Sprint(err)
		if err == nil {
			b, _ := x.Data(&expr.Env{})
			got = d.Text(b)
			if end := l.Peek(); !end.Is(";") && !end.Is("}") {
				t.Errorf("%s %s: %s is left", c.option, c.text, end)
			}
		}
		if got != c.want {
			t.Errorf("%s %s\ngot  %s\nwant %s", c.option, c.text, got, c.want)
		}
	}
}

func FuzzCondition(f *testing.F) {
	w := words(f)
	for _, text := range []string{
		`option arch = 00:07 or option arch = 00:09 and exists user-class`, `not (substring(hardware, 1, 3) = 52:54:00)`,
		`binary-to-ascii(10, 16, "", option arch) = "7"`, `option user-class ~~ "^ipxe"`, `(extract-int(packet(0, 4), 32) / 3) = 0x7`,
		`concat(reverse(1, option agent.circuit-id), "\x41\101\0") != null`, "known #\n and static", `v6relay(1, option fqdn.fqdn) = ""`,
	} {
		f.Add(text, []byte("\x5d\x02\x00\x07\x4d\x04iPXE"))
	}
	f.Fuzz(func(t *testing.T, text string, message []byte) {
		x, err := expr.Condition(start, text, w)
		if err != nil {
			if problems := (conf.Problems)(nil); !errors.As(err, &problems) {
				t.Fatalf("%T", err)
			}
			return
		}
		env := &expr.Env{Options: parse(message), Packet: message, Hardware: []byte{1, 2, 3, 4, 5, 6, 7}}
		before := x.Truth(env)
		x.Explain(env)
		again, err := expr.Condition(start, x.String(), w)
		if err == nil && again.Truth(env) != before {
			t.Errorf("%q is %v; shown as %q it is %v", text, before, x, again.Truth(env))
		}
	})
}

// parse takes options as they come, and as far as they go.
func parse(b []byte) *option.Set {
	s := &option.Set{}
	for len(b) > 2 && len(b) >= 2+int(b[1]) {
		s.Add(uint32(b[0]), b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
	return s
}
