package option_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// define makes an option of this type.
func define(t testing.TB, form string) *option.Definition {
	t.Helper()
	kind, err := option.ParseType(form)
	if err != nil {
		t.Fatal(err)
	}
	d, err := option.NewRegistry(option.DHCP).Define("x", 224, kind)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnOperatorsTextBecomesBytesAndBytesBecomeText(t *testing.T) {
	for _, c := range []struct{ form, values, digits, text string }{
		{"ip-address", "192.0.2.1", "c0000201", ""},
		{"array of ip-address", "192.0.2.1|192.0.2.2", "c0000201c0000202", "192.0.2.1, 192.0.2.2"},
		{"array of { ip-address, ip-address }", "10.0.0.0 192.0.2.1|10.1.0.0 192.0.2.2", "0a000000c00002010a010000c0000202", "10.0.0.0 192.0.2.1, 10.1.0.0 192.0.2.2"},
		{"ip6-address", "2001:db8::1", "20010db8000000000000000000000001", ""},
		{"unsigned integer 8", "255", "ff", ""},
		{"unsigned integer 16", "0x1f", "001f", "31"},
		{"unsigned integer 32", "4294967295", "ffffffff", ""},
		{"integer 8", "-1", "ff", ""},
		{"signed integer 16", "-2", "fffe", ""},
		{"integer 32", "-18000", "ffffb9b0", ""},
		{"boolean", "on", "01", "true"},
		{"flag", "ignore", "02", ""},
		{"duration", "infinite", "ffffffff", ""},
		{"duration", "-1", "ffffffff", "infinite"},
		{"text", "a b", "612062", `"a b"`},
		{"string", "01:2:ff", "0102ff", "01:02:ff"},
		{"string", "PXEClient", "505845436c69656e74", `"PXEClient"`},
		{"domain-name", "Lab.example.net.", "034c6162076578616d706c65036e657400", `"Lab.example.net"`},
		{"domain-list", "a.example|b.example", "0161076578616d706c65000162076578616d706c6500", `"a.example", "b.example"`},
		{"domain-list compressed", "a.example|b.Example|example", "0161076578616d706c65000162c002c002", `"a.example", "b.example", "example"`},
		{"{ unsigned integer 8, text }", `0 "PXE menu"`, "00505845206d656e75", `0 "PXE menu"`},
		{"{ unsigned integer 8, array of ip-address }", "3 192.0.2.1, 192.0.2.2", "03c0000201c0000202", "3 192.0.2.1, 192.0.2.2"},
		{"{ boolean, optional text }", "true", "01", "true"},
		{"{ unsigned integer 8, ip-address, ip-address, domain-list }", "1 192.0.2.1 192.0.2.2 a.example", "01c0000201c00002020161076578616d706c6500", `1 192.0.2.1 192.0.2.2 "a.example"`},
		{"empty", "", "", ""},
	} {
		d := define(t, c.form)
		var values []string
		if c.values != "" {
			values = strings.Split(c.values, "|")
		}
		b, err := d.Parse(values...)
		if err != nil || hex.EncodeToString(b) != c.digits {
			t.Errorf("%s %q is %x (%v), want %s", c.form, values, b, err, c.digits)
			continue
		}
		want := c.text
		if want == "" {
			want = c.values
		}
		if got := d.Text(b); got != want {
			t.Errorf("%s %x is shown as %s, want %s", c.form, b, got, want)
		}
	}
}

func TestWrongValuesAreRefusedWithARemedy(t *testing.T) {
	for _, c := range []struct{ form, values, want string }{
		{"ip-address", "ns.example", `option x: "ns.example" is not an IPv4 address`},
		{"ip-address", "10.0.0.1|10.0.0.2", `option x: takes one value, not 2`},
		{"unsigned integer 8", "256", `option x: "256" is not a number from 0 to 255`},
		{"integer 16", "-32769", `option x: "-32769" is not a number from -32768 to 32767`},
		{"boolean", "maybe", `option x: "maybe" is not a switch; use true or false`},
		{"{ ip-address, unsigned integer 8 }", "10.0.0.1", `option x: has 1 of 2 parts; write all of them`},
		{"{ ip-address, unsigned integer 8 }", "10.0.0.1 1 2", `option x: "2" is one part too many`},
		{"domain-name", "a..b", `option x: domain name "a..b" has a part with 0 characters; 1 to 63 are allowed`},
		{"domain-name", strings.Repeat("a", 64), `option x: domain name "` + strings.Repeat("a", 64) + `" has a part with 64 characters; 1 to 63 are allowed`},
		{"array of ip-address", "", `option x: has no value; give one`},
		{"{ unsigned integer 8, text }", `0 "PXE`, `option x: a quote is opened and not closed; add the second "`},
		{"duration", "soon", `option x: "soon" is not a number of seconds from 0 to 4294967295, nor infinite`},
		{"text", strings.Repeat("a", 65536), "option x: has 65536 bytes; 65535 is the most"},
	} {
		var values []string
		if c.values != "" {
			values = strings.Split(c.values, "|")
		}
		if _, err := define(t, c.form).Parse(values...); err == nil || err.Error() != c.want {
			t.Errorf("%s %.40q: got %v, want %s", c.form, values, err, c.want)
		}
	}
}

func TestDeclarationsAreThoseOfDhcpd(t *testing.T) {
	r := option.NewRegistry(option.DHCP)
	for _, form := range []string{"", "array of", "array of text", "array of array of text", "integer 7", "integer", "unsigned text", "{ text, integer 8 }",
		"{ integer 8 integer 8 }", "{ integer 8", "encapsulate", "ip-address x", "array of { integer 8, text }", "domain-list compressed x", "widget"} {
		if kind, err := option.ParseType(form); err == nil {
			t.Errorf("%q is taken as %+v", form, kind)
		}
	}
	kind, err := option.ParseType("encapsulate nowhere")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a":     "option a: there is no option space nowhere; declare it first",
		"b.c":   "there is no option space b",
		"fqdn.": "option fqdn.: there is no option space nowhere; declare it first",
	} {
		if _, err := r.Define(name, 224, kind); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	if _, err := r.Define("x", 256, option.Type{Fields: []option.Field{{}}}); err == nil {
		t.Error("code 256 is taken")
	}
	for _, w := range [][2]int{{3, 1}, {1, 4}, {0, 0}} {
		if _, err := r.AddSpace(fmt.Sprint(w), w[0], w[1]); err == nil {
			t.Errorf("widths %v are taken", w)
		}
	}
	if _, err := r.AddSpace("agent", 1, 1); err == nil {
		t.Error("a space is declared twice")
	}
}

func TestAnOptionIsFoundByNameOrNumberAndMisspellingsAreHelped(t *testing.T) {
	r := option.NewRegistry(option.DHCP)
	for name, want := range map[string]string{"routers": "routers", "3": "routers", "agent.circuit-id": "agent.circuit-id", "agent.2": "agent.remote-id", "dhcp6.name-servers": "dhcp6.name-servers", "server.filename": "server.filename"} {
		if d, err := r.Lookup(name); err != nil || d.String() != want {
			t.Errorf("%s is %v (%v), want %s", name, d, err, want)
		}
	}
	for name, want := range map[string]string{
		"router":            `option router is unknown; did you mean "routers"?`,
		"dhcp6.name-server": `option dhcp6.name-server is unknown; did you mean "dhcp6.name-servers"?`,
		"whatever1":         "option whatever1 is unknown; declare it with its code and type",
		"224":               "option 224 has no type; declare it",
		"ipxe.efi":          "option ipxe.efi is unknown: there is no option space ipxe",
	} {
		if _, err := r.Lookup(name); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	six := option.NewRegistry(option.DHCP6)
	if d, err := six.Lookup("bootfile-url"); err != nil || d.Code != 59 {
		t.Error("bootfile-url of DHCPv6:", d, err)
	}
}

func TestOptionsInsideOfOptionsAreFound(t *testing.T) {
	r := option.NewRegistry(option.DHCP)
	find := func(name, holder string, code uint8) string {
		t.Helper()
		d, err := r.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		value, there := r.PathTo(d).Find(option.FromMap(map[uint8][]byte{code: []byte(holder)}))
		if !there {
			return "absent"
		}
		return fmt.Sprintf("%x", value)
	}
	for _, c := range []struct {
		name   string
		code   uint8
		holder string
		want   string
	}{
		{"agent.remote-id", 82, "\x01\x02ab\x02\x01c", "63"},
		{"agent.remote-id", 82, "\x01\x09ab\x02\x01c", "absent"},
		{"agent.remote-id", 82, "\x02", "absent"},
		{"agent.remote-id", 82, "", "absent"},
		{"agent.remote-id", 82, "\x00\x02\x01c", "absent"},
		{"fqdn.fqdn", 81, "\x04\x00\x00\x01a\x01b\x00", "612e62"},
		{"fqdn.hostname", 81, "\x01\x00\x00a.b", "61"},
		{"fqdn.server-update", 81, "\x01\x00\x00", "01"},
		{"fqdn.fqdn", 81, "\x04\x00\x00\x3fa", "absent"},
		{"fqdn.fqdn", 81, "\x04", "absent"},
		{"vendor.isc", 125, "\x00\x00\x09\xbf\x03abc", "616263"},
		{"isc.media", 125, "\x00\x00\x09\xbf\x05\x00\x01\x00\x01x", "78"},
		{"dhcp6.name-servers", 23, "x", "absent"},
	} {
		if got := find(c.name, c.holder, c.code); got != c.want {
			t.Errorf("%s in %q is %s, want %s", c.name, c.holder, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	forms := []string{"ip-address", "array of { ip-address, unsigned integer 8 }", "domain-list compressed", "domain-name", "text", "string",
		"{ unsigned integer 16, array of signed integer 32 }", "array of ip6-address", "duration", "boolean", "{ boolean, optional text }", "domain-list"}
	definitions := make([]*option.Definition, len(forms))
	for i, form := range forms {
		definitions[i] = define(f, form)
		f.Add(uint8(i), []byte("\x03abc\x00\xc0\x00\x01"))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		d := definitions[int(which)%len(definitions)]
		text := d.Text(b)
		if strings.ContainsAny(text, "\n\x00\x1b") {
			t.Errorf("%q would break a log", text)
		}
		// What Text shows of a list or a record reads back to the same bytes.
		kind := d.Type.Fields[0].Kind
		if kind == option.Text || kind == option.String || kind == option.DomainName || kind == option.DomainList || len(d.Type.Fields) > 1 && d.Type.Fields[1].Kind == option.Text {
			return
		}
		if strings.HasPrefix(text, "bytes ") {
			return // they have not the form of the type
		}
		again, err := d.Parse(strings.Split(text, ", ")...)
		if err == nil && !bytes.Equal(again, b) && kind != option.Boolean {
			t.Errorf("%s %x is shown as %s, and that is %x", d.Name, b, text, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("array of { ip-address, unsigned integer 8 }", "10.0.0.1 8, 10.0.0.2 9")
	f.Add("{ unsigned integer 8, text }", `0 "PXE menu"`)
	f.Add("domain-list compressed", "a.b, c.b")
	f.Add("encapsulate agent", "01:02")
	f.Fuzz(func(t *testing.T, form, value string) {
		kind, err := option.ParseType(form)
		if err != nil {
			return
		}
		d, err := option.NewRegistry(option.DHCP).Define("x", 224, kind)
		if err != nil {
			return
		}
		b, err := d.Parse(value)
		if err != nil {
			return
		}
		d.Text(b)
	})
}

func FuzzFind(f *testing.F) {
	r := option.NewRegistry(option.DHCP)
	var paths []option.Path
	for _, name := range []string{"agent.remote-id", "fqdn.domainname", "fqdn.rcode2", "isc.media", "vendor.isc", "nwip.autoretries"} {
		d, err := r.Lookup(name)
		if err != nil {
			f.Fatal(err)
		}
		paths = append(paths, r.PathTo(d))
	}
	f.Add([]byte("\x01\x02ab\x02\x01c"))
	f.Add([]byte("\x04\x00\x00\x01a\x01b\x00"))
	f.Add([]byte("\x00\x00\x09\xbf\x05\x00\x01\x00\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := option.FromMap(map[uint8][]byte{63: b, 81: b, 82: b, 125: b})
		for _, p := range paths {
			if v, _ := p.Find(s); len(v) > len(b)+255 {
				t.Errorf("%d bytes in %d", len(v), len(b))
			}
		}
	})
}
