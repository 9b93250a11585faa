package tftpd

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/placeholder"
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
			mac, _ = netboot.ParseMAC(text)
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

// complain logs what the machine may not say, the first time that it says so.
func (w *who) complain(refused []string) {
	key := w.machine.MAC.String()
	if key == "" {
		key = w.rq.Client.String()
	}
	if w.s.told.first(key) {
		w.log().WithField("because", strings.Join(refused, "; ")).Warn("script: not taken from the query")
	}
}

// once remembers what was said.
type once struct {
	mu   sync.Mutex
	said map[string]bool
}

// maxSaid bounds it: who makes up as many machines is heard again.
const maxSaid = 4096

func (o *once) first(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[key] {
		return false
	}
	if o.said == nil || len(o.said) >= maxSaid {
		o.said = map[string]bool{}
	}
	o.said[key] = true
	return true
}

// patches know which files have placeholders, once for each content that a file has.
type patches struct {
	mu    sync.Mutex
	files map[string]*patch // by name
}

// patch is what is known of a file.
type patch struct {
	tag    string // of the content that was searched
	search sync.Once
	blocks []placeholder.Block
}

// maxPatches bounds the names that are known; files are few, and what is forgotten is searched again.
const maxPatches = 1024

// suffixes of what may have iPXE in it.
var suffixes = []string{".efi", ".iso", ".img", ".usb", ".dsk", ".kpxe", ".kkpxe", ".kkkpxe", ".pxe", ".lkrn", ".0"}

// open is f, or f with a script for w in its placeholders.
func (p *patches) open(f File, name string, w who) (File, error) {
	r, ok := f.(io.ReaderAt)
	if !ok || !mayHave(name) {
		return f, nil
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	blocks := p.of(name, etag(info), func() ([]placeholder.Block, error) { return placeholder.Find(r, info.Size()) }, w)
	if len(blocks) == 0 {
		return f, nil
	}
	text, err := w.render(w.s.Library.Load(), script.First)
	if err == nil {
		var spliced *placeholder.Spliced
		if spliced, err = placeholder.Splice(r, info.Size(), blocks, text); err == nil {
			return &patched{spliced, f, tag(text, etag(info))}, nil
		}
	}
	f.Close()
	return nil, err
}

func mayHave(name string) bool {
	name = strings.ToLower(name)
	for _, s := range suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// of searches a content once; whoever asks for it meanwhile waits.
func (p *patches) of(name, tag string, search func() ([]placeholder.Block, error), w who) []placeholder.Block {
	p.mu.Lock()
	known := p.files[name]
	if known == nil || known.tag != tag {
		if p.files == nil || len(p.files) >= maxPatches {
			p.files = map[string]*patch{}
		}
		known = &patch{tag: tag}
		p.files[name] = known
	}
	p.mu.Unlock()
	known.search.Do(func() {
		var err error
		if known.blocks, err = search(); err != nil && !errors.Is(err, fs.ErrClosed) {
			w.log().WithField("because", err.Error()).Warn("script: the file is served as it is")
		}
	})
	return known.blocks
}
