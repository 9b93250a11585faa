// Package conf reads the YAML files that people write. It is strict (an unknown key is a mistake, not a comment), it
// remembers where every value stood, and it reports all mistakes of a file in one run.
//
// A file is described by plain structs with `yaml:"key"` tags. A leaf is a string, bool, integer or any
// encoding.TextUnmarshaler; its error text is shown behind the value's position.
package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// maxFileSize bounds what Load reads: 100,000 hosts take about 10 MiB.
const maxFileSize = 256 << 20

// Pos is a place in a file. A struct field of this type without a tag is set to where its mapping begins.
type Pos struct {
	File   string // as the operator named it
	Line   int    // 1 and up; 0: the file as a whole
	Column int    // 1 and up, in bytes; 0: somewhere in the line
}

// String is "file:line" or "file:line:column", the forms that editors and terminals make clickable.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Problem is one mistake: where, what, and what to do about it.
type Problem struct {
	Pos
	Text string

	fatal   bool // nothing behind it was read
	absence bool // something is missing, perhaps because it could not be read
}

// Error is "file:line: fact; remedy".
func (p Problem) Error() string { return p.Pos.String() + ": " + p.Text }

// Problems are all mistakes of one run, in the order of the file.
type Problems []Problem

// Error has a line for each problem.
func (ps Problems) Error() string {
	var b bytes.Buffer
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Add notes a problem at pos.
func (ps *Problems) Add(pos Pos, format string, args ...any) {
	*ps = append(*ps, Problem{Pos: pos, Text: fmt.Sprintf(format, args...)})
}

// AddAbsence notes that something is missing at pos. See With.
func (ps *Problems) AddAbsence(pos Pos, format string, args ...any) {
	*ps = append(*ps, Problem{Pos: pos, Text: fmt.Sprintf(format, args...), absence: true})
}

// Err is nil when there is no problem.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Located tells whether every problem has a line: the file could be taken apart, and what was right in it is known.
func (ps Problems) Located() bool {
	return !slices.ContainsFunc(ps, func(p Problem) bool { return p.Line == 0 || p.fatal })
}

// With are the problems of both, in the order of the file. Where decoding has already complained about a line, what
// later stages miss there is only a consequence, and left out.
func (ps Problems) With(later Problems) Problems {
	all := slices.Clone(ps)
	for _, p := range later {
		if !p.absence || !slices.ContainsFunc(ps, func(q Problem) bool { return q.Pos == p.Pos }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Problem) int { return a.Line - b.Line })
	return all
}

// Load decodes the file at path into the struct that v points to. The error, if any, is a Problems.
func Load(path string, v any) error {
	data, err := readFile(path)
	if err != nil {
		return Problems{{Pos: Pos{File: path}, Text: explainOpen(err), fatal: true}}
	}
	return Decode(path, data, v)
}

// Open opens a regular file for reading. What else may stand there is refused at once: opening a FIFO would wait for its
// writer.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		f.Close()
		return nil, errors.Join(err, errNoFile)
	}
	return f, nil
}

var errNoFile = errors.New("is no regular file; name one")

func readFile(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(data) > maxFileSize {
		err = fmt.Errorf("is larger than %d MiB; split it", maxFileSize>>20)
	}
	return data, err
}

func explainOpen(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		if wd, e := os.Getwd(); e == nil {
			return fmt.Sprintf("no such file (looked in %s); create it or correct the name", wd)
		}
		return "no such file; create it or correct the name"
	case errors.Is(err, os.ErrPermission):
		return "may not be read by this user; correct its permissions (chmod, chown)"
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("cannot be read: %v", pe.Err)
	}
	return err.Error()
}

// Decode decodes data into the struct that v points to; file names it in messages. The error, if any, is a Problems.
func Decode(file string, data []byte, v any) error {
	d := &decoder{file: file, limit: 2*len(data) + maxAliased}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil // nothing but comments: every key keeps its default
	case err != nil:
		return Problems{d.syntax(err)}
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		if err != nil {
			return Problems{d.syntax(err)}
		}
		return Problems{{Pos: Pos{File: file}, Text: "has several YAML documents; keep one and remove the `---` lines", fatal: true}}
	}
	d.into(doc.Content[0], v, 0)
	return d.problems.Err()
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// syntax gives the library's message our form; it starts with "yaml: line N: ".
func (d *decoder) syntax(err error) Problem {
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return Problem{Pos: Pos{File: d.file, Line: line}, Text: "is not YAML: " + text + "; look at the indentation, quotes and brackets around this line", fatal: true}
}

// Resolve is path as seen from the directory of the file that names it.
func Resolve(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}
