package tftpd_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// httpVectors are requirements on what is answered to the HTTP clients that are known.
var httpVectors = []struct {
	id, story string
	check     func(*testing.T, *browser, []byte)
}{
	{"H01", "UEFI asks for the length and believes the content type", func(t *testing.T, b *browser, content []byte) {
		r := b.asks("HEAD /"+efi+" HTTP/1.1", "Host: 192.0.2.1", "Accept: */*", "User-Agent: UefiHttpBoot/1.0")
		wants(t, r, "HTTP/1.1 200 OK", "application/efi", nil)
		if r.header.Get("Content-Length") != strconv.Itoa(len(content)) {
			t.Errorf("Content-Length is %s", r.header.Get("Content-Length"))
		}
		wants(t, b.gets("/"+efi), "HTTP/1.1 200 OK", "application/efi", content) // so HEAD had no body
	}},
	{"H02", "UEFI then takes the file over the same connection, as it is", func(t *testing.T, b *browser, content []byte) {
		for range 2 {
			r := b.gets("/"+efi, "Accept-Encoding: gzip, deflate")
			wants(t, r, "HTTP/1.1 200 OK", "application/efi", content)
			for _, unwanted := range []string{"Content-Encoding", "Transfer-Encoding", "Connection", "Location"} {
				if v, ok := r.header[unwanted]; ok {
					t.Errorf("%s: %s", unwanted, v)
				}
			}
		}
	}},
	{"H04", "disk images have their types", func(t *testing.T, b *browser, _ []byte) {
		for name, kind := range map[string]string{
			"x.iso": "application/vnd.efi-iso", "x.img": "application/vnd.efi-img", "X.EFI": "application/efi", "kernel": "application/octet-stream",
			"page.html": "application/octet-stream",
		} {
			r := b.asks("HEAD /"+name+" HTTP/1.1", "Host: 192.0.2.1")
			wants(t, r, "HTTP/1.1 200 OK", kind, nil)
		}
	}},
	{"H05", "iPXE gets its script as text", func(t *testing.T, b *browser, _ []byte) {
		wants(t, b.gets("/boot.ipxe", "User-Agent: iPXE/2.0.0"), "HTTP/1.1 200 OK", "text/plain", []byte("#!ipxe\nshell\n"))
	}},
	{"H06", "a missing autoexec.ipxe is plainly missing", func(t *testing.T, b *browser, _ []byte) { missing(t, b, "/autoexec.ipxe") }},
	{"H07", "so is anything else that is not a file", func(t *testing.T, b *browser, _ []byte) {
		for _, path := range []string{"/no-such", "/", "/sub", "/sub/", "/..%2fsecret", "/%2e%2e/secret", "/../secret", "/link", "/%00"} {
			missing(t, b, path)
		}
	}},
	{"H09", "a Host with an IPv6 literal is served", func(t *testing.T, b *browser, content []byte) {
		for _, host := range []string{"[2001:db8::1]", "[2001:db8::1]:8080", "boot.example.net"} {
			wants(t, b.asks("GET /"+efi+" HTTP/1.1", "Host: "+host), "HTTP/1.1 200 OK", "application/efi", content)
		}
	}},
	{"H10", "a query does not change the file", func(t *testing.T, b *browser, _ []byte) {
		for _, query := range []string{"?mac=52%3A54%3A00%3Aaa%3Abb%3A01&uuid=0f", "?mac=bad", "?mac=%zz;;&&", "?"} {
			wants(t, b.gets("/boot.ipxe"+query), "HTTP/1.1 200 OK", "text/plain", []byte("#!ipxe\nshell\n"))
		}
	}},
}

func TestHTTPVectors(t *testing.T) {
	for _, v := range httpVectors {
		t.Run(v.id+" "+v.story, func(t *testing.T) {
			l := newLab(t)
			content := random(1_000_000)
			l.has(efi, content)
			l.has("boot.ipxe", []byte("#!ipxe\nshell\n"))
			l.has("page.html", []byte("<!DOCTYPE html><html>"))
			for _, name := range []string{"x.iso", "x.img", "X.EFI", "kernel", "sub/x"} {
				l.has(name, nil)
			}
			must(t, os.Symlink("../secret", filepath.Join(l.root, "link")))
			v.check(t, visit(t, l.http("127.0.0.1:0")), content)
		})
	}
}

func wants(t *testing.T, r reply, status, kind string, content []byte) {
	t.Helper()
	if r.status != status || r.header.Get("Content-Type") != kind || !bytes.Equal(r.body, content) {
		t.Errorf("%s, %s, %d bytes; want %s, %s, %d bytes", r.status, r.header.Get("Content-Type"), len(r.body), status, kind, len(content))
	}
}

func missing(t *testing.T, b *browser, path string) {
	t.Helper()
	if r := b.gets(path); r.status != "HTTP/1.1 404 Not Found" || string(r.body) != "file not found\n" {
		t.Errorf("%s: %s %q", path, r.status, r.body)
	}
}
