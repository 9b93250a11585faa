package script_test

import "strings"

// What iPXE makes of a script, by src/image/script.c, src/core/exec.c and src/core/settings.c: lines, labels, commands,
// words, and the settings that are expanded.

type command struct {
	label   string
	words   []string
	expands int // ${...} in its words
	options int // words that begin with -
	ended   string
}

// understand is the script as iPXE would run it, if every command were run.
func understand(script string) (all []command) {
	script, _, _ = strings.Cut(script, "\x00")
	var line strings.Builder
	for _, part := range strings.SplitAfter(script, "\n") {
		part = strings.TrimSuffix(strings.TrimSuffix(part, "\n"), "\r")
		line.WriteString(part)
		if whole := line.String(); strings.HasSuffix(whole, `\`) {
			line.Reset()
			line.WriteString(whole[:len(whole)-1])
			continue
		}
		all = append(all, commands(line.String())...)
		line.Reset()
	}
	return all
}

// isSpace is C's isspace.
func isSpace(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }

func commands(line string) (all []command) {
	c := command{}
	line = strings.TrimLeftFunc(line, isSpace)
	if rest, ok := strings.CutPrefix(line, ":"); ok {
		c.label, line = rest, ""
		if i := strings.IndexFunc(rest, isSpace); i >= 0 {
			c.label, line = rest[:i], rest[i:]
		}
	}
	for _, word := range strings.FieldsFunc(line, isSpace) {
		switch {
		case word[0] == '#':
			return append(all, c)
		case word == "||", word == "&&", word == ";":
			c.ended = word
			all = append(all, c)
			c = command{}
			continue
		}
		c.words = append(c.words, word)
		if word[0] == '-' {
			c.options++
		}
		c.expands += expansions(word)
	}
	return append(all, c)
}

// expansions counts as expand_settings does: the last ${ before the first }, again and again.
func expansions(word string) (n int) {
	for {
		start, end := -1, -1
		for i := range len(word) {
			if strings.HasPrefix(word[i:], "${") {
				start = i
			}
			if start >= 0 && word[i] == '}' {
				end = i
				break
			}
		}
		if end < 0 {
			return n
		}
		n++
		word = word[:start] + word[end+1:]
	}
}
