// Package tftp fetches files as many booting machines do at once, and checks every byte, option and acknowledgement.
package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Opcodes of RFC 1350 and RFC 2347.
const opRRQ, opData, opACK, opError, opOACK = 1, 3, 4, 5, 6

// Options are what a client asks for, or was granted. Zero: not asked for, or not granted.
type Options struct {
	Blksize    int  // RFC 2348
	Windowsize int  // RFC 7440
	TSize      bool // RFC 2349
}

// EDK2 is what UEFI firmware asks for; the size, in a request of its own, which it aborts (see Request.Probe).
func EDK2() Options { return Options{Blksize: 1468, Windowsize: 4} }

// IPXE is what iPXE asks for.
func IPXE() Options { return Options{Blksize: 1432, TSize: true} }

// rrq is the read request for a file.
func rrq(name string, o Options) []byte {
	b := fmt.Appendf([]byte{0, opRRQ}, "%s\x00octet\x00", name)
	if o.TSize {
		b = append(b, "tsize\x000\x00"...)
	}
	if o.Blksize > 0 {
		b = fmt.Appendf(b, "blksize\x00%d\x00", o.Blksize)
	}
	if o.Windowsize > 0 {
		b = fmt.Appendf(b, "windowsize\x00%d\x00", o.Windowsize)
	}
	return b
}

// readOACK reads what was granted, and refuses what was not asked for.
func readOACK(b []byte, asked Options, size int) (granted Options, err error) {
	fields := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if len(b) == 0 || b[len(b)-1] != 0 || len(fields)%2 != 0 {
		return granted, errors.New("OACK with half an option")
	}
	for i := 0; i < len(fields); i += 2 {
		value, err := strconv.Atoi(fields[i+1])
		if err != nil {
			return granted, fmt.Errorf("OACK with %s %q", fields[i], fields[i+1])
		}
		switch name := fields[i]; {
		case name == "blksize" && value >= 8 && value <= asked.Blksize:
			granted.Blksize = value
		case name == "windowsize" && value >= 1 && value <= asked.Windowsize:
			granted.Windowsize = value
		case name == "tsize" && asked.TSize && value == size:
			granted.TSize = true
		default:
			return granted, fmt.Errorf("OACK with %s %d, for a file of %d bytes and a request for %+v", name, value, size, asked)
		}
	}
	return granted, nil
}

// readError is the server's ERROR as an error.
func readError(b []byte) error {
	if len(b) < 4 {
		return errors.New("cut ERROR")
	}
	text, _, _ := bytes.Cut(b[4:], []byte{0})
	return fmt.Errorf("server says %d %q", binary.BigEndian.Uint16(b[2:]), text)
}
