// Command netboot-tftpd serves the firmware directory and boot scripts, read-only, by TFTP and HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

const examples = `
Examples:
  netboot-tftpd
      serve /var/lib/netboot/boot by TFTP on port 69
  netboot-tftpd --root /srv/boot --root /usr/lib/ipxe --http :8080
      look names up in two directories, the first that has one wins, and serve them by HTTP too
  netboot-tftpd --tftp 192.0.2.1:69 --tftp '[2001:db8::1]:69'
      answer on these two addresses only
  netboot-tftpd --tftp '' --http :80
      no TFTP
  netboot-tftpd --http :8080 --scripts /etc/netboot/scripts
      give each machine the boot script that is rendered for it
  netboot-tftpd --https :443 --cert boot.pem --key boot.key
      HTTPS too; a new certificate is taken without a restart
  netboot-tftpd --config /etc/netboot/tftpd.yml
      the same settings from a file with the flags' names as keys (root, tftp, http and https take a value or a list),
      and the keys rename, personal and limits, which the README explains

A flag wins over the file's key of the same name. A running server does not read the file again, and says so when it
changes; scripts and the certificate are read again when they change, and on SIGHUP.
`

func main() {
	os.Exit(run(os.Args[1:]))
}

// run returns the exit code: 0 after SIGTERM or SIGINT, 1 for what the host or a file forbids, 2 for a wrong command line.
func run(args []string) int {
	flags := pflag.NewFlagSet("netboot-tftpd", pflag.ContinueOnError)
	flags.SetOutput(os.Stderr)
	flags.SortFlags = false
	flags.StringArray("root", []string{"/var/lib/netboot/boot"}, "`directory` to serve; repeat for a search path")
	flags.StringArray("tftp", []string{":69"}, "`address` for TFTP, repeatable; '' for none")
	flags.StringArray("http", nil, "`address` for HTTP, repeatable (default none)")
	flags.StringArray("https", nil, "`address` for HTTPS, repeatable (default none)")
	flags.String("cert", "", "PEM `file` with the certificate for HTTPS and its chain")
	flags.String("key", "", "PEM `file` with the certificate's key")
	flags.String("scripts", "", "`directory` of boot scripts, templates and machines.yml (default none)")
	flags.Bool("single-port", false, "send everything by TFTP from the port that is asked, for NAT and Kubernetes")
	flags.Bool("any-case", false, "find Boot/BCD where there is boot/bcd only, for Windows")
	flags.String("metrics", "", "`address` for metrics and /healthz, like 127.0.0.1:9548 or unix:/run/netboot/tftpd.sock (default none)")
	flags.StringP("config", "c", "", "YAML `file` with these settings as keys, and more")
	level := flags.StringP("log-level", "L", "info", "least severe `level` to log: error, warn, info or debug")
	version := flags.Bool("version", false, "print the version and exit")
	flags.Usage = func() {
		fmt.Fprintf(os.Stdout, "netboot-tftpd serves a directory of boot files, read-only, by TFTP and HTTP.\n\nUsage: netboot-tftpd [flags]\n\nFlags:\n%s%s",
			flags.FlagUsages(), examples)
	}
	switch err := daemon.ParseFlags(flags, args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		return complain(2, err)
	case flags.NArg() > 0:
		return complain(2, fmt.Errorf("%q is no flag; give directories as --root %[1]s", flags.Arg(0)))
	}
	if *version {
		fmt.Println("netboot-tftpd", daemon.Version())
		return 0
	}
	log := logrus.New()
	l, err := logrus.ParseLevel(*level)
	if err != nil {
		return complain(2, fmt.Errorf("--log-level %q is unknown; use error, warn, info or debug", *level))
	}
	log.SetLevel(l)

	s, err := readSettings(flags)
	if err != nil {
		return complain(1, err)
	}
	tasks, err := open(s, log)
	if err != nil {
		return complain(1, err)
	}
	if err := daemon.Run(context.Background(), log, tasks...); err != nil {
		return complain(1, err)
	}
	return 0
}

// complain prints a line for each problem.
func complain(code int, err error) int {
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintln(os.Stderr, "netboot-tftpd:", line)
	}
	return code
}
