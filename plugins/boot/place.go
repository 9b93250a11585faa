package boot

import (
	"slices"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// PlaceWord is a word of a map that matches what the plugin subnets found.
type PlaceWord struct {
	conf.Pos        // of the rule
	Word     string // subnet or class
	Text     string

	pattern pattern
}

// MatchesAny tells whether the word matches one of the names.
func (w *PlaceWord) MatchesAny(names []string) bool {
	return slices.ContainsFunc(names, w.pattern.matches)
}

// PlaceWords are those of the map at path, as far as it can be read.
func PlaceWords(path string) (words []PlaceWord) {
	var f File
	_ = conf.Load(path, &f) // Check tells its mistakes
	for i := range f.Rules {
		words = append(words, f.Rules[i].Match.placeWords()...)
	}
	return words
}

func (m *Match) placeWords() (words []PlaceWord) {
	for _, p := range m.Subnet {
		words = append(words, PlaceWord{m.Pos, "subnet", p.String(), p})
	}
	for _, p := range m.Class {
		words = append(words, PlaceWord{m.Pos, "class", p.String(), p})
	}
	for _, inner := range slices.Concat(m.Not, m.Any) {
		words = append(words, inner.placeWords()...)
	}
	return words
}
