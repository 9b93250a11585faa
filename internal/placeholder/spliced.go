package placeholder

import (
	"errors"
	"fmt"
	"io"
)

// Spliced is a file with a script in the place of each placeholder, of the file's size. It copies nothing: what is
// read comes from the file, from the script, or is the line ends that fill up a block. One at a time may read it.
type Spliced struct {
	file   io.ReaderAt
	size   int64
	blocks []Block // in the order of the file
	script []byte
	at     int64
}

// Splice puts script into the blocks, which Find returned for file. A script that does not fit is an error with both sizes.
func Splice(file io.ReaderAt, size int64, blocks []Block, script []byte) (*Spliced, error) {
	for _, b := range blocks {
		if int64(len(script)) > b.Size {
			return nil, fmt.Errorf("the script has %d bytes, and the placeholder holds %d; shorten it, or chain to a longer one", len(script), b.Size)
		}
	}
	return &Spliced{file: file, size: size, blocks: blocks, script: script}, nil
}

// Read implements io.Reader.
func (s *Spliced) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	if left := s.size - s.at; int64(len(p)) > left {
		p = p[:left]
	}
	for _, b := range s.blocks {
		switch inside := s.at - b.Offset; {
		case inside >= b.Size:
			continue // behind it
		case inside < 0: // before it
			return s.fromFile(p[:min(int64(len(p)), -inside)])
		default:
			return s.fromScript(p[:min(int64(len(p)), b.Size-inside)], inside), nil
		}
	}
	return s.fromFile(p)
}

func (s *Spliced) fromFile(p []byte) (int, error) {
	n, err := s.file.ReadAt(p, s.at)
	s.at += int64(n)
	if errors.Is(err, io.EOF) && n > 0 {
		err = nil // said at the next read
	}
	return n, err
}

func (s *Spliced) fromScript(p []byte, inside int64) int {
	n := 0
	if inside < int64(len(s.script)) {
		n = copy(p, s.script[inside:])
	}
	for i := n; i < len(p); i++ {
		p[i] = '\n' // also ends a last line that has no end
	}
	s.at += int64(len(p))
	return len(p)
}

// Seek implements io.Seeker.
func (s *Spliced) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of the file")
	}
	s.at = offset
	return offset, nil
}
