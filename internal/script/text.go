package script

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is free text that a client sent. Printing it, by whatever verb, gives its escaped form; comparisons see it as
// it came.
//
// iPXE has no way to quote (src/core/exec.c, src/image/script.c): a line is cut into words at white space, a word that
// is ||, && or ; ends a command, one that begins with # ends the line, one that begins with - is an option, a line
// that ends with a backslash goes on, one that begins with a colon is a label, and ${...} is expanded in each word. So
// everything but letters, digits and ._~- is percent-encoded, byte by byte. A server that gets it in a URL decodes it.
type Text string

const upperHex = "0123456789ABCDEF"

// String is one word without a meaning of its own, or nothing.
func (t Text) String() string {
	var b strings.Builder
	for i := range len(t) {
		c := t[i]
		if plain(c) && (i > 0 || c != '-') {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
	}
	return b.String()
}

// GoString keeps %#v from showing the raw text.
func (t Text) GoString() string { return t.String() }

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._~-", c) >= 0
}

// maxText is the longest text that is taken from a client, in bytes: no name, serial number or product has more.
const maxText = 255

// claim is a client's text, or why it is not taken. What is refused counts as not sent. A text of dots would go up in a path,
// where nothing can be escaped: servers decode %2E before they look.
func claim(s string) (Text, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > maxText:
		return "", fmt.Errorf("has %d bytes, more than %d", len(s), maxText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("has bytes that are no text")
	case s != "" && strings.Trim(s, "./\\") == "":
		return "", fmt.Errorf("is no name but a path")
	}
	return Text(s), nil
}

// checkValue tells why a text of the operator's cannot stand anywhere in a script. It may have several words.
func checkValue(s string) error {
	switch {
	case len(s) > maxValue:
		return fmt.Errorf("has %d bytes; the most is %d: put long texts into the template", len(s), maxValue)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("has a line break or another control character, which would end the script's line; write several values, as a list")
	case strings.Contains(s, "${") || strings.HasSuffix(s, "$"):
		return fmt.Errorf("has ${, which iPXE would expand; put that into the template")
	case strings.HasSuffix(s, `\`):
		return fmt.Errorf("ends with a backslash, with which iPXE joins two lines; remove it")
	}
	for _, word := range strings.Fields(s) {
		if word == "||" || word == "&&" || word == ";" || word[0] == '#' {
			return fmt.Errorf("has the word %q, which ends a command in iPXE; put commands into the template", word)
		}
	}
	return nil
}

// maxValue bounds a value in machines.yml, in bytes.
const maxValue = 4096

// raw is any template value as text, before it is escaped.
func raw(v any) string {
	switch v := v.(type) {
	case Text:
		return string(v)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// query is a text as a value in a URL's query, whoever sent it.
func query(v any) string { return strings.ReplaceAll(url.QueryEscape(raw(v)), "+", "%20") }
