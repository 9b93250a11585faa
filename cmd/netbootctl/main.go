// Command netbootctl is the operator's hand tool. Each verb has a file of its own.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

const usage = `netbootctl looks at a network boot configuration, and at a network that boots machines.

Usage: netbootctl VERB [flags]

Verbs:
  check     load the configuration and every map it names, and tell what is wrong with them
  explain   tell what a machine would be answered, and why
  render    show the boot script that a machine gets
  embed     put a script into an iPXE binary that has a placeholder for it
  probe     boot a machine that does not exist on a real network, and tell where its boot stops
  export    print the same map for another DHCP server (Microsoft's)
  version   print the version

Examples:
  netbootctl check -c /etc/netboot/config.yml
  netbootctl check -c config.yml --json
  netbootctl explain -c config.yml --arch uefi-x64 --mac 52:54:00:aa:bb:01
  netbootctl render --mac 52:54:00:aa:bb:01
  sudo netbootctl probe --iface eth0 --arch uefi-x64
  netbootctl export msdhcp boot.yml --server 192.0.2.1 > netboot.ps1

netbootctl VERB --help tells the flags of a verb.
`

// errFound is an end with exit status 1 about which everything has been said.
var errFound = errors.New("problems were found")

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case !errors.Is(err, errFound):
		fmt.Fprintln(os.Stderr, "netbootctl:", err)
		os.Exit(2)
	}
	os.Exit(1)
}

func run(args []string, out, help io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(help, usage)
		return errors.New("no verb; use check, explain, render, embed or probe")
	}
	switch verb := args[0]; verb {
	case "check":
		return check(args[1:], out, help)
	case "explain":
		return explainVerb(args[1:], os.Stdin, out, help)
	case "render":
		return render(args[1:], out, help)
	case "embed":
		return embed(args[1:], out, help)
	case "probe":
		return probeVerb(args[1:], out, help)
	case "export":
		return export(args[1:], out, help)
	case "version", "--version":
		fmt.Fprintln(out, "netbootctl", daemon.Version())
		return nil
	case "help", "--help", "-h":
		fmt.Fprint(out, usage)
		return nil
	default:
		return fmt.Errorf("verb %q is unknown; use check, explain, render, embed or probe", verb)
	}
}
