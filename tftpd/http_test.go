package tftpd_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/tftpd"
)

func TestAFileOfAnyLanguageIsServed(t *testing.T) {
	l := newLab(t)
	l.has("b\u00fccher", []byte("x"))
	wants(t, visit(t, l.http("[::1]:0")).gets("/b%C3%BCcher"), "HTTP/1.1 200 OK", "application/octet-stream", []byte("x"))
}

func TestPathsAreCleanedAsForTFTP(t *testing.T) {
	l := newLab(t)
	l.has("sub/two words", []byte("x"))
	b := visit(t, l.http("[::1]:0"))
	for _, path := range []string{"/sub/two%20words", "//sub//two%20words", "/./sub/two%20words", "/sub%5Ctwo%20words", "/a/../sub/two%20words",
		"http://192.0.2.1/sub/two%20words"} {
		wants(t, b.gets(path), "HTTP/1.1 200 OK", "application/octet-stream", []byte("x"))
	}
}

func TestOnlyGetAndHeadAreAllowed(t *testing.T) {
	l := newLab(t)
	l.has("x", nil)
	server := l.http("127.0.0.1:0")
	for n, line := range []string{"PUT /x", "POST /x", "DELETE /x", "OPTIONS *", "TRACE /x", "PROPFIND /"} {
		r := visit(t, server).asks(line+" HTTP/1.1", "Host: 192.0.2.1")
		if r.status != "HTTP/1.1 405 Method Not Allowed" || r.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %s %v", line, r.status, r.header)
		}
		if e := l.diary.entry(t, n+1); e.Data["result"] != "refused" || e.Level != logrus.WarnLevel {
			t.Errorf("%s is logged as %s %v", line, e.Level, e.Data)
		}
	}
}

func TestABrokenDownloadIsResumedOnlyIfTheFileIsTheSame(t *testing.T) {
	l := newLab(t)
	content := random(10_000)
	l.has("x.efi", content)
	full := filepath.Join(l.root, "x.efi")
	info, err := os.Stat(full)
	must(t, err)
	b := visit(t, l.http("127.0.0.1:0"))
	r := b.gets("/x.efi")
	tag, date := r.header.Get("Etag"), r.header.Get("Last-Modified")
	if !strings.HasPrefix(tag, `"`) || date != info.ModTime().UTC().Format(http.TimeFormat) {
		t.Fatalf("validators %s and %s", tag, date)
	}
	resume := func(condition string) reply { return b.gets("/x.efi", "Range: bytes=9000-", condition) }
	for _, condition := range []string{"If-Match: " + tag, "If-Range: " + tag, "If-Unmodified-Since: " + date} {
		r := resume(condition)
		wants(t, r, "HTTP/1.1 206 Partial Content", "application/efi", content[9000:])
		if got := r.header.Get("Content-Range"); got != "bytes 9000-9999/10000" {
			t.Errorf("%s: Content-Range %s", condition, got)
		}
	}
	if r := b.gets("/x.efi", "If-None-Match: "+tag); r.status != "HTTP/1.1 304 Not Modified" {
		t.Error(r.status)
	}
	if r := b.gets("/x.efi", "Range: bytes=10000-"); !strings.HasPrefix(r.status, "HTTP/1.1 416 ") {
		t.Error(r.status)
	}

	// Another file of the same size and time takes its place.
	other := bytes.Repeat([]byte("x"), len(content))
	must(t, os.WriteFile(full+".new", other, 0o644))
	must(t, os.Chtimes(full+".new", info.ModTime(), info.ModTime()))
	must(t, os.Rename(full+".new", full))
	if r := resume("If-Match: " + tag); r.status != "HTTP/1.1 412 Precondition Failed" {
		t.Error(r.status)
	}
	wants(t, resume("If-Range: "+tag), "HTTP/1.1 200 OK", "application/efi", other)
}

