package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/integration/wire"
)

// Event is one line of a boot's timeline.
type Event struct {
	At   time.Duration // since power on
	Took time.Duration // of a transfer; 0 for what is only a moment
	Who  string        // Machine or Servers
	What string        // Power, Screen, ...
	Text string
	Bad  bool // something failed here
}

// The actors of a timeline, and what its lines are about.
const (
	Machine = "machine"
	Servers = "servers"

	Power  = "power"
	Screen = "screen"
	Script = "script" // a line that the lab's script printed
	DHCP   = "dhcp"
	TFTP   = "tftp"
	HTTP   = "http"
)

// MarshalJSON writes times as seconds, which every language reads.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Seconds float64 `json:"seconds"`
		Took    float64 `json:"took_seconds,omitempty"`
		Who     string  `json:"who"`
		What    string  `json:"what"`
		Text    string  `json:"text"`
		Bad     bool    `json:"bad,omitempty"`
	}{e.At.Seconds(), e.Took.Seconds(), e.Who, e.What, e.Text, e.Bad})
}

// milestones are the console lines of firmware and boot loaders that tell a reader where the machine is.
var milestones = regexp.MustCompile(`Open Source Network Boot Firmware|^SeaBIOS \(version|` +
	`^>>Start (PXE|HTTP Boot) over IPv4|NBP file downloaded|PXE-E\d+|Nothing to boot|Error:|` +
	`No bootable device|Could not start|failed to load|Exec format error|Shell>`)

// Timeline is the boot in the order it happened, from wire and console.
func (b *Boot) Timeline() []Event {
	events := []Event{{Who: Machine, What: Power, Text: "on"}}
	since := func(t time.Time) time.Duration { return max(0, t.Sub(b.PowerOn)) }
	for _, m := range b.Trace.DHCP {
		who := Servers
		if m.FromClient {
			who = Machine
		}
		text := fmt.Sprintf("%-8s  %s", m.Type, m)
		events = append(events, Event{At: since(m.At), Who: who, What: DHCP, Text: text})
	}
	for _, t := range b.Trace.Transfers {
		text, bad := describe(t)
		events = append(events, Event{
			At: since(t.Start), Took: t.End.Sub(t.Start), Who: Machine, What: strings.ToLower(string(t.Protocol)), Text: text, Bad: bad,
		})
	}
	for _, l := range b.Console {
		if text, ours := strings.CutPrefix(l.Text, says); ours {
			events = append(events, Event{At: since(l.At), Who: Machine, What: Script, Text: text})
		} else if milestones.MatchString(l.Text) {
			text, _, _ := strings.Cut(l.Text, " -- ") // iPXE's name and version, without its slogan
			events = append(events, Event{At: since(l.At), Who: Machine, What: Screen, Text: text})
		}
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].At < events[j].At })
	return events
}

// describe tells what became of a transfer.
func describe(t wire.Transfer) (text string, bad bool) {
	text = t.Method + " " + t.Name
	switch {
	case t.Probe:
		return text + "  asks for the size only", false
	case strings.HasPrefix(t.Error, "server 1"):
		return text + "  not found", false // clients ask for files that need not exist
	case t.Error != "":
		return text + "  ended by " + t.Error, true
	case t.Status == 404:
		return text + "  not found", false
	case t.Status >= 400:
		return fmt.Sprintf("%s  status %d", text, t.Status), true
	case t.Method == http.MethodHead && t.Status != 0:
		return fmt.Sprintf("%s  %d bytes to come", text, t.Size), false
	case t.Whole:
		return fmt.Sprintf("%s  %d bytes", text, t.Received), false
	case t.Received == 0:
		return text + "  unanswered", true
	default:
		return fmt.Sprintf("%s  broken off after %d bytes", text, t.Received), true
	}
}

// String is the event as a line of a plain table.
func (e Event) String() string {
	took := ""
	if e.Took > 0 {
		took = fmt.Sprintf("in %.3f s", e.Took.Seconds())
	}
	return strings.TrimRight(fmt.Sprintf("%8.3f s  %-7s  %-6s  %s  %s", e.At.Seconds(), e.Who, e.What, e.Text, took), " ")
}

// save writes what was seen into the boot's directory, for the reader of a failed test.
func (b *Boot) save() error {
	var lines, screen strings.Builder
	for _, e := range b.Timeline() {
		fmt.Fprintln(&lines, e)
	}
	for _, c := range b.Checks {
		fmt.Fprintf(&lines, "%-5t  %s\n", c.OK, c)
	}
	for _, l := range b.Console {
		fmt.Fprintf(&screen, "%8.3f s  %s\n", l.At.Sub(b.PowerOn).Seconds(), l.Text)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(b.Dir, "timeline.txt"), []byte(lines.String()), 0o644),
		os.WriteFile(filepath.Join(b.Dir, "console.txt"), []byte(screen.String()), 0o644))
}
