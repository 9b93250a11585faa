package explain

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/capture"
	"github.com/coredhcp-netboot/suite/internal/packet"
)

// Changes are what two maps answer differently.
type Changes struct {
	Asked   int      `json:"asked"`   // requests that were compared
	Changed int      `json:"changed"` // of them
	Changes []Change `json:"changes"`
	Notes   []string `json:"notes,omitempty"`
}

// Change is one difference, and whom it is for.
type Change struct {
	Who    []string     `json:"who"`
	Old    Side         `json:"old"`
	New    Side         `json:"new"`
	Fields []FieldDiffs `json:"fields"`
}

// Side is what one of the maps says.
type Side struct {
	At     string `json:"at"` // file:line; empty: no entry decides
	Answer string `json:"answer"`
}

// FieldDiffs is a header field or option that differs; a side without it is empty.
type FieldDiffs struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// comparison asks two maps.
type comparison struct {
	old, now *Server
	changes  Changes
	index    map[string]int
	listed   map[listing]bool
}

// listing is somebody in the list of a change.
type listing struct {
	change int
	who    string
}

// compare runs ask with two servers of the configuration at path: one with the boot map that it names, and one with old.
// All else of the chain is left out: it does not depend on the map.
func compare(path, old string, ask func(*comparison) error) (changes Changes, err error) {
	now, err := Open(path, Options{OnlyBoot: true})
	if err != nil {
		return Changes{}, err
	}
	defer func() { err = errors.Join(err, now.Close()) }()
	before, err := now.with(Options{OnlyBoot: true, Map: old})
	if err != nil {
		return Changes{}, fmt.Errorf("--against: %w", err)
	}
	c := &comparison{old: before, now: now, index: map[string]int{}, listed: map[listing]bool{}, changes: Changes{Changes: []Change{}}}
	err = ask(c)
	return c.changes, err
}

// CompareRequest compares what one request to this port is answered: the one that request makes for a server.
func CompareRequest(path, old string, request func(*Server) []byte, port uint16) (Changes, error) {
	return compare(path, old, func(c *comparison) error {
		c.ask(request(c.now), port, "", "")
		return nil
	})
}

// CompareCapture compares what each request of a capture is answered.
func CompareCapture(path, old string, r io.Reader) (Changes, error) {
	return compare(path, old, func(c *comparison) error {
		err := eachRequest(r, func(_ time.Time, request []byte, port uint16) error {
			c.ask(request, port, "", "")
			return nil
		})
		if errors.Is(err, capture.ErrCut) {
			c.changes.Notes = append(c.changes.Notes, "the capture "+err.Error()+": what comes after is missing")
			err = nil
		}
		if err != nil {
			return fmt.Errorf("--pcap: the capture %w", err)
		}
		return nil
	})
}

// ask compares one request. who names its client; empty: by what the request tells. One who differs from the plain kind
// of machine in a way that does not matter is not listed beside it.
func (c *comparison) ask(request []byte, port uint16, plain, who string) {
	c.changes.Asked++
	request = c.now.asOwn(request, port)
	if c.old.raw(request, port) == c.now.raw(request, port) {
		return
	}
	c.changes.Changed++
	before, after := c.old.ExplainAt(request, port), c.now.ExplainAt(request, port)
	if who == "" {
		who = after.Client.name() + " " + after.kind() + " " + after.Client.machine()
	}
	change := Change{Old: before.side(), New: after.side(), Fields: diffs(before.Reply, after.Reply)}
	key := fmt.Sprint(change)
	i, seen := c.index[key]
	if !seen {
		i = len(c.changes.Changes)
		c.index[key] = i
		c.changes.Changes = append(c.changes.Changes, change)
	}
	if l := (listing{i, who}); !c.listed[l] && !c.listed[listing{i, plain}] {
		c.listed[l] = true
		c.changes.Changes[i].Who = append(c.changes.Changes[i].Who, who)
	}
}

// raw is the reply to a request as it would be sent, empty where there is none.
func (s *Server) raw(request []byte, port uint16) string {
	var reply []byte
	switch {
	case !packet.IsV4(request):
		reply, _ = s.chain.Answer6(request, nil)
	case s.config.Server4 != nil && s.hears(port):
		reply, _ = s.chain.AnswerFrom4(request, s.facts(port), nil)
	}
	return string(reply)
}

func (x *Explanation) side() Side {
	if x.Decides != nil {
		return Side{x.Decides.At, x.Decides.Why}
	}
	return Side{"", x.Outcome}
}

// diffs are the fields of two replies that differ.
func diffs(before, after *Reply) (list []FieldDiffs) {
	type pair struct{ was, is string }
	values := map[string]*pair{}
	var order []string
	gather := func(r *Reply, set func(*pair, string)) {
		if r == nil {
			return
		}
		for _, f := range r.Fields {
			if values[f.Label()] == nil {
				values[f.Label()] = &pair{}
				order = append(order, f.Label())
			}
			set(values[f.Label()], f.Value)
		}
	}
	gather(before, func(p *pair, v string) { p.was = v })
	gather(after, func(p *pair, v string) { p.is = v })
	for _, label := range order {
		if p := values[label]; p.was != p.is {
			list = append(list, FieldDiffs{label, p.was, p.is})
		}
	}
	return list
}

// Print writes the changes for a person.
func (c *Changes) Print(out io.Writer, style Style) error {
	t := &table{style: style}
	for _, change := range c.Changes {
		people(t, change.Who)
		t.row("was", style.red(change.Old.text()))
		t.row("is", style.green(change.New.text()))
		for _, f := range change.Fields {
			t.row(f.Name, or(f.Old, "(none)")+" -> "+or(f.New, "(none)"))
		}
		t.blank()
	}
	for _, n := range c.Notes {
		t.line("note: " + n)
	}
	if c.Changed == 0 {
		t.line(fmt.Sprintf("nothing changes for any of %d requests", c.Asked))
	} else {
		t.line(fmt.Sprintf("%d of %d requests are answered differently", c.Changed, c.Asked))
	}
	t.blank()
	_, err := io.WriteString(out, strings.TrimRight(t.String(), "\n")+"\n")
	return err
}

func (s Side) text() string {
	if s.At == "" {
		return s.Answer
	}
	return s.At + "  " + s.Answer
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// people are those a change is for, as many as a person reads.
func people(t *table, who []string) {
	const most = 12
	for _, w := range who[:min(len(who), most)] {
		t.line(t.style.bold(w))
	}
	if len(who) > most {
		t.line(t.style.bold(fmt.Sprintf("and %d more", len(who)-most)))
	}
}
