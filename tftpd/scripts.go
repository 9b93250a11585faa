package tftpd

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/script"
)

// Scripts serves each machine the scripts of a library as they are rendered for it, and other files from Behind, with
// the machine's script in the place of a placeholder.
//
// Who asks is told by the query (HTTP), by a name that begins with m/ and a MAC address, or else by Neighbour. The
// directory m is no other's, then.
type Scripts struct {
	Behind    Files
	Library   *live.Value[script.Library]
	Log       logrus.FieldLogger
	Neighbour func(netip.Addr) (netboot.MAC, bool)

	told    once
	patches patches
}

// Open implements Files.
func (s *Scripts) Open(rq Request) (File, error) {
	m, refused := script.Ask(rq.Query)
	name, mac := identity(rq.Name)
	if !m.MAC.Known() {
		m.MAC = mac
	}
	if !m.IP.IsValid() {
		m.IP = rq.Client.WithZone("")
	}
	w := who{s, m, rq, name}
	if len(refused) > 0 {
		w.complain(refused)
	}
	// One library for the whole answer.
	if l := s.Library.Load(); l.Has(name) {
		text, err := w.render(l, name)
		if err != nil {
			return nil, err
		}
		return newRendered(name, text), nil
	}
	rq.Name = name
	f, err := s.Behind.Open(rq)
	if err != nil {
		return nil, err
	}
	return s.patches.open(f, name, w)
}

// identity takes the MAC address out of a name like m/52-54-00-aa-bb-01/ipxe.efi. A script that was asked for so
// names the next one relative to itself, so it may be there twice; the last counts. What is no address tells nothing.
func identity(name string) (rest string, mac netboot.MAC) {
	for {
		behind, ok := strings.CutPrefix(name, "m/")
		if !ok {
			return name, mac
		}
		if text, next, ok := strings.Cut(behind, "/"); ok {
			behind = next
			if said, err := netboot.ParseMAC(text); err == nil {
				mac = said
			}
		}
		name = behind
	}
}

// who is one request, and the machine that made it.
type who struct {
	s       *Scripts
	machine script.Machine
	rq      Request
	name    string
}

func (w *who) render(l *script.Library, name string) ([]byte, error) {
	if !w.machine.Identified() && w.s.Neighbour != nil {
		w.machine.MAC, _ = w.s.Neighbour(w.rq.Client)
	}
	out, err := l.Render(name, w.machine)
	if err != nil {
		return nil, err
	}
	log := w.log().WithField("script", out.Name)
	if out.Because != "" {
		log = log.WithField("because", out.Because)
	}
	log.Info("script")
	return out.Text, nil
}

func (w *who) log() *logrus.Entry {
	return w.s.Log.WithFields(logrus.Fields{"machine": shorten(w.machine.String()), "client": w.rq.Client.String(), "file": shorten(w.name)})
}

// complain logs what the machine may not say, the first time that it says so; of who makes up machines, a few times.
func (w *who) complain(refused []string) {
	key := w.machine.MAC.String()
	if key == "" {
		key = w.rq.Client.String()
	}
	if w.s.told.first(w.rq.Client, key) {
		w.log().WithField("because", strings.Join(refused, "; ")).Warn("script: not taken from the query")
	}
}

// once remembers what was said of whom.
type once struct {
	mu   sync.Mutex
	said map[string]bool
	of   map[netip.Prefix]int // how often, by network
}

const (
	maxSaid   = 4096 // things remembered; who comes after as many others is heard again
	maxSaidOf = 8    // of one IPv4 address, or one IPv6 network
)

func (o *once) first(from netip.Addr, key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	network, _ := from.Prefix(bits) // the zero prefix for who has no address
	if o.said[key] || o.of[network] >= maxSaidOf {
		return false
	}
	if o.said == nil || len(o.said) >= maxSaid {
		o.said, o.of = map[string]bool{}, map[netip.Prefix]int{}
	}
	o.said[key] = true
	o.of[network]++
	return true
}