func TestAFileIsKnownByItsContentAndNotByItsPlace(t *testing.T) {
	content := random(1_000_000)
	var seen []string
	for range 2 { // two servers, or one that was restored
		l := newLab(t)
		l.has("x.efi", content)
		l.has("copy/x.efi", content)
		long := time.Now().Add(-time.Hour)
		must(t, os.Chtimes(filepath.Join(l.root, "copy/x.efi"), long, long))
		b := visit(t, l.http("127.0.0.1:0"))
		for _, name := range []string{"/x.efi", "/copy/x.efi"} {
			seen = append(seen, b.asks("HEAD "+name+" HTTP/1.1", "Host: h").header.Get("Etag"))
		}
	}
	for _, tag := range seen {
		if tag != seen[0] || len(tag) != 26 {
			t.Errorf("tags of one content: %v", seen)
		}
	}
	l := newLab(t)
	l.has("x.efi", content)
	b := visit(t, l.http("127.0.0.1:0"))
	changed := bytes.Clone(content)
	changed[len(changed)-1]++
	before := b.gets("/x.efi").header.Get("Etag")
	l.has("x.efi", changed) // in place, of the same size, within the grain of its time
	if after := b.gets("/x.efi").header.Get("Etag"); before != seen[0] || after == before {
		t.Errorf("a changed file has the tag %s after %s", after, before)
	}
}

func TestALargeFileIsKnownByItsStateAndNotRead(t *testing.T) {
	l := newLab(t)
	l.sparse("big.iso", 64<<30)
	b := visit(t, l.http("127.0.0.1:0"))
	first := b.asks("HEAD /big.iso HTTP/1.1", "Host: h").header.Get("Etag")
	if second := b.asks("HEAD /big.iso HTTP/1.1", "Host: h").header.Get("Etag"); first != second || first == "" {
		t.Errorf("tags %s and %s", first, second)
	}
}

func TestEachRequestIsOneLogLineAndOneCount(t *testing.T) {
	for _, c := range []struct {
		request, file, result string
		status                int
		bytes                 int64
		level                 logrus.Level
	}{
		{"GET /x.efi?mac=1", "x.efi", "sent", 200, 700, logrus.InfoLevel},
		{"HEAD /x.efi", "x.efi", "sent", 200, 0, logrus.InfoLevel},
		{"GET /none", "none", "missing", 404, 0, logrus.InfoLevel},
		{"GET /../secret%0Alevel=error", "/../secret\nlevel=error", "refused", 404, 0, logrus.WarnLevel},
	} {
		t.Run(c.request, func(t *testing.T) {
			l := newLab(t)
			l.has("x.efi", random(700))
			var looks atomic.Int64
			l.config.Now = func() time.Time { return time.Now().Add(time.Duration(looks.Add(1)) * 90 * time.Second) }
			b := visit(t, l.http("127.0.0.1:0"))
			agent := `UefiHttpBoot/1.0" level=error ` + strings.Repeat("x", 1000)
			b.asks(c.request+" HTTP/1.1", "Host: 192.0.2.1", "User-Agent: "+agent)
			e := l.diary.entry(t, 1)
			method, _, _ := strings.Cut(c.request, " ")
			for key, want := range map[string]any{
				"client": b.conn.LocalAddr().String(), "method": method, "file": c.file, "result": c.result, "status": c.status,
				"bytes": c.bytes, "agent": agent[:300] + "...",
			} {
				if e.Data[key] != want {
					t.Errorf("%s is logged as %v, want %v", key, e.Data[key], want)
				}
			}
			if e.Message != "http" || e.Level != c.level {
				t.Errorf("logged %s %q", e.Level, e.Message)
			}
			eventually(t, "a line is written", func() bool { return strings.HasSuffix(l.diary.text.String(), "\n") })
			text := l.diary.text.String()
			if strings.Count(text, "\n") != 1 || !strings.Contains(text, `agent="UefiHttpBoot/1.0\" level=error xxx`) {
				t.Errorf("the agent is not quoted: %s", text)
			}
			if n := l.metric(tftpd.MetricTransfers, "http", c.result); n != 1 {
				t.Errorf("%v requests are counted as %s", n, c.result)
			}
			if n := l.metric(tftpd.MetricBytes, "http"); n != float64(c.bytes) {
				t.Errorf("%v bytes are counted", n)
			}
			if n := l.metric(tftpd.MetricSize, "http", c.result); n != float64(c.bytes) {
				t.Errorf("a transfer of %v bytes is counted", n)
			}
			if n := l.metric(tftpd.MetricDuration, "http", c.result); n < 90 {
				t.Errorf("a transfer of %v seconds is counted", n)
			}
		})
	}
}

