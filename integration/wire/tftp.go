package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// TFTP's packet types (RFC 1350, RFC 2347).
const (
	opRead  = 1
	opWrite = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOACK  = 6
)

// tftpWatch follows TFTP transfers. A transfer is known by the client's port: it is new for each request, while the
// server's is not known before its first answer.
type tftpWatch struct {
	open map[netip.AddrPort]*tftpTransfer
	all  []*tftpTransfer
}

type tftpTransfer struct {
	Transfer
	server netip.Addr
	block  int64  // size of a full block
	last   uint16 // number of the newest block
	final  bool   // the newest block is the last of the file
}

func newTFTPWatch() *tftpWatch { return &tftpWatch{open: make(map[netip.AddrPort]*tftpTransfer)} }

func (w *tftpWatch) transfers() []Transfer {
	all := make([]Transfer, 0, len(w.all))
	for _, t := range w.all {
		all = append(all, t.Transfer)
	}
	return all
}

func (w *tftpWatch) see(p packet) {
	if len(p.payload) < 4 {
		return
	}
	op := binary.BigEndian.Uint16(p.payload)
	if p.to.Port() == tftpPort && (op == opRead || op == opWrite) {
		w.request(p)
		return
	}
	if t := w.open[p.from]; t != nil && t.server == p.to.Addr() {
		t.fromClient(op, p)
	} else if t := w.open[p.to]; t != nil && t.server == p.from.Addr() {
		t.fromServer(op, p)
	}
}

func (w *tftpWatch) request(p packet) {
	words := fields(p.payload[2:])
	if len(words) < 2 {
		return
	}
	if t := w.open[p.from]; t != nil && t.Name == words[0] && t.Received == 0 && t.Error == "" {
		return // the same request again: its answer was late or lost
	}
	t := &tftpTransfer{server: p.to.Addr(), block: 512}
	t.Transfer = Transfer{Protocol: TFTP, Method: "RRQ", Name: words[0], Start: p.at, End: p.at, Size: -1}
	if binary.BigEndian.Uint16(p.payload) == opWrite {
		t.Method = "WRQ"
	}
	t.Options = pairs(words[2:])
	w.open[p.from] = t
	w.all = append(w.all, t)
}

func (t *tftpTransfer) fromClient(op uint16, p packet) {
	t.End = p.at
	switch op {
	case opAck:
		if t.final && binary.BigEndian.Uint16(p.payload[2:]) == t.last {
			t.Whole = true
		}
	case opError:
		t.Error = "client " + reason(p.payload)
		// EDK2 asks for the size, refuses the answer and asks again for the file; iPXE refuses in the same way what
		// it finds already cached. Neither has failed.
		t.Probe = t.Received <= t.block && !t.Whole && strings.Contains(t.Options, "tsize")
	}
}

func (t *tftpTransfer) fromServer(op uint16, p packet) {
	t.End = p.at
	switch op {
	case opOACK:
		words := fields(p.payload[2:])
		t.Granted = pairs(words)
		for ; len(words) >= 2; words = words[2:] {
			n, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				continue
			}
			switch strings.ToLower(words[0]) {
			case "blksize":
				t.block = n
			case "tsize":
				t.Size = n
			}
		}
	case opData:
		if binary.BigEndian.Uint16(p.payload[2:]) != t.last+1 {
			return // a repetition
		}
		t.last++
		size := int64(len(p.payload) - 4)
		t.Received += size
		t.final = size < t.block
	case opError:
		t.Error = "server " + reason(p.payload)
	}
}

// pairs writes options as "name=value name=value".
func pairs(words []string) string {
	var options []string
	for ; len(words) >= 2; words = words[2:] {
		options = append(options, words[0]+"="+words[1])
	}
	return strings.Join(options, " ")
}

// fields splits the NUL-terminated texts of a request or an OACK.
func fields(b []byte) []string {
	parts := strings.Split(string(b), "\x00")
	return parts[:len(parts)-1] // what follows the last NUL is no text
}

// reason is an ERROR packet's code and message.
func reason(b []byte) string {
	message, _, _ := bytes.Cut(b[4:], []byte{0})
	return fmt.Sprintf("%d %s", binary.BigEndian.Uint16(b[2:]), message)
}
