package expr

import (
	"bytes"
	"regexp"
	"regexp/syntax"
)

// match is a regular expression of POSIX's extended kind. It has no value where either side has none. As in C, a NUL
// ends the data.
func (c *compiler) match(n *node) truthFunc {
	fold := n.op == opMatchFold
	data := c.data(n.args[0])
	if n.args[1].op == constData && n.args[1].data != nil {
		re, err := pattern(n.args[1].data, fold)
		if err != nil {
			c.problems.Add(n.args[1].pos, "%s is not a regular expression: %v", n.args[1], err)
			return noTruth
		}
		return func(e *Env) Truth {
			b, ok := data(e)
			if !ok || b == nil {
				return Null
			}
			return truth(re.Match(untilNUL(b)))
		}
	}
	with := c.data(n.args[1])
	return func(e *Env) Truth {
		b, ok := data(e)
		text, also := with(e)
		if !ok || b == nil || !also {
			return Null
		}
		re, err := pattern(text, fold)
		return truth(err == nil && text != nil && re.Match(untilNUL(b)))
	}
}

// maxPattern bounds a regular expression. One may come from a client, with `~= option x`.
const maxPattern = 1024

func pattern(text []byte, fold bool) (*regexp.Regexp, error) {
	flags := syntax.ClassNL | syntax.DotNL | syntax.OneLine
	if fold {
		flags |= syntax.FoldCase
	}
	parsed, err := syntax.Parse(string(untilNUL(text[:min(len(text), maxPattern)])), flags)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(parsed.String())
}

func untilNUL(b []byte) []byte {
	if at := bytes.IndexByte(b, 0); at >= 0 {
		return b[:at]
	}
	return b
}
