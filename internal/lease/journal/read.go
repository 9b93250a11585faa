package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// DamagedError is a file that lost something which had been reported as durable, or that is none of ours.
type DamagedError struct {
	File   string
	Offset int64 // where the first byte that cannot be read as written stands
	Why    string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s: damaged at byte %d: %s", e.File, e.Offset, e.Why)
}

// content is how far a file can be read.
type content struct {
	header
	base int64  // behind the snapshot that the file began with
	end  int64  // behind the last whole frame
	next uint64 // number of the frame that comes there
	torn bool   // something stands behind the end: the last write before a loss of power, which nobody was told of
}

// read hands every record of a file to each, oldest first.
func read(name string, f File, each func([]byte) error) (content, error) {
	h, err := readHeader(f)
	if err != nil {
		return content{}, &DamagedError{name, 0, err.Error()}
	}
	size, err := f.Size()
	if err != nil {
		return content{}, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); err != nil && (!errors.Is(err, io.EOF) || int64(n) < size) {
		return content{}, err
	}
	c := content{header: h, end: headerSize, next: 1}
	for {
		f, ok := parseFrame(b[c.end:], h.salt)
		if !ok || f.number != c.next {
			break
		}
		if err := records(f.payload, each); err != nil {
			return content{}, &DamagedError{name, c.end, err.Error()}
		}
		c.end += f.size()
		c.next++
		if f.durable == f.number {
			c.base = c.end
		}
	}
	rest := bytes.TrimRight(b[c.end:], "\x00")
	switch {
	case len(rest) == 0:
	case laterFrame(rest, c):
		return content{}, &DamagedError{name, c.end, "a write behind it says that it was on the disk"}
	case onlyItsLength(rest, h.salt), !torn(b[c.end:], len(rest), c.end):
		return content{}, &DamagedError{name, c.end, "the last write is there, and is not what was written"}
	default:
		c.torn = true
	}
	return c, nil
}

// laterFrame tells whether b has a whole frame which says that the frame at its beginning was durable. What looks like a
// frame and is none costs a checksum; more of them than chance makes are taken for damage.
func laterFrame(b []byte, c content) bool {
	const most = 1000
	tried := 0
	for at := range b {
		n := declaredSize(b[at:])
		if n == 0 || n > len(b)-at || b[at+n-1] != mark || binary.LittleEndian.Uint64(b[at+17:]) < c.next {
			continue
		}
		if _, ok := parseFrame(b[at:], c.salt); ok || tried == most {
			return true
		}
		tried++
	}
	return false
}

// onlyItsLength tells a frame that is whole but for its length, which would seem cut off.
func onlyItsLength(b []byte, salt uint64) bool {
	if len(b) < overhead || len(b) > maxFrame {
		return false
	}
	mended := bytes.Clone(b)
	binary.LittleEndian.PutUint32(mended[5:], uint32(len(b)-overhead))
	_, ok := parseFrame(mended, salt)
	return ok
}

// sector is the least that a disk writes at once, in bytes, or a divisor of it.
const sector = 512

// torn tells a write that was cut off by a loss of power from one that is damaged: what did not reach the disk is whole
// sectors, and they still hold the zeros that stood there before. b begins at offset in the file; what it holds that is
// not zero ends at last.
func torn(b []byte, last int, offset int64) bool {
	n := max(last, declaredSize(b))
	if n > len(b) { // the file did not grow as far
		return true
	}
	for at := 0; at < n; {
		next := min(n, at+sector-int((offset+int64(at))%sector))
		if len(bytes.TrimLeft(b[at:next], "\x00")) == 0 {
			return true
		}
		at = next
	}
	return false
}
