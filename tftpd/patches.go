package tftpd

import (
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/coredhcp-netboot/suite/internal/placeholder"
	"github.com/coredhcp-netboot/suite/internal/script"
)

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
	err    error // of reading
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
	blocks, err := p.of(name, etag(info), func() ([]placeholder.Block, error) { return placeholder.Find(r, info.Size()) }, w)
	if err != nil {
		f.Close()
		return nil, err
	}
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

// of searches a content once; whoever asks for it meanwhile waits. What could not be read is searched again.
func (p *patches) of(name, tag string, search func() ([]placeholder.Block, error), w who) ([]placeholder.Block, error) {
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
		known.blocks, known.err = search()
		var broken placeholder.Broken
		if errors.As(known.err, &broken) {
			known.err = nil
			w.log().WithField("because", broken.Error()).Warn("script: the file is served as it is")
		}
	})
	if known.err != nil {
		p.forget(name, known)
	}
	return known.blocks, known.err
}

func (p *patches) forget(name string, known *patch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files[name] == known {
		delete(p.files, name)
	}
}
