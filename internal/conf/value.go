package conf

import "go.yaml.in/yaml/v3"

// Custom is a type that takes more than one shape in YAML, such as a value or a list of them.
type Custom interface {
	DecodeConf(v Value)
}

// Value is a part of the file on its way into a Custom.
type Value struct {
	Pos
	d     *decoder
	node  *yaml.Node
	depth int
}

// IsList tells a list from a single value.
func (v Value) IsList() bool { return v.node.Kind == yaml.SequenceNode }

// IsMap tells keys with values from a single value.
func (v Value) IsMap() bool { return v.node.Kind == yaml.MappingNode }

// Text is the value as written, if it is a single one.
func (v Value) Text() (string, bool) {
	return v.node.Value, v.node.Kind == yaml.ScalarNode && v.node.Tag != "!!null"
}

// Into decodes the value into what ptr points to, strictly; mistakes are noted.
func (v Value) Into(ptr any) { v.d.into(v.node, ptr, v.depth+1) }

// FailAt notes a mistake at another place, such as the value's key.
func (v Value) FailAt(at Pos, format string, args ...any) { v.d.problems.Add(at, format, args...) }

// Fail notes a mistake at the value.
func (v Value) Fail(format string, args ...any) { v.d.problems.Add(v.Pos, format, args...) }

// Items are the elements of a list, or the value itself where a list of one was meant.
func (v Value) Items() []Value {
	if !v.IsList() {
		return []Value{v}
	}
	items := make([]Value, len(v.node.Content))
	for i, n := range v.node.Content {
		items[i] = v.d.value(n, v.depth+1)
	}
	return items
}

// Pairs calls f with every key and value of a mapping, in the order of the file.
func (v Value) Pairs(f func(key string, keyPos Pos, value Value)) {
	for _, p := range v.d.pairs(v.node, v.depth) {
		f(p.key.Value, v.d.pos(p.key), v.d.value(p.value, v.depth+1))
	}
}

// List accepts one value or a list of them.
type List[T any] []T

// DecodeConf implements Custom.
func (l *List[T]) DecodeConf(v Value) {
	items := v.Items()
	if len(items) == 0 {
		v.Fail("must have at least one item; add one or remove the key")
		return
	}
	*l = make(List[T], len(items))
	for i, item := range items {
		item.Into(&(*l)[i])
	}
}

// At is a value that remembers where it stood.
type At[T any] struct {
	Pos
	V T
}

// DecodeConf implements Custom.
func (a *At[T]) DecodeConf(v Value) {
	a.Pos = v.Pos
	v.Into(&a.V)
}

// Any is a value that nobody looks at.
type Any struct{}

// DecodeConf implements Custom.
func (*Any) DecodeConf(Value) {}
