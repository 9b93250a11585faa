package wire

import (
	"bytes"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// httpWatch follows HTTP/1.1 exchanges, one at a time on each connection, as boot firmware makes them.
type httpWatch struct {
	open map[netip.AddrPort]*httpTransfer // by the client's end
	all  []*httpTransfer
}

type httpTransfer struct {
	Transfer
	head []byte          // of the answer, until it is complete
	seen map[uint32]bool // sequence numbers of the server's segments: a repetition must not count twice
}

func newHTTPWatch() *httpWatch { return &httpWatch{open: make(map[netip.AddrPort]*httpTransfer)} }

func (w *httpWatch) transfers() []Transfer {
	all := make([]Transfer, 0, len(w.all))
	for _, t := range w.all {
		all = append(all, t.Transfer)
	}
	return all
}

func (w *httpWatch) see(p packet) {
	if p.to.Port() == httpPort {
		w.request(p)
		return
	}
	t := w.open[p.to]
	if t == nil || p.from.Port() != httpPort {
		return
	}
	if len(p.payload) > 0 && !t.seen[p.tcp.Seq] {
		t.seen[p.tcp.Seq] = true
		t.answer(p)
	}
	if p.tcp.FIN && t.Size < 0 && t.Status != 0 {
		t.Whole = true // an answer without a length ends with its connection
	}
}

func (w *httpWatch) request(p packet) {
	line, _, ok := bytes.Cut(p.payload, []byte("\r\n"))
	words := strings.Fields(string(line))
	if !ok || len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return // a later segment, or a bare acknowledgement
	}
	if t := w.open[p.from]; t != nil && t.Status == 0 && t.Name == words[1] && t.Method == words[0] {
		return // sent again
	}
	t := &httpTransfer{seen: make(map[uint32]bool)}
	t.Transfer = Transfer{Protocol: HTTP, Method: words[0], Name: words[1], Start: p.at, End: p.at, Size: -1}
	w.open[p.from] = t
	w.all = append(w.all, t)
}

func (t *httpTransfer) answer(p packet) {
	t.End = p.at
	body := p.payload
	if t.Status == 0 {
		t.head = append(t.head, p.payload...)
		head, rest, ok := bytes.Cut(t.head, []byte("\r\n\r\n"))
		if !ok || !bytes.HasPrefix(head, []byte("HTTP/")) {
			return
		}
		body = rest
		t.readHead(string(head))
	}
	t.Received += int64(len(body))
	t.Whole = t.Method == http.MethodHead || t.Size >= 0 && t.Received >= t.Size
}

func (t *httpTransfer) readHead(head string) {
	lines := strings.Split(head, "\r\n")
	if words := strings.Fields(lines[0]); len(words) >= 2 {
		t.Status, _ = strconv.Atoi(words[1])
	}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		if !strings.EqualFold(name, "Content-Length") {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
			t.Size = n
		}
	}
}
