package script_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/coredhcp-netboot/suite/internal/script"
)

// Whatever a query is, the machine that it makes has a name for logs that is one word, and facts that were bounded.
func FuzzAnyQueryIsReadSafely(f *testing.F) {
	for _, q := range []string{"mac=52-54-00-aa-bb-01&uuid=4c4c4544-0042-3510-8054-b4c04f564431", "serial=a%20b&serial=c", "%zz", "mac=%", "a;b", "ip=::1%25x", "arch=efi-", "&&==&"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		m, refused := script.Ask(query)
		for _, text := range append(refused, m.String(), m.Arch) {
			if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r > '~' }) || len(text) > 1000 {
				t.Errorf("%q makes %q", query, text)
			}
		}
		if strings.ContainsAny(m.String(), " \t") {
			t.Errorf("%q is named %q", query, m.String())
		}
		for _, text := range []script.Text{m.Serial, m.Asset, m.Hostname, m.Manufacturer, m.Product} {
			if len(text) > 255 {
				t.Errorf("%q leaves %d bytes", query, len(text))
			}
		}
	})
}
