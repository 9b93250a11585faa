package tftpd

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"github.com/coredhcp-netboot/suite/internal/placeholder"
)

// perMachine is a File whose content depends on who asks.
type perMachine interface {
	ETag() string // as etag makes it
}

// tag tells one text from another, and one file with it from another file.
func tag(text []byte, file string) string {
	sum := sha256.Sum256(text)
	if unquoted, err := strconv.Unquote(file); err == nil {
		file = "-" + unquoted
	}
	return fmt.Sprintf(`"%x%s"`, sum[:12], file)
}

// rendered is a script as a File.
type rendered struct {
	*bytes.Reader
	info scriptInfo
	etag string
}

func newRendered(name string, text []byte) *rendered {
	return &rendered{bytes.NewReader(text), scriptInfo{path.Base(name), int64(len(text))}, tag(text, "")}
}

func (r *rendered) Close() error               { return nil }
func (r *rendered) Stat() (fs.FileInfo, error) { return r.info, nil }
func (r *rendered) ETag() string               { return r.etag }

// scriptInfo is a file that was never written: it has no time, so HTTP tells none.
type scriptInfo struct {
	name string
	size int64
}

func (i scriptInfo) Name() string       { return i.name }
func (i scriptInfo) Size() int64        { return i.size }
func (i scriptInfo) Mode() fs.FileMode  { return 0o444 }
func (i scriptInfo) ModTime() time.Time { return time.Time{} }
func (i scriptInfo) IsDir() bool        { return false }
func (i scriptInfo) Sys() any           { return nil }

// patched is a file with a script in the place of its placeholder. Reading it closes nothing; Close closes the file.
type patched struct {
	*placeholder.Spliced
	file File
	etag string
}

func (p *patched) Close() error { return p.file.Close() }
func (p *patched) ETag() string { return p.etag }

// Stat is the file's, without its time: what stands in the placeholder may be newer.
func (p *patched) Stat() (fs.FileInfo, error) {
	info, err := p.file.Stat()
	if err != nil {
		return nil, err
	}
	return scriptInfo{info.Name(), info.Size()}, nil
}
