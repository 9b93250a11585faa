// Command netboot-dhcpd is CoreDHCP with its stock plugins and those of this suite.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
)

const usage = `netboot-dhcpd is a DHCP server that boots machines: CoreDHCP with its plugins and the plugin boot.

Usage: netboot-dhcpd [flags]

Examples:
  netboot-dhcpd -c /etc/netboot/config.yml
  netboot-dhcpd -c config.example.yml -L debug
  netboot-dhcpd -P

Relative paths inside the configuration start at its directory. Flags:
`

var logLevels = map[string]logrus.Level{
	"debug": logrus.DebugLevel, "info": logrus.InfoLevel, "warn": logrus.WarnLevel, "warning": logrus.WarnLevel, "error": logrus.ErrorLevel,
	"fatal": logrus.FatalLevel, "none": logrus.PanicLevel,
}

type flags struct {
	config, logFile, logLevel, metrics     string
	noStdout, listPlugins, version, beside bool
}

func parseFlags(args []string) (f flags, err error) {
	fs := flag.NewFlagSet("netboot-dhcpd", flag.ContinueOnError)
	levels := strings.Join(slices.Sorted(maps.Keys(logLevels)), ", ")
	fs.SetNormalizeFunc(daemon.FlagName)
	fs.StringVarP(&f.config, "config", "c", "", "configuration file, as CoreDHCP's --conf (default: config.yml here, in $XDG_CONFIG_HOME/coredhcp, ~/.coredhcp or /etc/coredhcp)")
	fs.StringVarP(&f.logFile, "logfile", "l", "", "append the log to this file too")
	fs.StringVarP(&f.logLevel, "log-level", "L", "info", "one of "+levels+" (CoreDHCP's --loglevel too)")
	fs.BoolVarP(&f.noStdout, "nostdout", "N", false, "do not log to standard error")
	fs.BoolVarP(&f.listPlugins, "plugins", "P", false, "list the plugins and exit")
	fs.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics and /healthz at this address, like 127.0.0.1:9547 or unix:/run/netboot/dhcpd.sock (default: off)")
	fs.BoolVar(&f.beside, "beside", false, "hear port 67 beside another DHCP server of this host that has the port")
	fs.BoolVar(&f.version, "version", false, "print the version and exit")
	fs.SortFlags = false
	fs.Usage = func() { fmt.Print(usage + fs.FlagUsages()) }
	if err := daemon.ParseFlags(fs, args); err != nil {
		return f, err
	}
	if _, ok := logLevels[f.logLevel]; !ok {
		err = fmt.Errorf("--log-level %q is unknown; use one of %s", f.logLevel, levels)
	}
	if fs.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("%q is no flag; name the configuration with -c", fs.Arg(0)))
	}
	if f.logFile != "" { // before the change of directory
		path, errPath := filepath.Abs(f.logFile)
		f.logFile, err = path, errors.Join(err, errPath)
	}
	return f, err
}

func main() {
	f, err := parseFlags(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		complain(err)
		os.Exit(2)
	case f.version:
		fmt.Println("netboot-dhcpd", daemon.Version())
		return
	}
	if err := run(f); err != nil {
		complain(err)
		os.Exit(1)
	}
}

// complain prints a line for each problem, once: both families find the mistakes of one map.
func complain(err error) {
	var said []string
	for _, line := range complaints(err) {
		if !slices.Contains(said, line) {
			said = append(said, line)
			fmt.Fprintln(os.Stderr, "netboot-dhcpd:", line)
		}
	}
}

// complaints are the problems in err. Those of a file stand for themselves, without the chain of who noticed.
func complaints(err error) (lines []string) {
	if all, joined := err.(interface{ Unwrap() []error }); joined {
		for _, err := range all.Unwrap() {
			lines = append(lines, complaints(err)...)
		}
		return lines
	}
	var problems conf.Problems
	if errors.As(err, &problems) {
		err = problems
	}
	return strings.Split(err.Error(), "\n")
}

// logOutput is where the log goes.
func (f flags) logOutput() io.Writer {
	var outputs []io.Writer
	if !f.noStdout {
		outputs = append(outputs, os.Stderr)
	}
	if f.logFile != "" {
		outputs = append(outputs, daemon.AppendFile(f.logFile))
	}
	return io.MultiWriter(outputs...)
}

// slack is memory that is counted as in use and never touched, so that it costs nothing. The heap of a small site is a few
// megabytes, which requests double many times a second, and each time it is searched for what is not used any more. With
// slack it grows by this much more before.
const slack = 14 << 20

func run(f flags) error {
	untouched := make([]byte, slack)
	defer runtime.KeepAlive(untouched)
	log := logger.GetLogger("main")
	// CoreDHCP's own format prints text that clients sent as it came; this one quotes it.
	log.Logger.SetFormatter(daemon.NewLineFormatter())
	log.Logger.SetLevel(logrus.ErrorLevel) // nobody needs a line for each plugin that exists

	registry := daemon.NewRegistry()
	all := server.StockCounted(registry)
	names := []string{"boot", "subnets"}
	for _, p := range all {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	if f.listPlugins {
		fmt.Println(strings.Join(names, "\n"))
		return nil
	}
	out := daemon.NewLogWriter(f.logOutput(), registry)
	defer out.Close()
	logrus.RegisterExitHandler(out.Close) // a plugin may end the process
	log.Logger.SetOutput(out)

	path, err := server.Find(f.config)
	if err == nil {
		err = boot.RefuseMap(path)
	}
	if err != nil {
		return err
	}
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%s: its directory cannot be entered: %w", path, err)
	}
	reloader := live.NewReloader(log, registry)
	reloader.AddFixed(path)
	config, err := server.Load(path, names)
	log.Logger.SetLevel(logLevels[f.logLevel])
	var engine *server.Engine
	if err == nil {
		bootPlugin := boot.New(boot.Env{Metrics: registry, Listen6: config.Interfaces6(), Reload: reloader})
		subnetsPlugin := subnets.New(subnets.Env{Metrics: registry, Reload: reloader})
		engine, err = f.open(config, append(all, &bootPlugin, &subnetsPlugin), log, registry)
	}
	tasks := []daemon.Task{engine, reloader}
	if f.metrics != "" { // whatever else is wrong: all problems are told in one run
		l, errMetrics := daemon.ListenMetrics(f.metrics, "--metrics", log)
		if errMetrics == nil {
			defer l.Close() // a socket in the file system must not outlive a start that failed
			tasks = append(tasks, daemon.NewMetrics(l, registry, tasks...))
		}
		err = errors.Join(err, errMetrics)
	}
	if err != nil {
		return err
	}
	return daemon.Run(context.Background(), log, tasks...)
}

// open sets the plugins up and opens the sockets.
func (f flags) open(c *server.Config, all []*plugins.Plugin, log *logrus.Entry, r *prometheus.Registry) (*server.Engine, error) {
	byName := map[string]*plugins.Plugin{}
	for _, p := range all {
		byName[p.Name] = p
	}
	chain, err := server.NewChain(c, byName)
	if err != nil {
		return nil, err
	}
	return server.Open(c, chain, server.Options{Beside: f.beside}, log, r)
}
