package subnets

import (
	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// durability is strict or relaxed.
type durability struct{ store.Durability }

func (d *durability) UnmarshalText(b []byte) (err error) {
	d.Durability, err = store.ParseDurability(string(b))
	return err
}

// told is a program or a URL that hears of leases.
type told struct{ hook.Config }

func (h *told) UnmarshalText(b []byte) (err error) {
	h.Config, err = hook.Parse(string(b))
	return err
}

// keeps are the settings of the leases in the file at path.
func (f *File) keeps(path string) store.Settings {
	s := store.Settings{Durability: f.Durability.Durability, Hook: f.Hook.Config}
	if f.DHCPDLeases != "" {
		s.DHCPDLeases = conf.Resolve(path, f.DHCPDLeases)
	}
	return s
}

// Dir is the directory in which the leases of a file are kept.
func (p *Policy) Dir() string { return p.dir }
