package explain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/capture"
	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/packet"
)

// Phase is what one client asked at one stage of its boot, and what it would have been told: one line of a replay.
type Phase struct {
	First  time.Time `json:"first"` // of its messages
	Count  int       `json:"count"` // messages that were alike
	Client string    `json:"client"`
	Type   string    `json:"type"` // DISCOVER, SOLICIT
	// Machine is what asks: the firmware's own PXE, or iPXE later on.
	Machine string `json:"machine"`
	Relay   string `json:"relay,omitempty"`
	Reply   string `json:"reply"`  // the reply's type; empty: none
	Answer  string `json:"answer"` // what it says
	At      string `json:"at"`     // file:line of what decided
}

// Replay is a capture, answered.
type Replay struct {
	Phases []Phase  `json:"phases"`
	Leases []Leases `json:"leases,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

// maxPhases bounds a replay's lines.
const maxPhases = 100_000

var errEnough = errors.New("enough")

// Replay answers each request of a capture. Requests that are alike and would be answered alike are one phase. A request
// that names the server which it chose in the capture is asked as if it had chosen this one: else it would not be ours to
// answer.
func (s *Server) Replay(r io.Reader) (Replay, error) {
	out := Replay{Phases: []Phase{}, Leases: s.leases, Notes: s.Notes}
	index := map[Phase]int{}
	err := eachRequest(r, func(at time.Time, request []byte, port uint16) error {
		x := s.ExplainAt(s.asOwn(request, port), port)
		p := x.phase()
		i, seen := index[p]
		switch {
		case seen:
			out.Phases[i].Count++
			return nil
		case len(out.Phases) == maxPhases:
			return errEnough
		}
		index[p] = len(out.Phases)
		p.First, p.Count = at, 1
		out.Phases = append(out.Phases, p)
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		out.Notes = append(out.Notes, fmt.Sprintf("the capture has more than %d phases: the rest is left out", maxPhases))
	case errors.Is(err, capture.ErrCut):
		out.Notes = append(out.Notes, "the capture "+err.Error()+": what comes after is missing")
	case err != nil:
		return out, err
	}
	return out, nil
}

// eachRequest calls each with what clients and relays sent.
func eachRequest(r io.Reader, each func(at time.Time, request []byte, port uint16) error) error {
	return capture.Read(r, func(d capture.Datagram) error {
		if !asks(d.Payload) {
			return nil
		}
		port := d.To.Port()
		if port != PortPXE {
			port = 67
		}
		return each(d.At, d.Payload, port)
	})
}

// asks tells a message to a server from one of a server.
func asks(b []byte) bool {
	switch {
	case packet.IsV4(b):
		return b[0] == 1
	case len(b) < 4 || b[0] == 0 || b[0] > 12:
		return false
	}
	return b[0] != 2 && b[0] != 7 && b[0] != 10
}

func (x *Explanation) phase() Phase {
	p := Phase{Client: x.Client.name(), Type: x.kind(), Machine: x.Client.machine(), Relay: x.Client.Relay, Answer: x.Outcome}
	if x.Reply != nil {
		p.Reply = x.Reply.Type
	}
	switch {
	case x.Decides != nil:
		p.At, p.Answer = x.Decides.At, x.Decides.Why
	case x.DroppedBy != nil:
		p.At = x.DroppedBy.At
		if x.DroppedBy.Why != "" {
			p.Answer += ": " + x.DroppedBy.Why
		}
	}
	return p
}

// identifiers are those of the server that answers here, as far as they are known.
type identifiers struct {
	four netip.Addr
	six  []byte
}

func (s *identifiers) learn(r *Reply) {
	if r == nil {
		return
	}
	for _, f := range r.Fields {
		switch {
		case f.Name != "server identifier":
		case f.Code == 54:
			s.four, _ = netip.ParseAddr(f.Value)
		case f.Code == 2:
			s.six = []byte(f.Hex)
		}
	}
}

// asOwn is a request as it would have been sent to this server.
func (s *Server) asOwn(request []byte, port uint16) []byte {
	if port == PortPXE && s.config.Server4 != nil {
		return (&identifiers{four: s.identifier()}).asOurs(request)
	}
	if !s.asked {
		s.asked = true
		s.introduce()
	}
	return s.ids.asOurs(request)
}

// introduce finds the identifiers of this server by messages that ask for no address, so that none is taken.
func (s *Server) introduce() {
	inform := firmware.Machine{Arch: netboot.ArchUnknown, MAC: netboot.MACFrom([]byte{2, 0, 0, 0, 0, 1})}
	four := inform.Request()
	four[242] = byte(dhcpv4.MessageTypeInform) // the value of the first option
	inform.V6 = true
	six := inform.Request()
	six[0] = byte(dhcpv6.MessageTypeInformationRequest)
	for _, request := range [][]byte{four, six} {
		s.ids.learn(s.Explain(request).Reply)
	}
}

// asOurs is the request, naming us if it names a server.
func (s *identifiers) asOurs(request []byte) []byte {
	if packet.IsV4(request) {
		return s.asOurs4(request)
	}
	if s.six == nil {
		return request
	}
	req, err := dhcpv6.FromBytes(request)
	if err != nil {
		return request
	}
	msg, err := req.GetInnerMessage()
	if err != nil || msg.Options.ServerID() == nil {
		return request
	}
	var raw []byte
	if _, err := fmt.Sscanf(string(s.six), "%x", &raw); err != nil {
		return request
	}
	duid, err := dhcpv6.DUIDFromBytes(raw)
	if err != nil {
		return request
	}
	msg.Options.Update(dhcpv6.OptServerID(duid))
	return req.ToBytes()
}

func (s *identifiers) asOurs4(request []byte) []byte {
	if !s.four.Is4() {
		return request
	}
	req, err := dhcpv4.FromBytes(request)
	if err != nil || req.ServerIdentifier().To4() == nil {
		return request
	}
	theirs := append([]byte{54, 4}, req.ServerIdentifier().To4()...)
	return bytes.Replace(request, theirs, append([]byte{54, 4}, s.four.AsSlice()...), 1)
}

// Print writes a line for each phase.
func (r *Replay) Print(out io.Writer, style Style) error {
	rows := [][]string{{"CLIENT", "MESSAGE", "MACHINE", "REPLY", "DECIDED BY", "ANSWER"}}
	for _, p := range r.Phases {
		kind, machine, reply, at := p.Type, p.Machine, p.Reply, p.At
		if p.Count > 1 {
			kind = fmt.Sprintf("%s x%d", kind, p.Count)
		}
		if p.Relay != "" {
			machine += " via " + p.Relay
		}
		if reply == "" {
			reply = "none"
		}
		if at == "" {
			at = "-"
		}
		rows = append(rows, []string{p.Client, kind, machine, reply, at, p.Answer})
	}
	var b strings.Builder
	columns(&b, rows, style)
	for _, l := range r.Leases {
		b.WriteString("note: " + l.note() + "\n")
	}
	for _, n := range r.Notes {
		b.WriteString("note: " + n + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// columns writes rows in columns, the first as their heads.
func columns(b *strings.Builder, rows [][]string, style Style) {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for n, r := range rows {
		var text strings.Builder
		for i, cell := range r[:len(r)-1] {
			fmt.Fprintf(&text, "%-*s  ", widths[i], cell)
		}
		text.WriteString(r[len(r)-1])
		if n == 0 {
			b.WriteString(style.bold(text.String()) + "\n")
			continue
		}
		b.WriteString(text.String() + "\n")
	}
}
