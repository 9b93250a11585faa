// Package explain tells what a configuration answers to a request, and why: it runs the daemon's own plugins on it, without
// a socket, and listens to what they say.
package explain

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/packet"
	"github.com/coredhcp-netboot/suite/server"
)

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
	// Leases are those that the plugins of the chain answer from.
	Leases []Leases `json:"leases,omitempty"`
	Notes  []string `json:"notes,omitempty"`
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
	x.Leases = s.leasesOf(family)
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
		if w.last.Plugin == "subnets" && x.Client.Relay == "" && s.heardOn(family).Index == 0 {
			x.Notes = append(x.Notes, "without a relay the subnet follows from the addresses of the interface that listen names, which this host does not have: run this where the server is to run, or add --relay with an address of the subnet")
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
