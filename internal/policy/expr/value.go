package expr

import (
	"net/netip"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// ReadValue compiles what stands behind the name of an option in dhcpd.conf, up to the semicolon, which stays:
// "10.0.0.1, 10.0.0.2", or "= concat(...)".
func ReadValue(l *Lexer, d *option.Definition, w Words) (*Expr, error) {
	if l.Peek().Is("=") {
		l.Next()
		return ReadData(l, w)
	}
	start, before := l.Peek(), len(l.problems)
	items := readItems(l)
	if problems := l.problems[before:]; len(problems) > 0 {
		return nil, problems
	}
	b, err := w.encode(d, items)
	if err != nil {
		return nil, conf.Problems{{Pos: start.Pos, Text: err.Error()}}
	}
	x := Constant(b)
	x.node.pos, x.text = start.Pos, l.text[start.from:l.end]
	return x, nil
}

// readItems reads words up to a semicolon or a brace. Tokens without a blank between them are one word: an address.
func readItems(l *Lexer) (items [][]option.Word) {
	var item []option.Word
	end := -1 // of the word before
	for t := l.Peek(); t.Kind != EOF && !t.Is(";") && !t.Is("{") && !t.Is("}"); t = l.Peek() {
		l.Next()
		switch last := len(item) - 1; {
		case t.Is(","):
			items, item, end = append(items, item), nil, -1
			continue
		case t.Kind == String:
			item, end = append(item, option.Word{Text: t.Text, Quoted: true}), -1
			continue
		case t.from == end:
			item[last].Text += t.Text
		default:
			item = append(item, option.Word{Text: t.Text})
		}
		end = t.to
	}
	if item != nil {
		items = append(items, item)
	}
	return items
}

// encode looks names up where the option has addresses.
func (w Words) encode(d *option.Definition, items [][]option.Word) ([]byte, error) {
	if w.Resolve == nil {
		return d.Encode(items...)
	}
	var resolved [][]option.Word
	for _, item := range items {
		alone := len(item) == 1 && len(d.Type.Fields) == 1
		for i, word := range item {
			if d.Type.FieldAt(i).Kind != option.Address || word.Quoted {
				continue
			}
			if _, err := netip.ParseAddr(word.Text); err == nil {
				continue
			}
			addresses, err := w.Resolve(word.Text)
			if err != nil {
				return nil, err
			}
			item[i].Text = addresses[0].String()
			for _, a := range addresses[1:] {
				if alone && d.Type.Array {
					resolved = append(resolved, []option.Word{{Text: a.String()}})
				}
			}
		}
		resolved = append(resolved, item)
	}
	return d.Encode(resolved...)
}
