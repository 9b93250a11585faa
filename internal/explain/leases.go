package explain

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// Leases tells from which leases a plugin answers here.
type Leases struct {
	Plugin string `json:"plugin"`
	Of     string `json:"of"`     // the file or directory in which the daemon keeps them
	Copied bool   `json:"copied"` // a copy of them as they stand; otherwise of none: every machine is new
	Why    string `json:"why,omitempty"`
}

// copies is how a plugin comes to its leases.
func (s *Server) copies(plugin string) store.Copies {
	return store.Copies{Scratch: s.scratch, Told: func(c store.Copied) {
		l := Leases{Plugin: plugin, Of: s.place(c.Of), Copied: c.Err == nil}
		switch {
		case c.Err == nil:
		case errors.Is(c.Err, fs.ErrNotExist):
			l.Why = "there are none yet"
		case errors.Is(c.Err, fs.ErrPermission):
			l.Why = "only the daemon's user may read them; run this as that user, or as root"
		default:
			l.Why = c.Err.Error()
		}
		s.leases = append(s.leases, l)
	}}
}

// leasesOf are those that a section of the configuration answers from.
func (s *Server) leasesOf(family string) (all []Leases) {
	for _, section := range s.config.Sections() {
		for _, p := range section.Plugins {
			for _, l := range s.leases {
				if section.Name == family && p.Name == l.Plugin && !slices.Contains(all, l) {
					all = append(all, l)
				}
			}
		}
	}
	return all
}

// note tells it to a person.
func (l Leases) note() string {
	if l.Copied {
		return "leases of " + l.Plugin + ": a copy of " + l.Of + " as it stands, without the offers of the last two minutes"
	}
	return "leases of " + l.Plugin + ": none, so that every machine is new; " + l.Of + ": " + l.Why
}
