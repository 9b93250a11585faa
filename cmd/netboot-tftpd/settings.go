package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// file is the configuration file as written.
type file struct {
	Root       conf.List[string] `yaml:"root"`
	TFTP       conf.List[string] `yaml:"tftp"`
	HTTP       conf.List[string] `yaml:"http"`
	HTTPS      conf.List[string] `yaml:"https"`
	Cert       string            `yaml:"cert"`
	Key        string            `yaml:"key"`
	Scripts    string            `yaml:"scripts"`
	Metrics    string            `yaml:"metrics"`
	SinglePort bool              `yaml:"single-port"`
	AnyCase    bool              `yaml:"any-case"`
	Rename     []rename          `yaml:"rename"`
	Personal   conf.List[whose]  `yaml:"personal"`
	Limits     limits            `yaml:"limits"`
}

// rename is one rule for names, such as {match: "^C:/", name: ""}.
type rename struct {
	Match pattern `yaml:"match"`
	Name  string  `yaml:"name"`
}

type limits struct {
	Transfers       uint32 `yaml:"transfers"`
	ClientTransfers uint32 `yaml:"client-transfers"`
	Rate            uint32 `yaml:"rate"`
}

type pattern struct{ *regexp.Regexp }

// UnmarshalText compiles a regular expression.
func (p *pattern) UnmarshalText(b []byte) (err error) {
	if p.Regexp, err = regexp.Compile(string(b)); err != nil {
		return fmt.Errorf("%q is no regular expression: %w; its form is that of Go (RE2)", b, err)
	}
	return nil
}

// whose is what a client's own directory is named after.
type whose string

// UnmarshalText knows the words.
func (w *whose) UnmarshalText(b []byte) error {
	if *w = whose(b); *w != "mac" && *w != "address" {
		return fmt.Errorf("%q names no client; use mac, address or both", b)
	}
	return nil
}

// settings are flags and file as understood.
type settings struct {
	roots, tftp, http, https []string
	cert, key, metrics       string
	scripts                  string // a directory; empty: none
	singlePort, anyCase      bool

	rules  []tftpd.Rule
	own    []whose
	limits limits
	path   string // of the file; empty: there is none
}

// readSettings takes each setting from its flag if given, else from the file if it has the key, else from the flag's default.
func readSettings(flags *pflag.FlagSet) (settings, error) {
	var f file
	path, _ := flags.GetString("config") // these getters fail only for a flag that does not exist
	if path != "" {
		if err := conf.Load(path, &f); err != nil {
			return settings{}, err
		}
		for i, root := range f.Root {
			if root != "" {
				f.Root[i] = conf.Resolve(path, root)
			}
		}
	}
	s := settings{
		roots: list(flags, "root", f.Root), tftp: list(flags, "tftp", f.TFTP), http: list(flags, "http", f.HTTP),
		https: list(flags, "https", f.HTTPS), own: f.Personal, limits: f.Limits, path: path,
	}
	s.scripts, s.metrics = text(flags, "scripts", resolve(path, f.Scripts)), text(flags, "metrics", f.Metrics)
	s.cert, s.key = text(flags, "cert", resolve(path, f.Cert)), text(flags, "key", resolve(path, f.Key))
	s.singlePort, s.anyCase = enabled(flags, "single-port", f.SinglePort), enabled(flags, "any-case", f.AnyCase)
	for _, r := range f.Rename {
		if r.Match.Regexp == nil {
			return settings{}, fmt.Errorf("%s: a rule of rename has no match; write {match: REGEXP, name: NAME}", path)
		}
		s.rules = append(s.rules, tftpd.Rule{Match: r.Match.Regexp, Name: r.Name})
	}
	return s, nil
}

func resolve(file, path string) string {
	if path == "" {
		return ""
	}
	return conf.Resolve(file, path)
}

func text(flags *pflag.FlagSet, name, inFile string) string {
	value, _ := flags.GetString(name)
	if !flags.Changed(name) && inFile != "" {
		return inFile
	}
	return value
}

func enabled(flags *pflag.FlagSet, name string, inFile bool) bool {
	value, _ := flags.GetBool(name)
	if !flags.Changed(name) {
		return inFile
	}
	return value
}

func list(flags *pflag.FlagSet, name string, inFile []string) []string {
	values, _ := flags.GetStringArray(name)
	if inFile != nil && !flags.Changed(name) {
		values = inFile
	}
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}
