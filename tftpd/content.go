package tftpd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// content is a file's bytes at the size that it had when it was opened, which is the size that tsize told the client.
// Its bytes are in memory, or are read from the file when they are sent.
type content struct {
	size  int64
	bytes []byte // nil: in the file
	file  File

	users int        // transfers; of the cache
	key   generation // of the cache
	held  int64      // bytes of memory taken for it; of the cache
	ready sync.Once
	err   error // of making it ready
}

// block is the n bytes at an offset, fewer at the end. They are the content's own or in the buffer, which must hold n.
func (c *content) block(at int64, n int, buffer []byte) ([]byte, error) {
	n = int(min(int64(n), c.size-at))
	switch {
	case n == 0:
		return nil, nil
	case c.bytes != nil:
		return c.bytes[at : at+int64(n)], nil
	}
	return buffer[:n], readAt(c.file, buffer[:n], at)
}

// readAt fills b from a file. One that has no ReadAt belongs to a single transfer, and is moved.
func readAt(f File, b []byte, at int64) (err error) {
	defer func() {
		if p := recover(); p != nil { // generated content is other people's code
			err = panicked(p)
		}
	}()
	var n int
	if r, ok := f.(io.ReaderAt); ok {
		n, err = r.ReadAt(b, at)
	} else if _, err = f.Seek(at, io.SeekStart); err == nil {
		n, err = io.ReadFull(f, b)
	}
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errShrunk
	}
	return err
}

// load takes the whole file into memory.
func (c *content) load() error {
	b := make([]byte, c.size)
	if err := readAt(c.file, b, 0); err != nil {
		return err
	}
	c.bytes = b
	return nil
}

// sniffed is how much of a file tells text from anything else, in bytes.
const sniffed = 4096

// isText tells whether the file's first bytes could be text: no NUL, nothing above ASCII. A boot image that a client
// asks for in netascii, because that is its default, must not be converted.
func (c *content) isText() (bool, error) {
	head, err := c.block(0, sniffed, make([]byte, sniffed))
	for _, b := range head {
		if b == 0 || b > 0x7f {
			return false, err
		}
	}
	return err == nil, err
}

// netascii converts the text in memory: LF becomes CR LF, CR becomes CR NUL (RFC 764, page 13).
func (c *content) netascii() {
	converted := make([]byte, 0, c.size+c.size/16)
	for _, b := range c.bytes {
		switch b {
		case '\n':
			converted = append(converted, '\r', '\n')
		case '\r':
			converted = append(converted, '\r', 0)
		default:
			converted = append(converted, b)
		}
	}
	c.bytes, c.size = converted, int64(len(converted))
}

// longestText bounds a text that is converted, which happens in memory.
const longestText = 4 << 20

var errMuchText = errors.New("there is no memory left to convert a text; ask for it in mode octet")

var errLongText = fmt.Errorf("a text of more than %d MiB is not converted; ask for it in mode octet", longestText>>20)

// sizeOf is the size of an open file.
func sizeOf(f File) (fs.FileInfo, error) {
	info, err := f.Stat()
	if err == nil && info.Size() < 0 {
		err = fmt.Errorf("a size of %d bytes", info.Size())
	}
	return info, err
}
