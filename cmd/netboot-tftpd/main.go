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
	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/script"
	"github.com/coredhcp-netboot/suite/tftpd"
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
  netboot-tftpd --config /etc/netboot/tftpd.yml
      the same settings from a file with the keys root, tftp, http (each a value or a list), scripts and metrics

A flag wins over the file's key of the same name. A running server does not read the file again, and says so when it
changes; scripts are read again when they change, and on SIGHUP.
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
	flags.String("scripts", "", "`directory` of boot scripts, templates and machines.yml (default none)")
	flags.String("metrics", "", "`address` for metrics and /healthz, like 127.0.0.1:9548 or unix:/run/netboot/tftpd.sock (default none)")
	flags.StringP("config", "c", "", "YAML `file` with the keys root, tftp, http, scripts, metrics")
	level := flags.StringP("log-level", "L", "info", "least severe `level` to log: error, warn, info or debug")
	version := flags.Bool("version", false, "print the version and exit")
	flags.Usage = func() {
		fmt.Fprintf(os.Stdout, "netboot-tftpd serves a directory of boot files, read-only, by TFTP and HTTP.\n\nUsage: netboot-tftpd [flags]\n\nFlags:\n%s%s",
			flags.FlagUsages(), examples)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		return complain(2, fmt.Errorf("%w; see --help", err))
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

// open opens the directories and sockets, and reports all that cannot be in one error.
func open(s settings, log logrus.FieldLogger) ([]daemon.Task, error) {
	var problems []error
	if len(s.roots) == 0 {
		problems = append(problems, errors.New("there is no directory to serve; give --root"))
	}
	dirs, err := tftpd.OpenDirs(s.roots...)
	problems = append(problems, err)
	reg := daemon.NewRegistry()
	config := tftpd.Config{Files: dirs, Log: log, Metrics: tftpd.NewMetrics(reg)}

	reload := live.NewReloader(log, reg) // without scripts too: SIGHUP must not end the program
	tasks := []daemon.Task{reload}
	if s.file != "" {
		reload.AddFixed(s.file)
	}
	if s.scripts != "" {
		scripts, err := openScripts(s.scripts, dirs, reload, log)
		problems = append(problems, err)
		config.Files = scripts
	}
	for _, addr := range s.tftp {
		conns, err := tftpd.ListenTFTP(addr)
		problems = append(problems, daemon.ListenError(err, "udp", addr, "--tftp"))
		for _, c := range conns {
			tasks = append(tasks, tftpd.NewTFTP(c, config))
		}
	}
	for _, addr := range s.http {
		l, err := daemon.Listen(addr, "--http")
		if problems = append(problems, err); err == nil {
			tasks = append(tasks, tftpd.NewHTTP(l, config))
		}
	}
	if len(s.tftp)+len(s.http) == 0 {
		problems = append(problems, errors.New("there is no address to serve on; give --tftp or --http"))
	}
	if s.metrics != "" {
		l, err := daemon.ListenMetrics(s.metrics, "--metrics", log)
		if problems = append(problems, err); err == nil {
			tasks = append(tasks, daemon.NewMetrics(l, reg, tasks...))
		}
	}
	return tasks, errors.Join(problems...)
}

// openScripts puts the scripts in dir before the other files.
func openScripts(dir string, behind tftpd.Files, reload *live.Reloader, log logrus.FieldLogger) (*tftpd.Scripts, error) {
	first, err := script.Load(dir)
	if err != nil {
		return nil, err
	}
	library := live.NewValue(first)
	reload.Add(dir, func() error {
		return library.Replace(func() (*script.Library, error) { return script.Load(dir) })
	})
	return &tftpd.Scripts{Behind: behind, Library: library, Log: log, Neighbour: tftpd.Neighbour}, nil
}
