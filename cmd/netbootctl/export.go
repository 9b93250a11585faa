package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/plugins/boot"
)

const exportUsage = `netbootctl export msdhcp prints a PowerShell script that makes a Microsoft DHCP server follow a boot map, for a
network where it shall give the boot options too. What that server cannot follow is left out of the script, and printed
on standard error with its line.

Usage: netbootctl export msdhcp MAP [flags]

Examples:
  netbootctl export msdhcp /etc/netboot/boot.yml --server 192.0.2.1 > netboot.ps1
  netbootctl export msdhcp boot.yml --scope 192.0.2.0 > netboot.ps1

Exit status: 0 if the script is the whole map, 1 if something is left out or the map has mistakes, 2 for a wrong command
line. Flags:
`

func export(args []string, out, beside io.Writer) error {
	fs := flag.NewFlagSet("netbootctl export", flag.ContinueOnError)
	server := fs.String("server", "", "address of the TFTP server, for entries whose server is auto")
	scope := fs.String("scope", "", "the scope that the policies are for, like 192.0.2.0 (default: the whole server)")
	if err := parse(fs, args, exportUsage, out); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("names no server to print for; use export msdhcp MAP")
	}
	if fs.Arg(0) != "msdhcp" {
		return fmt.Errorf("export %q is unknown; use export msdhcp MAP", fs.Arg(0))
	}
	if fs.NArg() != 2 {
		return fmt.Errorf("export msdhcp takes one map, but has %d; name it like export msdhcp boot.yml", fs.NArg()-1)
	}
	serverAddr, err := address4("--server", *server)
	if err != nil {
		return err
	}
	scopeAddr, err := address4("--scope", *scope)
	if err != nil {
		return err
	}
	if _, err := os.Stat(fs.Arg(1)); err != nil {
		return fmt.Errorf("%s: cannot be read; name the boot map", fs.Arg(1))
	}
	script, leftOut, err := boot.MSDHCP(fs.Arg(1), serverAddr)
	if err != nil {
		fmt.Fprintln(beside, err)
		return errFound
	}
	script.Scope = scopeAddr
	if err := script.Write(out); err != nil {
		return err
	}
	for _, l := range leftOut {
		fmt.Fprintln(beside, l.Error())
	}
	if len(leftOut) > 0 {
		return errFound
	}
	return nil
}

// address4 is an IPv4 address from the command line; empty: invalid.
func address4(flagName, s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%s %q is no IPv4 address; write one like 192.0.2.1", flagName, s)
	}
	return a, nil
}
