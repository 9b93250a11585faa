package expr

import (
	"fmt"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// Kind is what sort of token it is.
type Kind uint8

// The kinds of dhcpd's tokens. What begins with a digit is a Number as long as it is decimal, a Hex while it could be
// hexadecimal digits (or 0x and more), and a Name otherwise, so that 52:54:00, 0x10 and host names that begin with a
// digit all have their place. dhcpd does not look at the first letter of what begins with one: v1 is a Hex, and a bad
// one, where a variable could stand.
const (
	EOF    Kind = iota
	Name        // letters, digits, - and _
	Number      // decimal digits, perhaps with a - in front
	Hex         // hexadecimal digits that could also be a name
	String      // what stood in quotes, its escapes undone
	Punct       // one character
)

// Token is one word of dhcpd's language.
type Token struct {
	Kind Kind
	Text string
	Pos  conf.Pos

	from, to int // where it stands in the text
}

// Is tells whether the token is this word, in upper or lower case, or this character.
func (t Token) Is(word string) bool {
	return t.Kind != String && t.Kind != EOF && strings.EqualFold(t.Text, word)
}

// String is the token as a message shows it.
func (t Token) String() string {
	if t.Kind == EOF {
		return "the end"
	}
	return fmt.Sprintf("%q", t.Text)
}

// Lexer takes text in dhcpd's language apart. Comments, from # to the end of a line, are left out.
type Lexer struct {
	text     string
	at       int // of the next byte
	pos      conf.Pos
	peeked   []Token
	end      int // of the token that was taken last
	problems conf.Problems
}

// NewLexer reads text that begins at pos. Where pos has no column, neither have the tokens.
func NewLexer(pos conf.Pos, text string) *Lexer { return &Lexer{text: text, pos: pos} }

// Peek is the next token, which stays.
func (l *Lexer) Peek() Token { return l.ahead(0) }

// ahead is the token that comes n after the next.
func (l *Lexer) ahead(n int) Token {
	for len(l.peeked) <= n {
		l.peeked = append(l.peeked, l.read())
	}
	return l.peeked[n]
}

// Next takes the next token. At the end it is EOF again and again.
func (l *Lexer) Next() Token {
	t := l.Peek()
	l.peeked, l.end = l.peeked[1:], t.to
	return t
}

func (l *Lexer) read() Token {
	l.skip()
	t := Token{Pos: l.pos, from: l.at}
	if l.at == len(l.text) {
		t.to = l.at
		return t
	}
	switch c := l.text[l.at]; {
	case c == '"':
		t.Kind = String
		t.Text = l.quoted(t.Pos)
	case digit(c) || c == '-':
		t.Kind = l.number()
		t.Text = l.text[t.from:l.at]
	case nameByte(c) && c != '_':
		t.Kind = Hex
		for l.step(); l.at < len(l.text) && nameByte(l.text[l.at]); l.step() {
			if !hexDigit(l.text[l.at]) {
				t.Kind = Name
			}
		}
		t.Text = l.text[t.from:l.at]
	default:
		l.step()
		t.Kind, t.Text = Punct, l.text[t.from:l.at]
	}
	t.to = l.at
	return t
}

// step goes on by a byte and counts lines and columns.
func (l *Lexer) step() {
	counted := l.pos.Column > 0
	switch {
	case l.text[l.at] == '\n':
		l.pos.Line++
		if counted {
			l.pos.Column = 1
		}
	case counted:
		l.pos.Column++
	}
	l.at++
}

func (l *Lexer) skip() {
	for l.at < len(l.text) {
		switch l.text[l.at] {
		case ' ', '\t', '\n', '\r', '\v', '\f':
		case '#':
			for l.at < len(l.text) && l.text[l.at] != '\n' {
				l.step()
			}
			continue
		default:
			return
		}
		l.step()
	}
}

// number reads on as dhcpd does: a decimal number becomes a hexadecimal one, and that a name, at the first character
// that asks for it. A 0x makes a name that is a number again when a hexadecimal digit follows.
func (l *Lexer) number() Kind {
	from, kind := l.at, Number
	l.step()
	for l.at < len(l.text) && nameByte(l.text[l.at]) {
		switch c := l.text[l.at]; {
		case kind == Number && digit(c):
		case kind != Name && hexDigit(c):
			kind = Hex
		case kind == Name && l.at-from == 2 && hexDigit(c) && strings.EqualFold(l.text[from:l.at], "0x"):
			kind = Hex
		default:
			kind = Name
		}
		l.step()
	}
	if l.text[from:l.at] == "-" {
		return Punct
	}
	return kind
}

// quoted reads a string and undoes its escapes: \t \r \n \b, \ooo in octal, \xhh, and \c for any other c.
func (l *Lexer) quoted(start conf.Pos) string {
	var b strings.Builder
	l.step()
	for l.at < len(l.text) {
		switch c := l.text[l.at]; c {
		case '"':
			l.step()
			return b.String()
		case '\\':
			l.step()
			l.escape(&b)
		default:
			b.WriteByte(c)
			l.step()
		}
	}
	l.problems.Add(start, "a string begins here and does not end; add the second \"")
	return b.String()
}

func (l *Lexer) escape(b *strings.Builder) {
	if l.at == len(l.text) {
		return // the missing quote is reported
	}
	at, c := l.pos, l.text[l.at]
	l.step()
	switch {
	case c == 'x':
		l.digits(b, at, 16, 2, 0)
	case c >= '0' && c <= '3':
		l.digits(b, at, 8, 2, int(c-'0'))
	case strings.IndexByte("trnb", c) >= 0:
		b.WriteByte("\t\r\n\b"[strings.IndexByte("trnb", c)])
	default:
		b.WriteByte(c)
	}
}

func (l *Lexer) digits(b *strings.Builder, at conf.Pos, base, n, value int) {
	for i := range n {
		digit := -1
		if l.at < len(l.text) {
			digit = strings.IndexByte("0123456789abcdef"[:base], l.text[l.at]|lowerBit(l.text[l.at]))
		}
		if digit < 0 {
			if i > 0 || base == 16 || value > 0 {
				l.problems.Add(at, "an escape in a string has three octal digits, or x and two hexadecimal ones")
			}
			b.WriteByte(byte(value)) // \0 alone is a NUL
			return
		}
		value = value*base + digit
		l.step()
	}
	b.WriteByte(byte(value))
}

func lowerBit(c byte) byte {
	if c >= 'A' && c <= 'F' {
		return 0x20
	}
	return 0
}

func digit(c byte) bool    { return c >= '0' && c <= '9' }
func hexDigit(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
func nameByte(c byte) bool {
	return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '_'
}
