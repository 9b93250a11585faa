// Package placeholder finds, in a file, the script that stands in for another: a site builds iPXE with it embedded, and
// each machine gets that iPXE with a script of its own in the same place.
//
// iPXE compresses its BIOS builds, so a placeholder can be found in EFI builds and in images of disks only.
package placeholder

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

const (
	// Size is that of the placeholder which Text makes, in bytes. A script may be as long.
	Size = 16 << 10
	// Longest is the largest file that is searched, in bytes: iPXE and its images have few MiB, other images many.
	Longest = 64 << 20

	most = 16 // placeholders in a file: an image may hold a build for each architecture
)

// The first lines of a placeholder, and its last. What is between them does not matter. The size is that of the whole,
// first line to last, so that placeholders of another size will be understood.
const (
	magic   = "#!ipxe\n# netboot-placeholder 7a2f9d7e-5b0c-4e62-9f35-1c8f0d6a3b41 size="
	header  = magic + "00000000\n"
	trailer = "\n# netboot-placeholder end\n"
	digits  = 8
)

// Text is the placeholder as a script. Run as it is, it boots as an iPXE without a script does.
func Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%0*d\n", magic, digits, Size)
	b.WriteString("# A file server, or netbootctl embed, puts a script here. Embed this file as it is.\nautoboot\n")
	const line = "###############################################################\n"
	for b.Len()+len(line)+len(trailer) <= Size {
		b.WriteString(line)
	}
	for b.Len()+len(trailer) < Size {
		b.WriteByte('#')
	}
	b.WriteString(trailer)
	return b.Bytes()
}

// Block is where a placeholder stands in a file, in bytes.
type Block struct{ Offset, Size int64 }

// Broken is an error that says where a placeholder is not whole.
type Broken string

func (b Broken) Error() string { return string(b) }

// Find looks for the placeholders in the size bytes of r; a file longer than Longest has none. The error is of reading, or Broken.
func Find(r io.ReaderAt, size int64) (found []Block, err error) {
	if size > Longest {
		return nil, nil
	}
	const chunk = 256 << 10
	buffer := make([]byte, chunk+len(header)-1) // the overlap finds what lies across two chunks
	for at := int64(0); at < size && len(found) < most; at += chunk {
		n, err := r.ReadAt(buffer[:min(int64(len(buffer)), size-at)], at)
		if err != nil && err != io.EOF {
			return nil, err
		}
		for rest, base := buffer[:n], at; ; {
			i := bytes.Index(rest, []byte(magic))
			if i < 0 || len(rest)-i < len(header) || base+int64(i) >= at+chunk {
				break
			}
			b, err := whole(r, size, base+int64(i), rest[i+len(magic):i+len(header)])
			if err != nil {
				return nil, err
			}
			if n := len(found); n == 0 || b.Offset >= found[n-1].Offset+found[n-1].Size { // none inside another
				found = append(found, b)
			}
			rest, base = rest[i+len(header):], base+int64(i+len(header))
		}
	}
	return found, nil
}

// whole holds what the first line of a placeholder says against what is there.
func whole(r io.ReaderAt, size, at int64, line []byte) (Block, error) {
	n, err := strconv.ParseInt(string(line[:digits]), 10, 64)
	b := Block{at, n}
	if err != nil || line[digits] != '\n' || n < int64(len(header)+len(trailer)) || at+n > size {
		return b, Broken(fmt.Sprintf("the placeholder at byte %d is broken in its first lines; embed it as netbootctl writes it", at))
	}
	last := make([]byte, len(trailer))
	if _, err := r.ReadAt(last, at+n-int64(len(trailer))); err != nil {
		return b, err
	}
	if string(last) != trailer {
		return b, Broken(fmt.Sprintf("the placeholder at byte %d does not end %d bytes further on; embed it as netbootctl writes it, uncompressed", at, n))
	}
	return b, nil
}
