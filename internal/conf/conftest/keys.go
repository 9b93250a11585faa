// Package conftest is test support for files that package conf reads.
package conftest

import (
	"reflect"
	"strings"
)

// Keys are the keys of T and of what it holds, for tests that look for each in a page or an example.
func Keys[T any]() []string { return keys(reflect.TypeFor[T](), map[reflect.Type]bool{}) }

func keys(t reflect.Type, seen map[reflect.Type]bool) (all []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			all = append(all, name)
		}
		all = append(all, keys(f.Type, seen)...)
	}
	return all
}
