// Package script renders boot scripts for iPXE: which script does this machine get, and what stands in it. A directory
// of scripts and of values for single machines is read as a whole, and what was read does not change; rendering is a
// function of it and of the machine.
package script

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/scripts"
)

// Names that have a meaning.
const (
	Entry     = "boot.ipxe"      // what a machine gets here is decided by machines.yml
	First     = "autoexec.ipxe"  // what iPXE runs before anybody told it anything, embedded scripts among it
	Bootstrap = "bootstrap.ipxe" // asks a machine who it is, and then for Entry
	Default   = "default.ipxe"   // for machines that machines.yml does not know
)

// Bounds, so that a wrong directory or template shows itself.
const (
	maxFiles  = 1000
	maxSource = 1 << 20   // bytes of a file
	MaxScript = 256 << 10 // bytes of what a template renders
)

const (
	scriptSuffix   = ".ipxe"
	templateSuffix = ".ipxe.tmpl"
)

// Library is a directory of scripts as it was read.
type Library struct {
	scripts   map[string]source // by the name that a client asks for
	templates *template.Template
	known     *known
}

// source is one file.
type source struct {
	path     string // empty: one of ours
	text     []byte
	template bool
}

// Script is what one machine gets.
type Script struct {
	Name    string // of the script in the library, which is not always the name asked for
	Text    []byte
	Because string // the line of machines.yml that decided; empty: the name alone
}

// Load reads the directory. The error, if any, is a conf.Problems with every mistake of every file.
func Load(dir string) (*Library, error) {
	l := &Library{
		scripts:   map[string]source{},
		templates: template.New("").Funcs(functions()).Option("missingkey=error"),
	}
	var problems conf.Problems
	l.shipped()
	l.read(dir, &problems)
	l.parse(&problems)

	var f machinesFile
	path := filepath.Join(dir, MachinesFile)
	var mistakes conf.Problems
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		if err := conf.Load(path, &f); err != nil && !errors.As(err, &mistakes) {
			return nil, err
		}
	}
	var later conf.Problems
	l.known = f.compile(&later)
	l.references(&f, &later)
	problems = append(problems, mistakes.With(later)...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return l, nil
}

// shipped are the scripts that every site has.
func (l *Library) shipped() {
	entries, err := scripts.Shipped.ReadDir(".")
	for _, e := range entries {
		var text []byte
		if text, err = scripts.Shipped.ReadFile(e.Name()); err != nil {
			break
		}
		name, isTemplate := served(e.Name())
		l.scripts[name] = source{text: text, template: isTemplate}
	}
	if err != nil {
		panic(err) // an embedded file cannot fail to be read
	}
}

// served is the name under which a file of the directory is asked for; empty: it is no script.
func served(file string) (name string, isTemplate bool) {
	switch {
	case strings.HasPrefix(file, "."):
		return "", false
	case strings.HasSuffix(file, templateSuffix):
		return strings.TrimSuffix(file, ".tmpl"), true
	case strings.HasSuffix(file, scriptSuffix):
		return file, false
	}
	return "", false
}

// read takes the site's files, which come before ours of the same name.
func (l *Library) read(dir string, problems *conf.Problems) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		problems.Add(conf.Pos{File: dir}, "the directory of scripts cannot be read: %v; correct its name or permissions", errors.Unwrap(err))
		return
	}
	if len(entries) > maxFiles {
		problems.Add(conf.Pos{File: dir}, "has %d files, more than %d; is this the directory of scripts?", len(entries), maxFiles)
		return
	}
	seen := map[string]string{}
	for _, e := range entries {
		name, isTemplate := served(e.Name())
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if name == "" || err == nil && info.IsDir() {
			continue
		}
		var text []byte
		switch {
		case err != nil: // a dangling link
		case !info.Mode().IsRegular():
			err = errors.New("it is not a regular file")
		case info.Size() > maxSource:
			err = fmt.Errorf("it has %d bytes, more than %d", info.Size(), maxSource)
		default:
			text, err = os.ReadFile(path)
		}
		at := conf.Pos{File: path}
		if err != nil {
			problems.Add(at, "cannot be taken: %v; correct or remove it", cause(err))
			continue
		}
		if before, twice := seen[name]; twice {
			problems.Add(at, "is served as %s, and so is %s; keep one of the two", name, before)
			continue
		}
		seen[name] = e.Name()
		if !isTemplate && !strings.HasPrefix(name, "_") && !isScript(text) {
			problems.Add(conf.Pos{File: path, Line: 1}, "does not begin with the line #!ipxe, so iPXE would not run it; add the line")
		}
		l.scripts[name] = source{path: path, text: text, template: isTemplate}
	}
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// isScript tells what iPXE takes for a script: image/script.c wants white space behind the word.
func isScript(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte("#!ipxe"))
	return ok && len(rest) > 0 && strings.IndexByte(" \t\r\n", rest[0]) >= 0
}

// parse makes templates of the templates' texts.
func (l *Library) parse(problems *conf.Problems) {
	for _, name := range l.names() {
		s := l.scripts[name]
		if !s.template {
			continue
		}
		if _, err := l.templates.New(name).Parse(string(s.text)); err != nil {
			at, text := l.place(err, name)
			problems.Add(at, "%s; correct the template", text)
		}
	}
	if len(*problems) == 0 {
		l.walk(problems)
	}
}

func (l *Library) names() []string {
	names := make([]string, 0, len(l.scripts))
	for name := range l.scripts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// templateError is "template: NAME:LINE:COLUMN: text"; the column is not always there.
var templateError = regexp.MustCompile(`(?s)^template: ([^:]+):(\d+):(?:\d+:)? (?:executing "[^"]*" )?(.*)`)

// place finds the file and line that an error of text/template speaks of, and what it says.
func (l *Library) place(err error, name string) (at conf.Pos, text string) {
	text = err.Error()
	if m := templateError.FindStringSubmatch(text); m != nil {
		name, text = m[1], m[3]
		at.Line, _ = strconv.Atoi(m[2])
	}
	at.File = l.file(name)
	return at, text
}

// file is where a script stands; one of ours has its bare name.
func (l *Library) file(name string) string {
	switch s := l.scripts[name]; {
	case s.path != "":
		return s.path
	case s.template:
		return name + ".tmpl"
	}
	return name
}

// references looks for the scripts that machines.yml names.
func (l *Library) references(f *machinesFile, problems *conf.Problems) {
	look := func(s conf.At[string]) {
		if _, ok := l.scripts[s.V]; s.V != "" && !ok {
			problems.Add(s.Pos, "script %q is not in the directory; %s", s.V, conf.Suggest(s.V, l.names()))
		}
	}
	look(f.Default)
	for i := range f.Machines {
		look(f.Machines[i].Script)
	}
}

// Has tells whether a name is served. Files that begin with _ are only there for other templates.
func (l *Library) Has(name string) bool {
	_, ok := l.scripts[name]
	return ok && !strings.HasPrefix(name, "_") || name == Entry || name == First
}
