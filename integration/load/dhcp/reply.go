package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Reply is what the generator looks at in a server's message. Its slices point into the message.
type Reply struct {
	XID      uint32
	MAC      [6]byte
	Type     byte    // option 53, 0 where absent
	Address  [4]byte // yiaddr
	Next     [4]byte // siaddr
	Server   [4]byte // option 54, 0 where absent
	field    []byte  // the header's file, up to its NUL
	bootFile []byte  // option 67 without a NUL at its end
}

// Made once, so that a flood of bad answers costs no memory.
var replyErrors = [...]error{
	errors.New("shorter than a message's fixed part"), errors.New("no BOOTREPLY for Ethernet"),
	errors.New("no magic cookie"), errors.New("an option reaches beyond the end"), errors.New("no option 255 at the end"),
	errors.New("option 53 or 54 has a wrong length"),
}

// Read parses a message as strictly as EDK2 does: every option inside the datagram, and option 255 at the end.
func (r *Reply) Read(b []byte) error {
	switch {
	case len(b) < atOptions:
		return replyErrors[0]
	case b[0] != bootReply || b[1] != 1 || b[2] != 6:
		return replyErrors[1]
	case binary.BigEndian.Uint32(b[atCookie:]) != cookie:
		return replyErrors[2]
	}
	*r = Reply{XID: binary.BigEndian.Uint32(b[atXID:])}
	copy(r.Address[:], b[atYiaddr:])
	copy(r.Next[:], b[atSiaddr:])
	copy(r.MAC[:], b[atChaddr:])
	r.field = b[atFile:][:fileLength]
	if end := bytes.IndexByte(r.field, 0); end >= 0 {
		r.field = r.field[:end]
	}
	for rest := b[atOptions:]; len(rest) > 0; {
		switch rest[0] {
		case optionPad:
			rest = rest[1:]
			continue
		case optionEnd:
			return nil
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return replyErrors[3]
		}
		value := rest[2:][:rest[1]]
		switch rest[0] {
		case optionType:
			if len(value) != 1 {
				return replyErrors[5]
			}
			r.Type = value[0]
		case optionServer:
			if len(value) != 4 {
				return replyErrors[5]
			}
			copy(r.Server[:], value)
		case optionBootFile:
			r.bootFile = bytes.TrimRight(value, "\x00")
		}
		rest = rest[2+len(value):]
	}
	return replyErrors[4]
}

// File is the boot file that the firmware would fetch: EDK2 looks at option 67 first, everyone else at the header.
func (r *Reply) File(p Profile) []byte {
	first, second := r.field, r.bootFile
	if p.Firmware == PXE && p.Arch != 0 {
		first, second = second, first
	}
	if len(first) > 0 {
		return first
	}
	return second
}
