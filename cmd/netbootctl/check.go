package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/logger"
	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
)

const checkUsage = `netbootctl check loads a configuration by the code that netboot-dhcpd runs, and every map that it names, and prints
every mistake with its line and what to do. It serves nothing, opens no network socket, and writes nothing outside a temporary directory.

Usage: netbootctl check [flags]

Examples:
  netbootctl check -c /etc/netboot/config.yml
  netbootctl check -c config.yml --json

Exit status: 0 without a mistake (warnings are none), 1 with one, 2 for a wrong command line. Flags:
`

// finding is a line of the result.
type finding struct {
	Severity string `json:"severity"` // error or warning
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Text     string `json:"text"`
}

func check(args []string, out, _ io.Writer) error {
	fs := flag.NewFlagSet("netbootctl check", flag.ContinueOnError)
	fs.SetNormalizeFunc(daemon.FlagName)
	named := fs.StringP("config", "c", "", "configuration file (default: where netboot-dhcpd looks)")
	asJSON := fs.Bool("json", false, "print JSON: a list of objects with severity, file, line and text")
	if err := parse(fs, args, checkUsage, out); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%q is no flag; name the configuration with -c", fs.Arg(0))
	}
	path, err := configuration(*named)
	if err != nil {
		return err
	}
	problems, warnings, err := look(path)
	if err != nil {
		return err
	}
	var all []finding
	here, _ := os.Getwd()
	all = appendFindings(all, "error", here, problems)
	all = appendFindings(all, "warning", here, warnings)
	if *asJSON {
		err = writeJSON(out, append([]finding{}, all...))
	} else {
		err = printText(out, shown(here, path), all, len(problems))
	}
	if err == nil && len(problems) > 0 {
		err = errFound
	}
	return err
}

// configuration is the path of the configuration that is named, or that netboot-dhcpd would find.
func configuration(named string) (string, error) {
	path, err := server.Find(named)
	if err == nil {
		err = boot.RefuseMap(path)
	}
	return path, err
}

// look checks the configuration at path and the maps that it names. It works in the configuration's directory, as the
// daemon does, and comes back.
func look(path string) (problems, warnings conf.Problems, err error) {
	logger.GetLogger("netbootctl").Logger.SetOutput(io.Discard) // of the stock plugins
	here, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.Chdir(here)) }()
	scratch, err := os.MkdirTemp("", "netbootctl-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(scratch)

	c, f := server.Check(path, server.Stock(), []string{"boot", "subnets"}, scratch)
	problems, warnings = f.Problems, f.Warnings
	if c == nil {
		return problems, warnings, nil
	}
	placed := placesOfBoot(c)
	problems, warnings = problems.With(placed.Problems), warnings.With(placed.Warnings)
	seen := map[string]bool{}
	for _, s := range c.Sections() {
		for i, p := range s.Plugins {
			if p.Name == "subnets" {
				ps, ws := checkSubnets(c.Pos(s.Name, i), s.Name, p.Args, seen)
				problems, warnings = append(problems, ps...), append(warnings, ws...)
			}
			if p.Name != "boot" {
				continue
			}
			if len(p.Args) != 1 {
				problems.Add(c.Pos(s.Name, i), "%s: plugin boot: takes one file, like `- boot: boot.yml` (a map written inline never reaches a plugin, and a name must have no spaces)", s.Name)
				continue
			}
			bootMap, err := filepath.Abs(p.Args[0])
			if err != nil {
				return nil, nil, err
			}
			if !seen[bootMap] {
				seen[bootMap] = true
				ps, ws := boot.Check(bootMap)
				problems, warnings = append(problems, ps...), append(warnings, ws...)
			}
			warnings = append(warnings, checkPlaces(s, i, bootMap)...)
			if s.Name == "server6" {
				problems = append(problems, boot.Check6(bootMap, c.Interfaces6())...)
			}
		}
	}
	return problems, warnings, nil
}

// checkSubnets looks at a file of the plugin subnets, once. What this host lacks is no mistake: the file may be for another.
func checkSubnets(at conf.Pos, section string, args []string, seen map[string]bool) (problems, warnings conf.Problems) {
	if len(args) != 1 {
		problems.Add(at, "%s: plugin subnets: takes one file, like `- subnets: subnets.yml` (what is written inline never reaches a plugin, and a name must have no spaces)", section)
		return problems, nil
	}
	path, err := filepath.Abs(args[0])
	if err != nil {
		problems.Add(at, "%s: plugin subnets: %v", section, err)
		return problems, nil
	}
	if seen[path] {
		return nil, nil
	}
	seen[path] = true
	policy, err := subnets.Load(path)
	_ = errors.As(err, &problems) // it is nothing else
	if err == nil {
		_ = errors.As(policy.Here(), &warnings)
		for i := range warnings {
			warnings[i].Text += ", if the server is to run here"
		}
	}
	return problems, warnings
}

// checkPlaces looks at the words of a boot map that match what subnets found, in the chain whose i-th plugin has the map.
func checkPlaces(s server.Section, i int, bootMap string) (warnings conf.Problems) {
	words := boot.PlaceWords(bootMap)
	at := slices.IndexFunc(s.Plugins[:i], func(p config.PluginConfig) bool { return p.Name == "subnets" && len(p.Args) == 1 })
	if at < 0 {
		for _, w := range words {
			warnings.Add(w.Pos, "%s: %q matches nobody: no plugin subnets stands before boot in %s; add it, or remove the word", w.Word, w.Text, s.Name)
		}
		return warnings
	}
	policy, err := subnets.Load(s.Plugins[at].Args[0])
	if err != nil {
		return nil // which is told of the file
	}
	networks, classes := policy.Names()
	for _, w := range words {
		known := networks
		if w.Word == "class" {
			known = classes
		}
		if !w.MatchesAny(known) {
			warnings.Add(w.Pos, "%s: %q matches nobody: %s has no such %s; %s", w.Word, w.Text, s.Plugins[at].Args[0], w.Word, conf.Suggest(w.Text, known))
		}
	}
	return warnings
}

// placesOfBoot looks at each place of the plugin boot, by the mode of its map.
func placesOfBoot(c *server.Config) (all server.Findings) {
	for _, s := range c.Sections() {
		for i, p := range s.Plugins {
			if p.Name == "boot" {
				f := c.CheckBoot(s, i, len(p.Args) == 1 && boot.ModeOf(p.Args[0]) == netboot.ModeProxy)
				all.Problems, all.Warnings = append(all.Problems, f.Problems...), append(all.Warnings, f.Warnings...)
			}
		}
	}
	return all
}

func appendFindings(all []finding, severity, here string, ps conf.Problems) []finding {
	for _, p := range ps {
		all = append(all, finding{severity, shown(here, p.File), p.Line, strings.ReplaceAll(p.Text, filepath.Dir(p.File)+"/", "")})
	}
	return all
}

// shown is a path as somebody in the directory here would write it.
func shown(here, path string) string {
	if rel, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(rel, "../..") {
		return rel
	}
	return path
}

func printText(out io.Writer, path string, all []finding, problems int) error {
	for _, f := range all {
		text := f.Text
		if f.Severity == "warning" {
			text = "warning: " + text
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", conf.Pos{File: f.File, Line: f.Line}, text); err != nil {
			return err
		}
	}
	result := "no mistakes"
	if problems > 0 {
		result = plural(problems, "mistake")
	}
	if w := len(all) - problems; w > 0 {
		result += ", " + plural(w, "warning")
	}
	_, err := fmt.Fprintf(out, "%s: %s\n", path, result)
	return err
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
