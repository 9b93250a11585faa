package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/script"
)

const renderUsage = `netbootctl render shows the boot script that a machine gets from netboot-tftpd: the script alone on standard output, and
which one it is, and why, beside it. It asks nobody.

Usage: netbootctl render [flags] [NAME]

NAME is what the machine asks for; boot.ipxe if there is none.

Examples:
  netbootctl render --mac 52:54:00:aa:bb:01
  netbootctl render --scripts ./scripts --serial 7XK2 --arch uefi-x64 autoexec.ipxe

Exit status: 0 with a script, 1 without one, 2 for a wrong command line. Flags:
`

func render(args []string, out, beside io.Writer) error {
	fs := flag.NewFlagSet("netbootctl render", flag.ContinueOnError)
	dir := fs.String("scripts", "/etc/netboot/scripts", "the `directory` that netboot-tftpd has as --scripts")
	facts := map[string]*string{}
	for _, name := range script.Facts() {
		facts[name] = fs.String(name, "", factHelp(name))
	}
	if err := parse(fs, args, renderUsage, out); err != nil {
		return err
	}
	var m script.Machine
	for _, name := range script.Facts() {
		if *facts[name] == "" {
			continue
		}
		if err := m.Tell(name, *facts[name]); err != nil {
			return fmt.Errorf("--%s %q %w", name, *facts[name], err)
		}
	}
	name := script.Entry
	switch fs.NArg() {
	case 0:
	case 1:
		name = strings.TrimLeft(fs.Arg(0), "/")
	default:
		return fmt.Errorf("%q is one name too many; ask for one script", fs.Arg(1))
	}
	return show(out, beside, *dir, name, m)
}

// factHelp says what a machine tells of itself by a fact.
func factHelp(fact string) string {
	switch fact {
	case "mac":
		return "its hardware address, like 52:54:00:aa:bb:01"
	case "uuid":
		return "its UUID, as dmidecode -s system-uuid prints it"
	case "serial", "product":
		return "its " + fact + ", as dmidecode prints it"
	case "asset":
		return "its asset tag"
	case "arch":
		return "what it can run, like uefi-x64"
	case "ip":
		return "its address"
	case "hostname":
		return "its host name"
	}
	return "its " + fact
}

// show renders one script.
func show(out, beside io.Writer, dir, name string, m script.Machine) error {
	l, err := script.Load(dir)
	if err != nil {
		fmt.Fprintln(beside, err)
		return errFound
	}
	s, err := l.Render(name, m)
	var problem conf.Problem
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(beside, "%s: has no script %s; the machine gets a file of that name, or nothing\n", dir, name)
		return errFound
	case errors.As(err, &problem):
		fmt.Fprintln(beside, problem)
		return errFound
	case err != nil:
		return err
	}
	because := "the name"
	if s.Because != "" {
		because = s.Because
	}
	fmt.Fprintf(beside, "%s because of %s\n", s.Name, because)
	_, err = out.Write(s.Text)
	return err
}
