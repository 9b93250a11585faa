package probe

import (
	"encoding/json"
	"fmt"
	"io"
)

// Report is a boot for programs.
type Report struct {
	Interface string  `json:"interface"`
	MAC       string  `json:"mac"`
	UUID      string  `json:"uuid,omitempty"`
	Arch      string  `json:"arch"`
	Code      int     `json:"code"`
	Firmware  string  `json:"firmware"`
	Timeline  []Event `json:"timeline"`
	Notes     []Note  `json:"notes"`
	Verdict   Verdict `json:"verdict"`
}

// Report is the machine as it begins.
func (m *Machine) Report() *Report {
	f := &m.Firmware
	return &Report{Interface: m.link.Interface.Name, MAC: f.MAC.String(), UUID: f.UUID.String(), Arch: f.Arch.String(), Code: int(f.Arch),
		Firmware: f.Firmware.String(), Timeline: []Event{}, Notes: []Note{}}
}

// WriteJSON writes it.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteHead tells who is played.
func (r *Report) WriteHead(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s (arch %d) by %s on %s, as %s\n", r.Arch, r.Code, r.Firmware, r.Interface, r.MAC)
	return err
}

// WriteEvent writes a line of the timeline, and below a server's offer its options. All texts of servers in it are
// quoted, so that none reaches a terminal as it is.
func WriteEvent(w io.Writer, e Event) error {
	if _, err := fmt.Fprintf(w, "%7.3f  %-9s  %-9s  %s\n", e.At.Seconds(), e.Stage, e.What, e.Text); err != nil {
		return err
	}
	if e.Offer == nil || (e.Offer.Kind == "ACK" || e.Offer.Kind == "REPLY") && e.Offer.From.Port() != portPXE {
		return nil // what an ACK repeats has been shown
	}
	for _, f := range e.Offer.Fields {
		if f.Code == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "%32s%s: %s\n", "", f.Label(), f.Value); err != nil {
			return err
		}
	}
	return nil
}

// Write writes a verdict.
func (v Verdict) Write(w io.Writer) error {
	word := "DOES NOT BOOT"
	if v.Boots {
		word = "BOOTS"
	}
	text := fmt.Sprintf("\nverdict: %s: %s\n", word, v.Text)
	if v.Cause != "" {
		text += "likely cause: " + v.Cause + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
