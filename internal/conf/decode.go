package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxDepth    = 64      // of nesting: nobody writes more, an alias that contains itself does
	maxAliased  = 100_000 // values that aliases may add to a file: ends aliases of aliases
	maxProblems = 200     // reported in one run: a wrong file shows itself sooner
)

type decoder struct {
	file     string
	problems Problems
	visited  int  // values so far
	limit    int  // of visited: no value is shorter than a byte
	tooMany  bool // and that was said
}

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{File: d.file, Line: n.Line} }

func (d *decoder) value(n *yaml.Node, depth int) Value {
	for hops := 0; n.Kind == yaml.AliasNode && hops < maxDepth; hops++ {
		n = n.Alias
	}
	return Value{d.pos(n), d, n, depth}
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.problems.Add(d.pos(n), format, args...)
}

var posType = reflect.TypeFor[Pos]()

func (d *decoder) into(n *yaml.Node, ptr any, depth int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.visited++
	switch {
	case len(d.problems) > maxProblems:
		return
	case len(d.problems) == maxProblems:
		d.problems = append(d.problems, Problem{Pos: d.pos(n), Text: "more mistakes may follow; mend those above first", fatal: true})
		return
	case depth > maxDepth:
		d.fail(n, "is nested more than %d levels deep; does an alias contain itself?", maxDepth)
		return
	case d.unfoldsTooFar(n):
		return
	}
	switch p := ptr.(type) {
	case Custom:
		p.DecodeConf(d.value(n, depth))
		return
	case encoding.TextUnmarshaler:
		if text, ok := d.scalar(n, "one value"); ok {
			if err := p.UnmarshalText([]byte(text)); err != nil {
				d.fail(n, "%v", err)
			}
		}
		return
	}
	v := reflect.ValueOf(ptr).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.into(n, v.Interface(), depth)
	case reflect.Struct:
		d.structure(n, v, depth)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fail(n, "must be a list; write [a, b], or one item a line, each behind a dash")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, c := range n.Content {
			d.into(c, v.Index(i).Addr().Interface(), depth+1)
		}
	case reflect.String:
		if text, ok := d.scalar(n, "one text"); ok {
			v.SetString(text)
		}
	case reflect.Bool:
		d.boolean(n, v)
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		d.integer(n, v)
	default:
		panic(fmt.Sprintf("conf: %s cannot be read from YAML", v.Type()))
	}
}

// unfoldsTooFar tells, and says once, that aliases make more of the file than it is.
func (d *decoder) unfoldsTooFar(n *yaml.Node) bool {
	if d.visited <= d.limit {
		return false
	}
	if !d.tooMany {
		d.tooMany = true
		d.fail(n, "the file unfolds to more than %d values; use fewer aliases", d.limit)
	}
	return true
}

func (d *decoder) scalar(n *yaml.Node, want string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(n, "must be %s, not a %s", want, map[yaml.Kind]string{yaml.SequenceNode: "list", yaml.MappingNode: "mapping"}[n.Kind])
		return "", false
	case n.Tag == "!!null":
		d.fail(n, "has no value; give one or remove the key")
		return "", false
	}
	return n.Value, true
}

func (d *decoder) boolean(n *yaml.Node, v reflect.Value) {
	text, ok := d.scalar(n, "true or false")
	switch {
	case !ok:
	case n.Tag == "!!bool":
		v.SetBool(strings.EqualFold(text, "true"))
	default:
		d.fail(n, "%q is not a switch; use true or false", text)
	}
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value) {
	text, ok := d.scalar(n, "one number")
	if !ok {
		return
	}
	bits := v.Type().Bits()
	if v.CanUint() {
		u, err := strconv.ParseUint(text, 0, bits)
		if err != nil {
			d.fail(n, "%q is not a number from 0 to %d", text, uint64(1)<<bits-1)
			return
		}
		v.SetUint(u)
		return
	}
	i, err := strconv.ParseInt(text, 0, bits)
	if err != nil {
		d.fail(n, "%q is not a whole number", text)
		return
	}
	v.SetInt(i)
}

type pair struct{ key, value *yaml.Node }

// pairs are the keys and values of a mapping, those that `<<` merges in last; a key given twice is a mistake.
func (d *decoder) pairs(n *yaml.Node, depth int) []pair {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must be a mapping of keys to values; write {key: value}, or one `key: value` a line")
		return nil
	}
	d.visited += len(n.Content)
	if d.unfoldsTooFar(n) {
		return nil
	}
	if depth > maxDepth {
		d.fail(n, "is merged more than %d levels deep; does an alias contain itself?", maxDepth)
		d.visited, d.tooMany = d.limit+1, true
		return nil
	}
	var own, merged []pair
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch line, seen := first[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			d.fail(k, "a key must be a plain word")
		case k.Tag == "!!merge":
			for _, m := range d.value(v, depth).Items() {
				merged = append(merged, d.pairs(m.node, depth+1)...)
			}
		case seen:
			d.fail(k, "key %q is already given on line %d; remove one of the two", k.Value, line)
		default:
			first[k.Value] = k.Line
			own = append(own, pair{k, v})
		}
	}
	for _, m := range merged {
		if _, seen := first[m.key.Value]; !seen {
			first[m.key.Value] = m.key.Line
			own = append(own, m)
		}
	}
	return own
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, depth int) {
	fields := map[string]reflect.Value{}
	d.fields(v, fields, n)
	for _, p := range d.pairs(n, depth) {
		f, ok := fields[p.key.Value]
		if !ok {
			d.fail(p.key, "unknown key %q; %s", p.key.Value, Suggest(p.key.Value, keys(fields)))
			continue
		}
		before := len(d.problems)
		d.into(p.value, f.Addr().Interface(), depth+1)
		for i := before; i < len(d.problems); i++ { // say which key, where the leaf could not know
			if pr := &d.problems[i]; pr.Line == d.value(p.value, depth).Line && needsKey(pr.Text) {
				pr.Text = p.key.Value + " " + pr.Text
			}
		}
	}
}

// needsKey tells a message that begins with its verb: its subject is the key.
func needsKey(text string) bool {
	return strings.HasPrefix(text, "must ") || strings.HasPrefix(text, "has no value")
}

func (d *decoder) fields(v reflect.Value, into map[string]reflect.Value, n *yaml.Node) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Type == posType:
			v.Field(i).Set(reflect.ValueOf(d.pos(n)))
		case opts == "inline":
			d.fields(v.Field(i), into, n)
		case name != "" && name != "-":
			into[name] = v.Field(i)
		}
	}
}

func keys(fields map[string]reflect.Value) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