func TestAnHTTPPanicCostsOneRequestOnly(t *testing.T) {
	l := newLab(t)
	l.has("good", []byte("good"))
	dirs := l.config.Files
	l.config.Files = files(func(rq tftpd.Request) (tftpd.File, error) {
		switch rq.Name {
		case "open":
			panic("trap")
		case "broken":
			return nil, errors.New("disk on fire at /secret/path")
		case "private":
			return nil, fs.ErrPermission
		case "read":
			f, err := dirs.Open(tftpd.Request{Name: "good"})
			return trap{f}, err
		}
		return dirs.Open(rq)
	})
	b := visit(t, l.http("127.0.0.1:0"))
	for path, status := range map[string]string{"/open": "500 Internal Server Error", "/broken": "500 Internal Server Error", "/private": "403 Forbidden"} {
		if r := b.gets(path); r.status != "HTTP/1.1 "+status || bytes.Contains(r.body, []byte("path")) {
			t.Errorf("%s: %s %q", path, r.status, r.body)
		}
	}
	// Once the header is out, only a cut connection tells the client that its file is not whole.
	other := visit(t, b.conn.RemoteAddr().String())
	_, err := io.WriteString(other.conn, "GET /read HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	if got, _ := io.ReadAll(other.in); bytes.HasSuffix(got, []byte("good")) {
		t.Errorf("%q", got)
	}
	if e := l.diary.entry(t, 4); e.Level != logrus.ErrorLevel || e.Data["because"] != "panic: trap" {
		t.Errorf("logged %s %v", e.Level, e.Data)
	}
	wants(t, b.gets("/good"), "HTTP/1.1 200 OK", "application/octet-stream", []byte("good"))
}

// sparse puts a file below the root that takes no disk.
func (l *lab) sparse(name string, size int64) {
	l.t.Helper()
	f, err := os.Create(filepath.Join(l.root, name))
	must(l.t, err)
	must(l.t, errors.Join(f.Truncate(size), f.Close()))
}

// starts asks for a file and reads no more than its first bytes.
func (b *browser) starts(path string) {
	b.t.Helper()
	_, err := io.WriteString(b.conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	must(b.t, err)
	for b.line() != "" {
		continue // the header
	}
	_, err = io.ReadFull(b.in, make([]byte, 300))
	must(b.t, err)
}

func TestAClientThatStopsReadingIsGivenUp(t *testing.T) {
	l := newLab(t)
	l.config.Stall = 50 * time.Millisecond
	l.sparse("big.iso", 1<<30)
	visit(t, l.http("127.0.0.1:0")).starts("/big.iso")
	if e := l.diary.entry(t, 1); e.Data["result"] != "silent" {
		t.Errorf("logged %v", e.Data)
	}
}

func TestASlowClientIsNotGivenUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.config.Stall = 2 * time.Second
	l.sparse("big.iso", 64<<20)
	b := visit(t, l.http("127.0.0.1:0"))
	b.starts("/big.iso")
	for range 30 {
		_, err := io.CopyN(io.Discard, b.in, 1<<20)
		must(t, err)
		<-time.After(l.config.Stall / 10) // the slowness is the story: three times what a standstill may last
	}
	_, err := io.CopyN(io.Discard, b.in, 34<<20-300)
	must(t, err)
	if e := l.diary.entry(t, 1); e.Data["result"] != "sent" {
		t.Errorf("logged %v", e.Data)
	}
}

func TestAClientThatHangsUpIsNoFailure(t *testing.T) {
	l := newLab(t)
	l.sparse("big.iso", 1<<30)
	b := visit(t, l.http("127.0.0.1:0"))
	b.starts("/big.iso")
	b.conn.Close()
	if e := l.diary.entry(t, 1); e.Data["result"] != "aborted" || e.Level != logrus.InfoLevel {
		t.Errorf("logged %s %v", e.Level, e.Data)
	}
}
