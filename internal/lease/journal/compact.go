package journal

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// compaction is a new file that takes the place of the current one: a snapshot first, then what was appended while the
// snapshot was written.
type compaction struct {
	file current
	from int64 // in the old file: what stands behind is not in the snapshot
	err  error
}

// maybeCompact starts a compaction beside the writer when the file has grown enough.
func (j *Journal) maybeCompact() {
	c := &j.file
	if c.compact != nil || c.failure != nil || c.end-c.base < max(j.CompactAt, c.base) || c.end < c.retryAt {
		return
	}
	c.compact = &compaction{from: c.end}
	go func(k *compaction, generation uint64) {
		k.file, k.err = j.snapshot(generation)
		j.queue.mu.Lock()
		j.queue.news = append(j.queue.news, k)
		j.queue.wake.Signal()
		j.queue.mu.Unlock()
	}(c.compact, j.nextGeneration())
	j.compacting++
}

// nextGeneration names a new file. Each is used once, so that no two files are written under one name.
func (j *Journal) nextGeneration() uint64 {
	j.generation++
	return j.generation
}

// snapshot writes a new file that says all that the journal said.
func (j *Journal) snapshot(generation uint64) (c current, err error) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return c, err
	}
	c = current{fs: j.FS, ahead: j.Ahead, name: fileName(generation) + partial}
	_ = j.FS.Remove(c.name) // of an attempt that failed
	if c.File, err = j.FS.Create(c.name); err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			c.drop()
		}
	}()
	c.content = content{header: header{generation, binary.LittleEndian.Uint64(salt[:])}, end: headerSize, next: 1}
	if _, err = c.WriteAt(c.header.bytes(), 0); err != nil {
		return c, fmt.Errorf("write %s: %w", c.name, err)
	}
	c.size = headerSize
	var b batch
	for record := range j.Snapshot() {
		if b.add(record, nil); len(b.frames) > 1 {
			if err = c.putSnapshot(&b); err != nil {
				return c, err
			}
		}
	}
	if err = c.putSnapshot(&b); err == nil {
		err = c.grow(c.end + 1)
	}
	if err == nil { // here, and not in the writer, which everybody waits for
		err = c.sync()
	}
	c.base = c.end
	return c, err
}

// putSnapshot writes frames that say of themselves that they are durable: nobody sees the file before they are.
func (c *current) putSnapshot(b *batch) error {
	for i, f := range b.frames {
		b.frames[i] = endFrame(f, c.next, c.next, c.salt)
		if err := c.put(b.frames[i]); err != nil {
			return err
		}
	}
	b.reset()
	return nil
}

// adopt ends a compaction: the new file catches up and takes over, if the one that it began from is still current.
func (j *Journal) adopt(k *compaction) {
	j.compacting--
	old := &j.file
	current := old.compact == k && old.failure == nil
	if old.compact == k {
		old.compact = nil
	}
	switch {
	case k.err != nil:
	case !current:
		k.file.drop()
		return
	default:
		if k.err = k.catchUp(old); k.err != nil {
			k.file.drop()
		} else if k.err = j.takeOver(k.file); k.err == nil {
			return
		}
	}
	old.retryAt = old.end + j.CompactAt
	tell := j.Grows
	if old.failure != nil {
		tell = j.Failed
	}
	if tell != nil {
		tell(fmt.Errorf("compact: %w", k.err))
	}
}

// drop removes a file that did not become the current one.
func (c *current) drop() {
	c.Close()
	_ = c.fs.Remove(c.name)
}

// catchUp copies what the old file got since the snapshot began; it is durable before the file is seen, too.
func (k *compaction) catchUp(old *current) error {
	b := make([]byte, old.end-k.from)
	if _, err := old.ReadAt(b, k.from); err != nil {
		return fmt.Errorf("read %s: %w", old.name, err)
	}
	var tail batch
	for len(b) > 0 {
		f, ok := parseFrame(b, old.salt)
		if !ok {
			return &DamagedError{old.name, old.end - int64(len(b)), "it does not read as it was written"}
		}
		if err := records(f.payload, func(r []byte) error { tail.add(r, nil); return nil }); err != nil {
			return err
		}
		b = b[f.size():]
	}
	return k.file.putSnapshot(&tail)
}

// takeOver makes a file that is written durable under its name, and the one that records go to. It drops one that it
// cannot.
func (j *Journal) takeOver(next current) error {
	final := fileName(next.generation)
	err := next.sync()
	if err == nil {
		err = j.FS.Rename(next.name, final)
	}
	if err != nil {
		next.drop()
		return err
	}
	next.name = final
	if err := j.FS.Sync(); err != nil {
		// Which file a loss of power would leave is not known, so no more may go into the old one.
		next.Close()
		j.file.failure = err
		return err
	}
	old := j.file
	j.file = next
	if old.File != nil {
		old.Close()
		_ = j.FS.Remove(old.name) // else the next start does
	}
	return nil
}

// renew begins a new file where the old one cannot be trusted, or where there is none.
func (j *Journal) renew() error {
	next, err := j.snapshot(j.nextGeneration())
	if err != nil {
		return err
	}
	return j.takeOver(next)
}

// settle ends what is under way when the journal closes.
func (j *Journal) settle() {
	q := &j.queue
	for j.compacting > 0 {
		q.mu.Lock()
		for len(q.news) == 0 {
			q.wake.Wait()
		}
		news := q.news
		q.news = nil
		q.mu.Unlock()
		for _, k := range news {
			j.adopt(k)
		}
	}
}
