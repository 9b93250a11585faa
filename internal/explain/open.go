package explain

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
	"github.com/coredhcp-netboot/suite/server/request"
)

// Server is a configuration that answers without a network. It works in the configuration's directory, as the daemon
// does, so one exists at a time; Close goes back.
type Server struct {
	Notes []string // where this differs from the daemon

	config  *server.Config
	chain   *server.Chain
	here    string // where the caller was
	scratch string

	interfaces map[string]request.Interface // by section: where its clients are
	leases     []Leases
	ids        identifiers
	asked      bool            // for them
	decisions  []boot.Decision // of the request at hand
	log        []string
}

// Options are how a Server differs from the daemon.
type Options struct {
	Map      string // absolute; in place of the boot map that the configuration names
	OnlyBoot bool   // no plugins but server_id and boot: see server.Private
}

// local6 stands for our address where a DHCPv6 map needs one: the host that the configuration is looked at on need not
// be the one that serves it.
var local6 = netip.MustParseAddr("2001:db8::1") //nolint:gochecknoglobals // a constant

// Open loads the configuration at path, an absolute one.
func Open(path string, o Options) (*Server, error) {
	server.Quiet()
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	s := &Server{here: here}
	if err := s.load(path, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) load(path string, o Options) (err error) {
	if s.scratch, err = os.MkdirTemp("", "netbootctl-"); err != nil {
		return err
	}
	known := []string{"boot", "subnets"}
	for _, p := range server.Stock() {
		known = append(known, p.Name)
	}
	slices.Sort(known)
	if s.config, err = server.Load(path, known); err != nil {
		return err
	}
	if err = s.findInterfaces(); err != nil {
		return err
	}
	return s.setUp(o)
}

// with is another server of the same configuration. The first one's Close ends it.
func (s *Server) with(o Options) (*Server, error) {
	other := &Server{config: s.config, interfaces: s.interfaces, here: s.here, scratch: s.scratch}
	return other, other.setUp(o)
}

func (s *Server) setUp(o Options) error {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	plugin := boot.New(boot.Env{
		Log: logrus.NewEntry(quiet), Map: o.Map, Local6: local6,
		Decided: func(d boot.Decision) { s.decisions = append(s.decisions, d) },
	})
	heard := logrus.New()
	heard.SetOutput(io.Discard)
	heard.AddHook(becauseHook{s.heard})
	ofSubnets := s.copies("subnets")
	lends := subnets.New(subnets.Env{Log: logrus.NewEntry(heard), Looks: &ofSubnets, OnlyFinds: o.OnlyBoot})
	chain, err := server.Private{Leases: s.copies("range"), OnlyBoot: o.OnlyBoot, Heard: s.heard}.Chain(s.config, &plugin, &lends)
	s.chain = chain
	return err
}

// maps are the boot maps that the configuration names.
func (s *Server) maps() (paths []string) {
	for _, section := range s.config.Sections() {
		for _, p := range section.Plugins {
			if p.Name == "boot" && len(p.Args) == 1 && !slices.Contains(paths, p.Args[0]) {
				paths = append(paths, p.Args[0])
			}
		}
	}
	return paths
}

// Close removes what Open made, and goes back to where the caller was.
func (s *Server) Close() error {
	err := os.Chdir(s.here)
	if s.scratch != "" {
		err = errors.Join(err, os.RemoveAll(s.scratch))
	}
	return err
}

// heard keeps what plugins log: the reason of what they do.
func (s *Server) heard(_ logrus.Level, text string) {
	const most = 16
	if len(s.log) < most {
		s.log = append(s.log, printable(text))
	}
}

// becauseHook hears what a plugin says that tells its reasons in a field.
type becauseHook struct {
	heard func(logrus.Level, string)
}

// Levels implements logrus.Hook.
func (becauseHook) Levels() []logrus.Level { return logrus.AllLevels[:logrus.InfoLevel+1] }

// Fire implements logrus.Hook.
func (h becauseHook) Fire(e *logrus.Entry) error {
	text := e.Message
	if because, told := e.Data["because"].(string); told {
		text += ": " + because
	}
	h.heard(e.Level, text)
	return nil
}
