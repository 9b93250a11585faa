package explain

import (
	"encoding/hex"

	"github.com/coredhcp-netboot/suite/internal/packet"
	"github.com/coredhcp-netboot/suite/server"
)

// writers remember which plugin of a chain wrote each part of a reply.
type writers struct {
	last server.Link
	by   map[part]string
	seen map[part]string // its value so far
}

// part is a header field or an option of a reply; nth tells those apart that are there several times.
type part struct {
	name string
	code int
	nth  int
}

// parts are the fields of a message with their keys.
func parts(message []byte) ([]packet.Field, []part) {
	fields, _ := packet.Fields(message)
	keys := make([]part, len(fields))
	count := map[part]int{}
	for i, f := range fields {
		k := part{f.Name, f.Code, 0}
		keys[i] = part{f.Name, f.Code, count[k]}
		count[k]++
	}
	return fields, keys
}

// hear is a server.Step.
func (w *writers) hear(l server.Link, reply []byte) {
	w.last = l
	if reply == nil {
		return
	}
	if w.by == nil {
		w.by, w.seen = map[part]string{}, map[part]string{}
	}
	fields, keys := parts(reply)
	for i, k := range keys {
		if before, there := w.seen[k]; !there || before != fields[i].Hex {
			w.by[k], w.seen[k] = l.Plugin, fields[i].Hex
		}
	}
}

// reply is the reply for a person.
func (w *writers) reply(b []byte) *Reply {
	r := &Reply{Type: packet.Type(b), Size: len(b), Hex: hex.EncodeToString(b)}
	fields, keys := parts(b)
	for i, f := range fields {
		r.Fields = append(r.Fields, Field{f, w.by[keys[i]]})
	}
	return r
}
