package tftpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// Packet types, RFC 1350 section 5 and RFC 2347.
const (
	opRead  = 1
	opWrite = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOACK  = 6
)

// Error codes, RFC 1350 section 5 and RFC 2347.
const (
	codeUndefined  = 0 // see the text
	codeNotFound   = 1
	codeAccess     = 2
	codeIllegal    = 4
	codeUnknownTID = 5
	codeOptions    = 8
)

const headerSize = 4 // bytes before the data of DATA

// request is a read or write request as the client sent it.
type request struct {
	write    bool
	name     string
	netascii bool
	options  []option // known ones, in the order asked, each once
}

// option is one of RFC 2347; its name is in lower case.
type option struct{ name, value string }

var (
	errCut  = errors.New("a request that is cut off")
	errMode = errors.New("a request in a mode other than octet and netascii")
)

// parseRequest takes a datagram with a request's opcode apart. Options that are unknown or incomplete are left out, as
// RFC 2347 wants.
func parseRequest(b []byte) (request, error) {
	name, rest, named := cutText(b[2:])
	mode, rest, complete := cutText(rest)
	if !named || !complete {
		return request{}, errCut
	}
	r := request{write: opcode(b) == opWrite, name: name}
	switch strings.ToLower(mode) {
	case "octet":
	case "netascii":
		r.netascii = true
	default:
		return r, errMode
	}
	for {
		name, after, named := cutText(rest)
		value, after, complete := cutText(after)
		if !named || !complete {
			return r, nil
		}
		r.add(option{strings.ToLower(name), value})
		rest = after
	}
}

func (r *request) add(o option) {
	switch o.name {
	case "blksize", "tsize", "timeout", "windowsize":
	default:
		return
	}
	for _, earlier := range r.options {
		if earlier.name == o.name {
			return
		}
	}
	r.options = append(r.options, o)
}

// cutText takes one NUL-terminated text off b.
func cutText(b []byte) (text string, rest []byte, found bool) {
	before, after, found := bytes.Cut(b, []byte{0})
	return string(before), after, found
}

// opcode is 0 for a datagram too short to have one.
func opcode(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func isRequest(b []byte) bool { return opcode(b) == opRead || opcode(b) == opWrite }

// number is the block of ACK or the code of ERROR. What follows it is not looked at: the Windows boot manager's ACK
// has a fifth byte.
func number(b []byte) (uint16, bool) {
	if len(b) < headerSize {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[2:]), true
}

func errorPacket(code uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, opError}, code)
	return append(append(b, text...), 0)
}

// oack is nil if there is nothing to acknowledge.
func oack(options []option) []byte {
	if len(options) == 0 {
		return nil
	}
	b := []byte{0, opOACK}
	for _, o := range options {
		b = append(append(b, o.name...), 0)
		b = append(append(b, o.value...), 0)
	}
	return b
}
