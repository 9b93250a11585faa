package tftpd_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/placeholder"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// embedded is iPXE as a site builds it, as far as a file server can see.
func embedded() []byte {
	return bytes.Join([][]byte{random(300_000), placeholder.Text(), random(70_001)}, nil)
}

func withScript(file []byte, script string) []byte {
	at := bytes.Index(file, placeholder.Text())
	out := bytes.Clone(file)
	copy(out[at:at+placeholder.Size], script+strings.Repeat("\n", placeholder.Size-len(script)))
	return out
}

func TestEachMachineGetsTheBinaryWithItsScriptInside(t *testing.T) {
	l := newLab(t)
	build := embedded()
	l.has("site.efi", build)
	l.has("notes.txt", build) // not for iPXE: served as it is
	plain := random(100_000)
	l.has("ipxe.efi", plain)
	_, s := l.scripts(site())
	s.Neighbour = func(netip.Addr) (netboot.MAC, bool) { return netboot.MAC{}, false }
	want := withScript(build, forOldDell)

	d, err := fetch(t, l.tftp("127.0.0.1:0"), "m/52-54-00-aa-bb-01/site.efi", "blksize", "1428", "tsize", "0")
	if err != nil || !bytes.Equal(d.content, want) || d.options["tsize"] != fmt.Sprint(len(build)) {
		t.Errorf("by TFTP: %v, %d bytes with %v", err, len(d.content), d.options)
	}
	b := visit(t, l.http("127.0.0.1:0"))
	mine := b.gets("/site.efi?mac=52:54:00:aa:bb:01")
	if !bytes.Equal(mine.body, want) || mine.header.Get("Content-Type") != "application/efi" || mine.header.Get("Last-Modified") != "" {
		t.Errorf("by HTTP: %s, %d bytes with %v", mine.status, len(mine.body), mine.header)
	}
	head := b.asks("HEAD /site.efi?mac=52:54:00:aa:bb:01 HTTP/1.1", "Host: h")
	if head.header.Get("Content-Length") != fmt.Sprint(len(build)) || head.header.Get("Etag") != mine.header.Get("Etag") {
		t.Errorf("HEAD says %v, GET %v", head.header, mine.header)
	}
	for _, r := range []struct{ from, to int }{{0, 99}, {299_990, 300_020}, {300_000 + 16_000, 300_000 + 17_000}, {386_300, len(build) - 1}} {
		got := b.gets("/site.efi?mac=52:54:00:aa:bb:01", fmt.Sprintf("Range: bytes=%d-%d", r.from, r.to), "If-Range: "+mine.header.Get("Etag"))
		if got.status != "HTTP/1.1 206 Partial Content" || !bytes.Equal(got.body, want[r.from:r.to+1]) {
			t.Errorf("bytes %d to %d: %s, %d bytes", r.from, r.to, got.status, len(got.body))
		}
	}
	other := b.gets("/site.efi?mac=52:54:00:aa:bb:09")
	if other.header.Get("Etag") == mine.header.Get("Etag") || len(other.body) != len(build) || bytes.Equal(other.body, want) {
		t.Error("another machine gets the same")
	}
	if r := b.gets("/site.efi?mac=52:54:00:aa:bb:09", "Range: bytes=0-9", "If-Range: "+mine.header.Get("Etag")); r.status != "HTTP/1.1 200 OK" {
		t.Errorf("a download goes on with another machine's file: %s", r.status)
	}
	if !bytes.Contains(b.gets("/site.efi").body, []byte("chain --replace --autofree")) {
		t.Error("whom nobody knows is not asked who it is")
	}
	for name, content := range map[string][]byte{"/ipxe.efi": plain, "/notes.txt": build} {
		if r := b.gets(name + "?mac=52:54:00:aa:bb:01"); !bytes.Equal(r.body, content) || r.header.Get("Cache-Control") != "" || r.header.Get("Last-Modified") == "" {
			t.Errorf("%s is not served as it is: %v", name, r.header)
		}
	}
}

