package main

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// file is the configuration file as written.
type file struct {
	Root    conf.List[string] `yaml:"root"`
	TFTP    conf.List[string] `yaml:"tftp"`
	HTTP    conf.List[string] `yaml:"http"`
	Scripts string            `yaml:"scripts"`
	Metrics string            `yaml:"metrics"`
}

// settings are flags and file as understood.
type settings struct {
	roots, tftp, http []string
	file              string // where it was read from; empty: flags only
	scripts           string // a directory; empty: none
	metrics           string
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
		if f.Scripts != "" {
			f.Scripts = conf.Resolve(path, f.Scripts)
		}
	}
	s := settings{file: path, roots: list(flags, "root", f.Root), tftp: list(flags, "tftp", f.TFTP), http: list(flags, "http", f.HTTP)}
	s.scripts, s.metrics = one(flags, "scripts", f.Scripts), one(flags, "metrics", f.Metrics)
	return s, nil
}

func one(flags *pflag.FlagSet, name, inFile string) string {
	if !flags.Changed(name) {
		return inFile
	}
	value, _ := flags.GetString(name)
	return value
}

func list(flags *pflag.FlagSet, name string, inFile []string) []string {
	values, _ := flags.GetStringArray(name)
	if inFile != nil && !flags.Changed(name) {
		values = inFile
	}
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}
