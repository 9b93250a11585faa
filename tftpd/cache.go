package tftpd

import (
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Bounds of what the cache holds in memory, in bytes: boot loaders fit, kernels and images are read as they are sent.
const (
	largestSnapshot = 4 << 20
	allSnapshots    = 16 << 20
	generatedInRAM  = 64 << 10 // of content that nobody shares, such as a script made for one machine
)

// settled is the age of a file's last change from which on its bytes are kept. A younger file may still be written to,
// within the grain of its modification time, and would change unnoticed.
const settled = 2 * time.Second

// generation is one state of a file: a file that is replaced or changed is another one.
type generation struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // ns
	text              bool  // converted to netascii
}

func (g generation) lastChange() time.Time { return time.Unix(0, max(g.modified, g.changed)) }

// cache shares open files and their bytes between the transfers of one generation: a thousand machines that fetch the
// same loader take one descriptor at most, and one copy.
type cache struct {
	now func() time.Time

	mu    sync.Mutex
	all   map[generation]*content
	idle  []*content // without users, kept for their bytes; the one used last is last
	bytes int64      // in memory or about to be
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, all: map[generation]*content{}}
}

// take returns the content of a file that has just been opened, as text if netascii asks for it and it is. It owns f
// from then on; release gives the content back.
func (k *cache) take(f File, netascii bool) (*content, error) {
	info, err := sizeOf(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	c := &content{size: info.Size(), file: f}
	if netascii {
		if netascii, err = c.isText(); err != nil {
			f.Close()
			return nil, err
		}
	}
	if netascii && c.size > longestText {
		f.Close()
		return nil, errLongText
	}
	c, fresh := k.enter(c, info, netascii)
	if !fresh {
		f.Close()
	}
	c.ready.Do(func() { c.err = k.prepare(c, netascii) })
	if c.err != nil {
		k.release(c)
		return nil, c.err
	}
	return c, nil
}

// enter finds the content that others use already, or makes c known. What does not come from a disk is never shared.
func (k *cache) enter(c *content, info fs.FileInfo, text bool) (known *content, fresh bool) {
	c.users = 1
	st, isFile := info.Sys().(*syscall.Stat_t)
	if _, plain := c.file.(*os.File); !isFile || !plain {
		return c, true
	}
	c.key = generation{st.Dev, st.Ino, info.Size(), info.ModTime().UnixNano(), st.Ctim.Nano(), text}
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.all[c.key]; known != nil {
		if known.users == 0 {
			k.idle = slices.DeleteFunc(k.idle, func(i *content) bool { return i == known })
		}
		known.users++
		return known, false
	}
	k.all[c.key] = c
	return c, true
}

// prepare decides where the bytes are, and brings them there.
func (k *cache) prepare(c *content, text bool) error {
	shared := c.key != generation{}
	old := shared && k.now().Sub(c.key.lastChange()) >= settled
	switch {
	case text && !k.reserve(c, 2*c.size): // when every character is a line feed
		return errMuchText
	case text, !shared && c.size <= generatedInRAM, old && c.size <= largestSnapshot && k.reserve(c, c.size):
	default:
		return nil
	}
	if err := c.load(); err != nil {
		return err
	}
	if text {
		c.netascii()
	}
	err := c.file.Close()
	c.file = nil
	return err
}

// reserve takes memory for c, at the cost of bytes that nobody uses.
func (k *cache) reserve(c *content, size int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.bytes+size > allSnapshots && len(k.idle) > 0 {
		k.forget(k.idle[0])
		k.idle = k.idle[1:]
	}
	if k.bytes+size > allSnapshots {
		return false
	}
	c.held = size
	k.bytes += size
	return true
}

func (k *cache) forget(c *content) {
	delete(k.all, c.key)
	k.bytes -= c.held
	if c.file != nil {
		c.file.Close()
	}
}

// release ends a use. Bytes in memory are kept until others need the room.
func (k *cache) release(c *content) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.users--
	switch {
	case c.users > 0:
	case c.held > 0 && c.err == nil && c.key != generation{}:
		k.idle = append(k.idle, c)
	default:
		k.forget(c)
	}
}
