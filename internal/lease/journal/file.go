package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// current is the file that records go to. Only the writer uses it.
type current struct {
	File
	fs       FS
	ahead    int64
	name     string
	content            // where the next frame goes
	size     int64     // of the file, zeros and all
	durable  uint64    // number of the last frame that is on stable storage
	unsynced bool      // something was written and not synced
	failure  error     // the file cannot be trusted any more
	renewAt  time.Time // not before then
	compact  *compaction
	retryAt  int64 // no compaction before the file has this size
}

// append writes a batch behind the last frame. Nothing of it is durable before the sync.
func (c *current) append(b *batch) error {
	for i, f := range b.frames {
		if i > 0 { // so that a frame which is there tells of the one before
			if err := c.sync(); err != nil {
				return err
			}
		}
		if err := c.grow(c.end + int64(len(f)) + 1); err != nil {
			return err
		}
		b.frames[i] = endFrame(f, c.next, c.durable, c.salt)
		if err := c.put(b.frames[i]); err != nil {
			return err
		}
	}
	return nil
}

// put writes a whole frame.
func (c *current) put(frame []byte) error {
	if _, err := c.WriteAt(frame, c.end); err != nil {
		return fmt.Errorf("write %s: %w", c.name, err)
	}
	c.next++
	c.end += int64(len(frame))
	c.size = max(c.size, c.end)
	return nil
}

// grow sees to it that zeros stand up to an offset and beyond.
func (c *current) grow(need int64) error {
	if need <= c.size {
		return nil
	}
	zeros := make([]byte, need-c.size+c.ahead)
	if _, err := c.WriteAt(zeros, c.size); err != nil {
		return fmt.Errorf("enlarge %s: %w", c.name, err)
	}
	c.size += int64(len(zeros))
	return nil
}

func (c *current) sync() error {
	c.unsynced = false
	if err := c.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", c.name, err)
	}
	c.durable = c.next - 1
	return nil
}

func (c *current) close() error {
	if c.File == nil {
		return c.failure
	}
	return errors.Join(c.failure, c.Close())
}

// suffix and partial end the names of journals, and of those that are not whole yet.
const (
	suffix  = ".journal"
	partial = ".partial"
)

// fileName sorts as the generation does.
func fileName(generation uint64) string { return fmt.Sprintf("%016x%s", generation, suffix) }

// recover opens the newest file of the directory, removes what a crash has left beside it, and replays it.
func (j *Journal) recover() error {
	names, err := j.FS.Names()
	if err != nil {
		return err
	}
	var whole []string
	for _, n := range names {
		switch {
		case strings.HasSuffix(n, partial):
			err = errors.Join(err, j.FS.Remove(n))
		case strings.HasSuffix(n, suffix):
			whole = append(whole, n)
		}
	}
	if err != nil {
		return err
	}
	if len(whole) == 0 {
		j.file = current{fs: j.FS, ahead: j.Ahead}
		return j.renew()
	}
	newest := slices.Max(whole)
	if j.file, err = j.reopen(newest); err != nil {
		return err
	}
	j.generation = j.file.content.generation
	for _, n := range whole {
		if n != newest {
			err = errors.Join(err, j.FS.Remove(n))
		}
	}
	return err
}

// reopen reads a file and makes it ready to be appended to.
func (j *Journal) reopen(name string) (c current, err error) {
	f, err := j.FS.Open(name)
	if err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	c = current{File: f, fs: j.FS, ahead: j.Ahead, name: name}
	if c.content, err = read(name, f, j.Replay); err != nil {
		return c, err
	}
	if newest := fileName(c.content.generation); name != newest {
		return c, &DamagedError{name, 0, "its header says that its name is " + newest}
	}
	if c.torn { // its remains must not be taken for damage next time
		if err = f.Truncate(c.end); err != nil {
			return c, fmt.Errorf("cut %s: %w", name, err)
		}
	}
	// A process that was killed may have left what only the kernel has.
	if err = c.sync(); err != nil {
		return c, err
	}
	c.size, err = f.Size()
	return c, err
}
