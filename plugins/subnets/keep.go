package subnets

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
)

// durability is strict or relaxed.
type durability struct{ store.Durability }

func (d *durability) UnmarshalText(b []byte) (err error) {
	d.Durability, err = store.ParseDurability(string(b))
	return err
}

// told is a program or a URL that hears of leases: in one word, or with more to say.
type told struct {
	hook.Config
	conf.Pos
}

// ToldKeys are what can be said of a hook.
type ToldKeys struct {
	Run     conf.List[string]              `yaml:"run"`
	URL     string                         `yaml:"url"`
	Events  conf.List[conf.At[lease.Kind]] `yaml:"events"`
	Timeout conf.At[wait]                  `yaml:"timeout"`
	AtOnce  conf.At[int]                   `yaml:"at-once"`
	Queue   conf.At[int]                   `yaml:"queue"`
}

// wait is how long a hook may take.
type wait struct{ time.Duration }

func (w *wait) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil || d < time.Second || d > hook.MaxTimeout {
		return fmt.Errorf("%q is no time for a hook; write one between 1s and 1h", b)
	}
	w.Duration = d
	return nil
}

// DecodeConf implements conf.Custom.
func (h *told) DecodeConf(v conf.Value) {
	h.Pos = v.Pos
	if word, single := v.Text(); single {
		h.Config = hook.Of(word)
	} else {
		var k ToldKeys
		v.Into(&k)
		h.Config = hook.Config{Run: k.Run, URL: k.URL, Timeout: k.Timeout.V.Duration, AtOnce: k.AtOnce.V, Queue: k.Queue.V}
		for _, e := range k.Events {
			h.Events = append(h.Events, e.V)
		}
		bounded(v, "at-once", k.AtOnce, hook.MaxAtOnce)
		bounded(v, "queue", k.Queue, hook.MaxQueue)
		if !h.On() {
			v.Fail("hook names neither a program nor a URL; add run: /usr/local/bin/on-lease or url: http://192.0.2.1:8080/leases")
		}
	}
	check := h.Config
	check.AtOnce, check.Queue = 0, 0 // which have places of their own
	for _, err := range check.Mistakes() {
		v.Fail("%v", err)
	}
}

func bounded(v conf.Value, key string, n conf.At[int], most int) {
	if n.Line > 0 && (n.V < 1 || n.V > most) {
		v.FailAt(n.Pos, "%s: %d is not between 1 and %d; correct it", key, n.V, most)
	}
}

// keeps are the settings of the leases in the file at path.
func (f *File) keeps(path string) store.Settings {
	s := store.Settings{Durability: f.Durability.Durability, Hook: f.Hook.Config}
	if f.DHCPDLeases.V != "" {
		s.DHCPDLeases = conf.Resolve(path, f.DHCPDLeases.V)
	}
	return s
}

// Here tells what of the file this host does not have. The daemon needs all of it before its start; who looks at the file on
// another host need not.
func (p *Policy) Here() error {
	var missing conf.Problems
	for _, kept := range []struct {
		key, path string
		at        conf.Pos
	}{{"leases", p.dir, p.places.leases}, {"dhcpd-leases", p.keeps.DHCPDLeases, p.places.copied}} {
		parent := filepath.Dir(kept.path)
		if st, err := os.Stat(parent); kept.path != "" && (err != nil || !st.IsDir()) {
			missing.Add(kept.at, "%s: this host has no directory %s; create it", kept.key, parent)
		}
	}
	if st, err := os.Stat(p.dir); err == nil && !st.IsDir() {
		missing.Add(p.places.leases, "leases: %s is no directory; move it away, or name another", p.dir)
	}
	return append(missing, p.missingHook()...).Err()
}

func (p *Policy) missingHook() (missing conf.Problems) {
	if err := p.keeps.Hook.Missing(); err != nil {
		missing.Add(p.places.hook, "%v", err)
	}
	return missing
}

// places are where the file names what the host must have.
type places struct{ leases, copied, hook conf.Pos }

// Dir is the directory in which the leases of a file are kept.
func (p *Policy) Dir() string { return p.dir }
