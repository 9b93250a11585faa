package tftpd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// browser is an HTTP client on one connection that writes its own requests.
type browser struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func visit(t testing.TB, server string) *browser {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patient)))
	return &browser{t, conn, bufio.NewReader(conn)}
}

// reply is an answer as it came.
type reply struct {
	status string // the whole first line
	header http.Header
	body   []byte
}

// asks sends a request of these lines and reads the answer.
func (b *browser) asks(lines ...string) reply {
	b.t.Helper()
	_, err := io.WriteString(b.conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	must(b.t, err)
	var r reply
	r.header = http.Header{}
	r.status = b.line()
	for l := b.line(); l != ""; l = b.line() {
		key, value, _ := strings.Cut(l, ": ")
		r.header.Add(key, value)
	}
	size, err := strconv.Atoi(r.header.Get("Content-Length"))
	if strings.HasPrefix(lines[0], "HEAD ") || strings.Contains(r.status, " 304 ") {
		size = 0
	} else {
		must(b.t, err)
	}
	r.body = make([]byte, size)
	_, err = io.ReadFull(b.in, r.body)
	must(b.t, err)
	return r
}

func (b *browser) line() string {
	b.t.Helper()
	l, err := b.in.ReadString('\n')
	must(b.t, err)
	return strings.TrimSuffix(l, "\r\n")
}

func (b *browser) gets(path string, headers ...string) reply {
	b.t.Helper()
	return b.asks(append([]string{"GET " + path + " HTTP/1.1", "Host: 192.0.2.1"}, headers...)...)
}