func TestAScriptThatDoesNotFitThePlaceholderIsNotServed(t *testing.T) {
	l := newLab(t)
	l.has("site.efi", embedded())
	files := site()
	files["install.ipxe.tmpl"] = "#!ipxe\n" + strings.Repeat("#", placeholder.Size)
	l.scripts(files)
	r := visit(t, l.http("127.0.0.1:0")).gets("/site.efi?mac=52:54:00:aa:bb:01")
	want := "the script has 16391 bytes, and the placeholder holds 16384; shorten it, or chain to a longer one"
	if e := l.diary.all(); r.status != "HTTP/1.1 500 Internal Server Error" || e[len(e)-1].Data["because"] != want {
		t.Errorf("%s, %v", r.status, e[len(e)-1].Data)
	}
}

// counted is a file that tells how much of it was read.
type counted struct {
	tftpd.File
	read *atomic.Int64
}

func (c counted) ReadAt(p []byte, at int64) (int, error) {
	c.read.Add(int64(len(p)))
	return c.File.(*os.File).ReadAt(p, at)
}

func TestAFileIsSearchedOnceUntilItChanges(t *testing.T) {
	l := newLab(t)
	l.has("ipxe.efi", random(500_000))
	var read atomic.Int64
	dirs := l.config.Files
	l.config.Files = files(func(rq tftpd.Request) (tftpd.File, error) {
		f, err := dirs.Open(rq)
		return counted{f, &read}, err
	})
	l.scripts(site())
	b := visit(t, l.http("127.0.0.1:0"))
	head := func() int64 {
		b.asks("HEAD /ipxe.efi HTTP/1.1", "Host: h")
		return read.Load()
	}
	first := head()
	if first < 500_000 || head() != first {
		t.Errorf("%d bytes were read at first, %d then", first, read.Load())
	}
	l.has("ipxe.efi", embedded())
	if head() < first+380_000 {
		t.Error("the new file was not searched")
	}
	if r := b.gets("/ipxe.efi?mac=52:54:00:aa:bb:01"); !bytes.Equal(r.body, withScript(embedded(), forOldDell)) {
		t.Error("the new file's placeholder is not filled")
	}
}

// ailing is a file whose next read fails, as a network file system's may.
type ailing struct {
	tftpd.File
	ill *atomic.Bool
}

func (a ailing) ReadAt(p []byte, at int64) (int, error) {
	if a.ill.Swap(false) {
		return 0, syscall.EIO
	}
	return a.File.(*os.File).ReadAt(p, at)
}

func TestAFileThatCouldNotBeReadIsSearchedAgain(t *testing.T) {
	l := newLab(t)
	build := embedded()
	l.has("site.efi", build)
	var ill atomic.Bool
	dirs := l.config.Files
	l.config.Files = files(func(rq tftpd.Request) (tftpd.File, error) {
		f, err := dirs.Open(rq)
		return ailing{f, &ill}, err
	})
	l.scripts(site())
	b := visit(t, l.http("127.0.0.1:0"))
	ill.Store(true)
	if r := b.gets("/site.efi?mac=52:54:00:aa:bb:01"); r.status != "HTTP/1.1 500 Internal Server Error" {
		t.Errorf("a machine gets a file that could not be searched: %s", r.status)
	}
	if r := b.gets("/site.efi?mac=52:54:00:aa:bb:01"); !bytes.Equal(r.body, withScript(build, forOldDell)) {
		t.Error("then it does not get its script")
	}
}

func TestABrokenPlaceholderIsServedAsItIsAndTold(t *testing.T) {
	l := newLab(t)
	broken := embedded()[:310_000]
	l.has("site.efi", broken)
	l.scripts(site())
	b := visit(t, l.http("127.0.0.1:0"))
	for range 2 {
		if r := b.gets("/site.efi"); !bytes.Equal(r.body, broken) {
			t.Error("it is changed")
		}
	}
	told := 0
	for _, e := range l.diary.all() {
		if e.Message == "script: the file is served as it is" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
