// Command netbootctl is the operator's hand tool. Each verb has a file of its own.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// verb is one thing that the tool does.
type verb struct {
	name, does, example string
	run                 func(args []string, out, beside io.Writer) error // beside: standard error
}

func verbs() []verb {
	return []verb{
		{"check", "load the configuration and every map it names, and tell what is wrong with them",
			"netbootctl check -c /etc/netboot/config.yml", check},
		{"explain", "tell what a machine would be answered, and why",
			"netbootctl explain -c config.yml --arch uefi-x64 --mac 52:54:00:aa:bb:01",
			func(args []string, out, beside io.Writer) error { return explainVerb(args, os.Stdin, out, beside) }},
		{"render", "show the boot script that a machine gets",
			"netbootctl render --mac 52:54:00:aa:bb:01", render},
		{"embed", "put a script into an iPXE binary that has a placeholder for it",
			"netbootctl embed ipxe.efi --script boot.ipxe -o site.efi", embed},
		{"probe", "boot a machine that does not exist on a real network, and tell where its boot stops",
			"sudo netbootctl probe --iface eth0 --arch uefi-x64", probeVerb},
		{"leases", "list who has which address, and take one back",
			"netbootctl leases --subnet 192.0.2.0/24", leases},
		{"export", "print the same map for another DHCP server (Microsoft's)",
			"netbootctl export msdhcp boot.yml --server 192.0.2.1 > netboot.ps1", export},
		{"version", "print the version", "netbootctl version", version},
	}
}

func version(_ []string, out, _ io.Writer) error {
	fmt.Fprintln(out, "netbootctl", daemon.Version())
	return nil
}

func usage() string {
	var does, examples strings.Builder
	for _, v := range verbs() {
		fmt.Fprintf(&does, "  %-9s %s\n", v.name, v.does)
		fmt.Fprintf(&examples, "  %s\n", v.example)
	}
	return "netbootctl looks at a network boot configuration, and at a network that boots machines.\n\n" +
		"Usage: netbootctl VERB [flags]\n\nVerbs:\n" + does.String() + "\nExamples:\n" + examples.String() +
		"\nnetbootctl VERB --help tells the flags of a verb.\n"
}

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

// parse reads a verb's flags; its help goes to out.
func parse(fs *flag.FlagSet, args []string, usage string, out io.Writer) error {
	fs.SortFlags = false
	fs.Usage = func() { fmt.Fprint(out, usage+fs.FlagUsages()) }
	return daemon.ParseFlags(fs, args)
}

// writeJSON is for programs, and legible to people: < and & stay as they are.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func run(args []string, out, beside io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(beside, usage())
		return errors.New("no verb; the list above has them")
	}
	var names []string
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(args[1:], out, beside)
		}
		names = append(names, v.name)
	}
	switch args[0] {
	case "--version":
		return version(nil, out, beside)
	case "help", "--help", "-h":
		if len(args) > 1 && !strings.HasPrefix(args[1], "-") { // help check is check --help
			return run([]string{args[1], "--help"}, out, beside)
		}
		fmt.Fprint(out, usage())
		return nil
	}
	return fmt.Errorf("verb %q is unknown; %s", args[0], conf.Suggest(args[0], names))
}
