package tftpd

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// longestHashed is the size up to which a file is told by its content, in bytes: boot loaders, scripts and kernels.
	// Hashing it takes some 20 ms, once. A larger one is told by its state: with a hash that came later its tag would
	// change between a download and its resumption.
	longestHashed = 16 << 20
	maxTags       = 1024 // files remembered
)

// tags are the entity tags of files: the same content has the same tag on every server and after every copy, so that a
// broken download goes on elsewhere (RFC 9110 section 8.8.3).
type tags struct {
	now func() time.Time

	mu    sync.Mutex
	known map[generation]*contentTag
}

type contentTag struct {
	hash sync.Once
	tag  string
	err  error
}

// of is the tag of an open file. It reads a content once; whoever asks for it meanwhile waits.
func (t *tags) of(f File, info fs.FileInfo) (string, error) {
	file, plain := f.(*os.File)
	st, isFile := info.Sys().(*syscall.Stat_t)
	if !plain || !isFile || info.Size() > longestHashed {
		return etag(info), nil
	}
	key := generation{st.Dev, st.Ino, info.Size(), info.ModTime().UnixNano(), st.Ctim.Nano(), false}
	c := t.enter(key)
	c.hash.Do(func() {
		sum := sha256.New()
		if _, c.err = io.Copy(sum, io.NewSectionReader(file, 0, info.Size())); c.err == nil {
			c.tag = fmt.Sprintf(`"%x"`, sum.Sum(nil)[:12])
		}
	})
	if c.err != nil || t.now().Sub(key.lastChange()) < settled { // the next look may find other bytes
		t.forget(key, c)
	}
	return c.tag, c.err
}

func (t *tags) enter(key generation) *contentTag {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.known[key]
	if c == nil {
		if t.known == nil || len(t.known) >= maxTags {
			t.known = map[generation]*contentTag{}
		}
		c = &contentTag{}
		t.known[key] = c
	}
	return c
}

func (t *tags) forget(key generation, c *contentTag) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[key] == c {
		delete(t.known, key)
	}
}
