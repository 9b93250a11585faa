package main

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/script"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// opening collects the tasks that could be opened, and the problems of those that could not.
type opening struct {
	settings
	log      logrus.FieldLogger
	reg      *prometheus.Registry
	reloader *live.Reloader
	config   tftpd.Config
	tasks    []daemon.Task
	problems []error
}

// open opens the directories and sockets, and reports all that cannot be in one error.
func open(s settings, log logrus.FieldLogger) ([]daemon.Task, error) {
	reg := daemon.NewRegistry()
	o := &opening{settings: s, log: log, reg: reg, reloader: live.NewReloader(log, reg)}
	o.tasks = []daemon.Task{o.reloader} // with nothing to reload too: SIGHUP must not end the program
	if s.path != "" {
		o.reloader.AddFixed(s.path)
	}
	o.config = tftpd.Config{
		Files: o.files(), Log: log, Metrics: tftpd.NewMetrics(reg), SinglePort: s.singlePort,
		MaxTransfers: int(s.limits.Transfers), MaxPerClient: int(s.limits.ClientTransfers), MaxRate: int(s.limits.Rate),
	}
	for _, addr := range s.tftp {
		conns, err := tftpd.ListenTFTP(addr)
		o.note(daemon.ListenError(err, "udp", addr, "--tftp"))
		for _, c := range conns {
			o.tasks = append(o.tasks, tftpd.NewTFTP(c, o.config))
		}
	}
	for _, addr := range s.http {
		l, err := daemon.Listen(addr, "--http")
		if o.note(err) {
			o.tasks = append(o.tasks, tftpd.NewHTTP(l, o.config))
		}
	}
	o.secure()
	if len(s.tftp)+len(s.http)+len(s.https) == 0 {
		o.note(errors.New("there is no address to serve on; give --tftp or --http"))
	}
	if s.metrics != "" {
		l, err := daemon.ListenMetrics(s.metrics, "--metrics", log)
		if o.note(err) {
			o.tasks = append(o.tasks, daemon.NewMetrics(l, reg, o.tasks...))
		}
	}
	return o.tasks, errors.Join(o.problems...)
}

// note keeps a problem, if it is one; it tells whether it is none.
func (o *opening) note(err error) bool {
	o.problems = append(o.problems, err)
	return err == nil
}

// files are the directories as clients see them.
func (o *opening) files() tftpd.Files {
	if len(o.roots) == 0 {
		o.note(errors.New("there is no directory to serve; give --root"))
	}
	dirs, err := tftpd.OpenDirs(o.roots...)
	if !o.note(err) {
		dirs = &tftpd.Dirs{} // the scripts may have problems too
	}
	dirs.AnyCase = o.anyCase
	var files tftpd.Files = dirs
	if len(o.own) > 0 {
		p := tftpd.Personal{Files: dirs}
		for _, w := range o.own {
			switch w {
			case "mac":
				p.MAC = tftpd.Neighbour
			case "address":
				p.Address = true
			}
		}
		files = p
	}
	if o.scripts != "" {
		files = o.rendering(files)
	}
	if len(o.rules) > 0 {
		files = tftpd.Renamed{Files: files, Rules: o.rules}
	}
	return files
}

// rendering puts the scripts before the other files.
func (o *opening) rendering(behind tftpd.Files) tftpd.Files {
	load := func() (*script.Library, error) { return script.Load(o.scripts) }
	first, err := load()
	if !o.note(err) {
		return behind
	}
	library := live.NewValue(first)
	o.reloader.Add(o.scripts, func() error { return library.Replace(load) })
	return &tftpd.Scripts{Behind: behind, Library: library, Log: o.log, Neighbour: tftpd.Neighbour}
}

// secure opens the addresses for HTTPS, whose certificate may change while they are served.
func (o *opening) secure() {
	switch {
	case len(o.https) == 0 && o.cert+o.key == "":
		return
	case len(o.https) == 0:
		o.note(errors.New("a certificate serves nothing; give --https an address"))
		return
	case o.cert == "" || o.key == "":
		o.note(errors.New("HTTPS needs a certificate and its key; give --cert and --key"))
		return
	}
	load := func() (*tftpd.Certificate, error) { return tftpd.LoadCertificate(o.cert, o.key) }
	first, err := load()
	if !o.note(err) {
		return
	}
	certificate := live.NewValue(first)
	for _, path := range []string{o.cert, o.key} {
		o.reloader.Add(path, func() error { return certificate.Replace(load) })
	}
	for _, addr := range o.https {
		l, err := daemon.Listen(addr, "--https")
		if o.note(err) {
			o.tasks = append(o.tasks, tftpd.NewHTTPS(l, o.config, certificate))
		}
	}
}
