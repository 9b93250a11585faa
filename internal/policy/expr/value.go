package expr

import (
	"fmt"
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

// encode is what dhcpd makes of the words: without quotes, bytes are hexadecimal and addresses may be names.
func (w Words) encode(d *option.Definition, items [][]option.Word) ([]byte, error) {
	var all [][]option.Word
	for _, item := range items {
		all = append(all, item)
		for i, word := range item {
			if word.Quoted {
				continue
			}
			switch f := d.Type.FieldAt(i); f.Kind {
			case option.String, option.Encapsulated:
				b, ok := option.ParseHex("0:" + word.Text)
				if !ok {
					return nil, fmt.Errorf("option %s: %q is neither text in quotes nor hexadecimal bytes with colons", d, word.Text)
				}
				item[i] = option.Word{Text: string(b[1:]), Quoted: true}
			case option.Address:
				addresses, err := w.addresses(word.Text)
				if err != nil {
					return nil, fmt.Errorf("option %s: %w", d, err)
				}
				item[i].Text = addresses[0]
				for _, a := range addresses[1:] {
					if d.Type.Array && len(d.Type.Fields) == 1 {
						all = append(all, []option.Word{{Text: a}})
					}
				}
			}
		}
	}
	return d.Encode(all...)
}

// addresses are those that a word stands for: itself, where names are not looked up or it is one.
func (w Words) addresses(word string) ([]string, error) {
	if _, err := netip.ParseAddr(word); err == nil || w.Resolve == nil {
		return []string{word}, nil
	}
	found, err := w.Resolve(word)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(found))
	for i, a := range found {
		list[i] = a.String()
	}
	return list, nil
}
