// Package explain tells what a configuration answers to a request, and why: it runs the daemon's own plugins on it, without
// a socket, and listens to what they say.
package explain

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/packet"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
)

// Server is a configuration that answers without a network. It works in the configuration's directory, as the daemon
// does, so one exists at a time; Close goes back.
type Server struct {
	Notes []string // where this differs from the daemon

	config  *server.Config
	chain   *server.Chain
	here    string // where the caller was
	scratch string

	ids       identifiers
	asked     bool            // for them
	decisions []boot.Decision // of the request at hand
	log       []string
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
	return s.setUp(o)
}

// with is another server of the same configuration. The first one's Close ends it.
func (s *Server) with(o Options) (*Server, error) {
	other := &Server{config: s.config, here: s.here, scratch: s.scratch}
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
	leases, err := os.MkdirTemp(s.scratch, "leases-")
	if err != nil {
		return err
	}
	lends := subnets.New(subnets.Env{Log: logrus.NewEntry(heard), Leases: leases, OnlyFinds: o.OnlyBoot})
	chain, err := server.Private{Scratch: s.scratch, OnlyBoot: o.OnlyBoot, Heard: s.heard}.Chain(s.config, &plugin, &lends)
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

// Explanation is what a configuration says to one request.
type Explanation struct {
	Type    string         `json:"type"`           // of the request: DISCOVER
	Port    uint16         `json:"port,omitempty"` // that it comes to, if it is 4011
	Client  Client         `json:"client"`
	Request []packet.Field `json:"request"`
	// Considered are the entries of the map that did not answer, in their order.
	Considered []Entry `json:"considered"`
	// Decides is the entry that answers, or says ignore; nil: none.
	Decides *Entry `json:"decides"`
	Outcome string `json:"outcome"` // in a sentence
	Reply   *Reply `json:"reply"`   // nil: none is sent
	// DroppedBy is the plugin that ended the request without a reply.
	DroppedBy *Dropped `json:"dropped_by,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

// Entry is one rule or host of the map.
type Entry struct {
	At  string `json:"at"`  // file:line
	Why string `json:"why"` // why it did not answer, or what it answers
}

// Reply is what would be sent.
type Reply struct {
	Type   string  `json:"type"`
	Size   int     `json:"size"` // bytes of the UDP payload
	Fields []Field `json:"fields"`
	Hex    string  `json:"hex"`
}

// Field is a part of the reply, and which plugin put it there; empty: the server itself.
type Field struct {
	packet.Field
	By string `json:"by,omitempty"`
}

// Dropped is a request's end.
type Dropped struct {
	Plugin string `json:"plugin"`
	At     string `json:"at"`
	Why    string `json:"why"` // what it logged
}

// Explain asks the configuration by the usual port, 67 or 547.
func (s *Server) Explain(request []byte) Explanation { return s.ExplainAt(request, 67) }

// ExplainAt asks the configuration by this port of DHCPv4, 67 or PortPXE; DHCPv6 has one only.
func (s *Server) ExplainAt(request []byte, port uint16) Explanation {
	s.decisions, s.log = nil, nil
	x := Explanation{Type: packet.Type(request), Notes: slices.Clone(s.Notes), Considered: []Entry{}}
	x.Client = readClient(request)
	fields, err := packet.Fields(request)
	x.Request = fields
	if err != nil && !packet.IsV4(request) {
		x.Type = "something"
		x.Outcome = "no reply: this is no DHCPv4 message, which has a magic number behind 236 bytes, and no DHCPv6 message: " + err.Error()
		return x
	}
	family, answer := "server6", s.answer6
	served := s.config.Server6 != nil
	if packet.IsV4(request) {
		family, served = "server4", s.config.Server4 != nil
		if port == PortPXE {
			x.Port = port
		}
		answer = func(request []byte, heard server.Step) ([]byte, error) {
			return s.chain.AnswerFrom4(request, s.facts(port), heard)
		}
	}
	switch {
	case !served:
		x.Outcome = "no reply: the configuration has no " + family
		return x
	case family == "server4" && !s.hears(port):
		x.Outcome = "no reply: the configuration does not listen on port 4011; a map with mode: proxy wants listen: [\"%eth1\", \"%eth1:4011\"]"
		return x
	}
	var w writers
	reply, err := answer(request, w.hear)
	switch {
	case err != nil:
		x.Outcome = "no reply: the message " + printable(err.Error())
		return x
	case reply == nil:
		x.DroppedBy = &Dropped{Plugin: w.last.Plugin, At: s.place(w.last.At.String()), Why: strings.Join(s.log, "; ")}
		if w.last.Plugin == "subnets" && family == "server6" && x.Client.Relay == "" {
			x.Notes = append(x.Notes, "without a relay the subnet follows from the addresses of the interface, which are not looked at here: add --relay with an address of the subnet")
		}
	default:
		x.Reply = w.reply(reply)
	}
	s.decided(&x)
	if n := len(s.decisions); n > 0 && reply != nil && packet.IsV4(request) && askedAgain(s.decisions[n-1], reply) {
		x.Notes = append(x.Notes, "such firmware is told its file when it asks port 4011: add --port 4011 to see that")
	}
	return x
}

// decided adds what the map said.
func (s *Server) decided(x *Explanation) {
	for _, d := range s.decisions {
		c := d.Client
		x.Client = clientOf(&c)
		s.hosts(x, d, &c)
		for _, r := range d.Refused {
			x.Considered = append(x.Considered, Entry{s.place(r.Entry), r.Text(&c)})
		}
		if d.Answer.Because != "" {
			x.Decides = &Entry{s.place(d.Answer.Because), gives(d)}
		}
		if !c.V6 && d.Policy.Mode == netboot.ModeProxy && s.identifier() == local4 {
			x.Notes = append(x.Notes, local4.String()+" stands for this server's own address, which is that of the interface where the request comes in")
		}
		if c.V6 && d.Policy.NeedsLocal6() && d.Answer.Server == local6 {
			x.Notes = append(x.Notes, local6.String()+" stands for this server's own address, which the map leaves to be found on the host that serves")
		}
	}
	switch {
	case x.Reply == nil && x.DroppedBy != nil:
		x.Outcome = "no reply: the plugin " + x.DroppedBy.Plugin + " drops the request"
	case len(s.decisions) == 0:
		x.Outcome = "no boot answer: the map was not asked about a message of this type, or there is no plugin boot"
	case x.Decides != nil && s.decisions[len(s.decisions)-1].Answered:
		x.Outcome = x.Decides.At + " answers"
	case x.Decides != nil:
		x.Outcome = "no boot answer: " + x.Decides.At + " says ignore"
	case !s.decisions[len(s.decisions)-1].Client.Boots():
		x.Outcome = "no boot answer: the client is no boot firmware, and asks for no boot file"
	default:
		x.Outcome = "no boot answer: no rule matches"
	}
}

// place is a place of a file in the configuration's directory as the caller would write it.
func (s *Server) place(p string) string {
	file, line := p, ""
	if i := strings.LastIndexByte(p, ':'); i > 0 {
		file, line = p[:i], p[i:]
	}
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	if rel, err := filepath.Rel(s.here, file); err == nil && !strings.HasPrefix(rel, "../..") {
		file = rel
	}
	return file + line
}
