package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Each site is set up to make one mistake, and the verdict names it.

func TestTheVerdictNamesTheMistakeOfADHCPServer(t *testing.T) {
	long := strings.Repeat("directory/", 13) + "ipxe.efi"
	ours := func(r []byte) *reply { return answerTo(r).server("192.0.2.9") }
	uefi, ipxe, web := []string{"--arch", "uefi-x64"}, []string{"--arch", "uefi-x64", "--ipxe"}, []string{"--arch", "16"}
	for _, m := range []struct {
		golden, code string
		args         []string
		answer       func(r []byte) []byte
		notes        []string
	}{
		{"nobody", "no-offer", uefi, func([]byte) []byte { return nil }, nil},
		{"no-file", "no-boot-file", uefi, func(r []byte) []byte { return ours(r).end() }, nil},
		{"no-file-for-ipxe", "no-boot-file", ipxe, func(r []byte) []byte { return ours(r).end() }, nil},
		{"relative-name-without-siaddr", "no-next-server", ipxe, func(r []byte) []byte { return answerTo(r).file("boot.ipxe").end() }, nil},
		{"class-without-43", "no-4011", uefi, func(r []byte) []byte { return ours(r).file("ipxe.efi").option(60, []byte("PXEClient")...).end() }, nil},
		{"class-without-43-and-file-on-a-bios", "no-4011", []string{"--arch", "bios"}, func(r []byte) []byte { return ours(r).option(60, []byte("PXEClient")...).end() }, nil},
		{"cut-name", "file-cut", ipxe, func(r []byte) []byte {
			return ours(r).file(long[:127]).option(67, append([]byte(long), 0)...).end()
		}, []string{"file-cut"}},
		{"cut-name-in-uefi", "file-cut", uefi, func(r []byte) []byte { return ours(r).file(long[:127]).end() }, []string{"file-cut"}},
		{"url-for-pxe", "url-for-pxe", uefi, func(r []byte) []byte { return ours(r).file("http://192.0.2.9/ipxe.efi").end() }, nil},
		{"url-without-class", "no-http-class", web, func(r []byte) []byte { return ours(r).file("http://192.0.2.9/ipxe.efi").end() }, nil},
		{"name-without-dns", "no-dns", web, func(r []byte) []byte {
			return ours(r).file("http://boot.example.net/ipxe.efi").option(60, []byte("HTTPClient")...).end()
		}, nil},
		{"name-without-url", "bad-url", web, func(r []byte) []byte { return ours(r).file("ipxe.efi").option(60, []byte("HTTPClient")...).end() }, nil},
		{"http-for-pxe", "http-offer", uefi, func(r []byte) []byte {
			return ours(r).option(60, []byte("HTTPClient")...).end()
		}, nil},
		{"only-a-proxy", "proxy-only", uefi, func(r []byte) []byte { return ours(r).proxy().option(60, []byte("PXEClient")...).end() }, nil},
		{"no-end", "malformed", uefi, func(r []byte) []byte { return ours(r).file("ipxe.efi").b }, []string{"malformed"}},
		{"empty-option", "malformed", uefi, func(r []byte) []byte { return ours(r).file("ipxe.efi").option(43).end() }, []string{"malformed"}},
		{"negative-priority", "priority", ipxe, func(r []byte) []byte { return ours(r).file("boot.ipxe").option(175, 1, 1, 0xff).end() }, []string{"priority"}},
		{"refusal", "nak", uefi, func(r []byte) []byte {
			if kindOf(r) != 3 {
				return ours(r).file("ipxe.efi").end()
			}
			b := ours(r).option(56, []byte("go \x1b[2J away")...).end()
			b[242] = 6
			return b
		}, nil},
		{"no-ack", "no-ack", uefi, func(r []byte) []byte {
			if kindOf(r) != 1 {
				return nil
			}
			return ours(r).file("ipxe.efi").end()
		}, nil},
		{"ack-without-file", "ack-without-file", uefi, func(r []byte) []byte {
			if kindOf(r) == 1 {
				return ours(r).file("ipxe.efi").end()
			}
			return ours(r).end()
		}, nil},
		{"no-mask", "no-mask", uefi, func(r []byte) []byte {
			b := ours(r).file("ipxe.efi").end()
			return bytes.Replace(b, []byte{1, 4, 255, 255, 255, 0}, nil, 1)
		}, []string{"no-mask"}},
		{"menu-without-servers", "menu", uefi, func(r []byte) []byte {
			return ours(r).option(60, []byte("PXEClient")...).option(43, 6, 1, 0, 9, 7, 0x80, 0, 4, 'L', 'i', 'n', 'u', 255).end()
		}, nil},
		{"menu-that-boots-the-disk", "local-boot", uefi, func(r []byte) []byte {
			return ours(r).option(60, []byte("PXEClient")...).option(43, 6, 1, 0, 9, 7, 0, 0, 4, 'd', 'i', 's', 'k', 255).end()
		}, nil},
		{"disk", "root-path", ipxe, func(r []byte) []byte { return ours(r).option(17, []byte("iscsi:192.0.2.9::::iqn.disk")...).end() }, nil},
		{"no-tftp-server", "tftp-refused", uefi, func(r []byte) []byte {
			return ours(r).file("ipxe.efi").option(67, []byte("ipxe.efi")...).option(77, []byte("iPXE")...).option(13, 0, 9).option(66, 192, 0, 2, 9).end()
		}, []string{"not-terminated", "user-class", "boot-file-size", "binary-66"}},
		{"files-differ", "tftp-refused", uefi, func(r []byte) []byte {
			return ours(r).file("a.efi").option(67, []byte("b.efi\x00")...).option(66, []byte("192.0.2.7")...).end()
		}, []string{"two-files", "two-servers-named"}},
		{"no-feature", "no-feature", []string{"--arch", "bios", "--features", "tftp"}, func(r []byte) []byte { return ours(r).file("http://192.0.2.9/boot.ipxe").end() }, nil},
	} {
		t.Run(m.golden, func(t *testing.T) {
			s := newSite(t)
			s.rogue("192.0.2.9", func(r []byte, port int) []byte {
				if port == 4011 || kindOf(r) == 7 {
					return nil
				}
				return m.answer(r)
			})
			o := s.probe(m.args...).stops(m.code, m.golden)
			for _, n := range m.notes {
				o.notes(n)
			}
		})
	}
}

func TestTheVerdictNamesTheMistakeOfDnsmasq(t *testing.T) {
	for _, m := range []struct {
		golden, code string
		args         []string
		conf         []string
	}{
		{"bios-file-for-uefi", "wrong-program", []string{"--arch", "uefi-x64"}, []string{"dhcp-boot=undionly.kpxe"}},
		{"efi-file-for-bios", "wrong-program", []string{"--arch", "bios"}, []string{"dhcp-boot=ipxe.efi"}},
		{"x64-file-for-arm64", "wrong-program", []string{"--arch", "uefi-arm64"}, []string{"dhcp-boot=ipxe.efi"}},
		{"ipxe-for-ipxe", "loop", []string{"--arch", "uefi-x64"}, []string{"dhcp-boot=ipxe.efi"}},
		{"ipxe-for-ipxe-by-another-name", "loop", []string{"--arch", "bios"}, []string{"dhcp-boot=loader.0"}},
		{"script-for-uefi", "script-for-firmware", []string{"--arch", "uefi-x64"}, []string{"dhcp-boot=boot.ipxe"}},
		{"missing-file", "tftp-not-found", []string{"--arch", "uefi-x64"}, []string{"dhcp-boot=IPXE.EFI"}},
		{"empty-file", "empty", []string{"--arch", "bios"}, []string{"dhcp-boot=empty.0"}},
		{"too-long", "too-long", []string{"--arch", "bios", "--max-size", "1"}, []string{"dhcp-boot=long.0"}},
		{"nobody-at-next-server", "unreachable", []string{"--arch", "bios", "--timeout", "6s"}, []string{"dhcp-boot=pxelinux.0,,192.0.2.66"}},
		{"script-that-chains-to-itself", "script-loop", []string{"--arch", "bios", "--ipxe"}, []string{"dhcp-boot=self.ipxe"}},
		{"name-nobody-knows", "dns-failed", []string{"--arch", "bios", "--ipxe"}, []string{"dhcp-boot=http://nowhere.example/boot.ipxe", "dhcp-option=6,192.0.2.1"}},
		{"no-http-server", "http-refused", []string{"--arch", "bios", "--ipxe"}, []string{"dhcp-boot=http://192.0.2.1:81/boot.ipxe"}},
		{"other-scheme", "scheme", []string{"--arch", "bios", "--ipxe"}, []string{"dhcp-boot=nfs://192.0.2.1/boot.ipxe"}},
	} {
		t.Run(m.golden, func(t *testing.T) {
			s := newSite(t)
			undionly := content(t, s.dir+"/undionly.kpxe")
			s.file("loader.0", undionly)
			s.file("empty.0", "")
			s.file("long.0", strings.Repeat("x", 1<<20+1))
			s.file("self.ipxe", "#!ipxe\nchain self.ipxe || shell\n")
			leases, log := s.dnsmasq("192.0.2.1", append(m.conf, pool)...)
			s.probe(m.args...).stops(m.code, m.golden)
			s.leasesNothing(leases, log)
		})
	}
}

func TestTwoDHCPServersAreNamedAsTheLikelyCause(t *testing.T) {
	s := newSite(t)
	s.dnsmasq("192.0.2.1", pool, "dhcp-boot=gone.efi")
	s.dnsmasq("192.0.2.2", "dhcp-range=192.0.2.200,192.0.2.210,255.255.255.0,10m", "dhcp-boot=gone.efi")
	o := s.probe("--arch", "uefi-x64").notes("two-servers")
	if o.code != 1 || o.Verdict.Code != "tftp-not-found" || !strings.HasPrefix(o.Verdict.Cause, "2 DHCP servers answered: ") {
		t.Errorf("%+v", o.Verdict)
	}
}

func TestAProxysAnswerWithoutSiaddrIsNamed(t *testing.T) {
	s := newSite(t)
	s.dnsmasq("192.0.2.2", pool)
	s.dnsmasq("192.0.2.1", "dhcp-range=192.0.2.0,proxy", "dhcp-boot=tag:ipxe,boot.ipxe", "pxe-service=tag:!ipxe,x86PC,network,undionly.kpxe")
	s.probe("--arch", "bios", "--ipxe").stops("no-next-server", "proxy-without-siaddr")
}

func TestTheVerdictNamesTheMistakeOfAnHTTPServer(t *testing.T) {
	page := "<!DOCTYPE html>\n<html><body>This is not the page that you are looking for</body></html>\n"
	for _, m := range []struct {
		golden, code string
		args         []string
		serve        http.HandlerFunc
	}{
		{"page-for-a-missing-file", "html", []string{"--arch", "16"}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(page))
		}},
		{"404", "http-status", []string{"--arch", "16"}, http.NotFound},
		{"odd-type", "content-type", []string{"--arch", "16"}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write([]byte("MZ"))
		}},
		{"redirects", "redirects", []string{"--arch", "16"}, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}},
		{"lengths-differ", "http-length", []string{"--arch", "16"}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/efi")
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "99")
				return
			}
			_, _ = w.Write([]byte("MZ"))
		}},
		{"cut-short", "http-cut", []string{"--arch", "16"}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/efi")
			w.Header().Set("Content-Length", "99")
			_, _ = w.Write([]byte("MZ"))
		}},
		{"without-end", "too-long", []string{"--arch", "16", "--max-size", "1"}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/efi")
			for r.Method == http.MethodGet {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(m.golden, func(t *testing.T) {
			s := newSite(t)
			server := s.rogue("192.0.2.9", func(r []byte, port int) []byte {
				if port == 4011 || kindOf(r) == 7 {
					return nil
				}
				return answerTo(r).server("192.0.2.9").option(67, []byte("http://192.0.2.9/boot\x00")...).option(60, []byte("HTTPClient")...).end()
			})
			var l net.Listener
			s.must(server.Do(func() (err error) {
				l, err = net.Listen("tcp4", "192.0.2.9:80")
				return err
			}))
			web := &http.Server{Handler: m.serve}
			go func() { _ = web.Serve(l) }() // ends with Close
			t.Cleanup(func() { _ = web.Close() })
			s.probe(m.args...).stops(m.code, m.golden)
		})
	}
}

func TestTheVerdictNamesTheMistakeOfATFTPServer(t *testing.T) {
	oack := func(words string) []byte { return append([]byte{0, 6}, words...) }
	for _, m := range []struct {
		golden, code string
		answer       []byte
	}{
		{"silent-tftp", "tftp-silent", nil},
		{"denied", "tftp-denied", append([]byte{0, 5, 0, 2}, "Access violation\x00"...)},
		{"odd-error", "tftp-error", append([]byte{0, 5, 0, 0}, "\x1b[31mred\x00"...)},
		{"option-in-capitals", "tftp-malformed", oack("TSIZE\x005\x00")},
		{"larger-blocks", "tftp-malformed", oack("blksize\x008192\x00")},
		{"no-nul", "tftp-malformed", oack("tsize\x005")},
		{"one-byte", "tftp-malformed", []byte{0}},
		{"ack-instead", "tftp-malformed", []byte{0, 4, 0, 0}},
		{"stalled", "tftp-stalled", oack("tsize\x005\x00")},
	} {
		t.Run(m.golden, func(t *testing.T) {
			s := newSite(t)
			server := s.rogue("192.0.2.9", func(r []byte, port int) []byte {
				if port == 4011 || kindOf(r) == 7 {
					return nil
				}
				return answerTo(r).server("192.0.2.9").file("ipxe.efi").end()
			})
			conn := s.listen(server, 69)
			t.Cleanup(func() { conn.Close() })
			go func() { // ends with the socket
				buf := make([]byte, 1500)
				for {
					n, from, err := conn.ReadFromUDP(buf)
					if err != nil {
						return
					}
					if n > 2 && binary.BigEndian.Uint16(buf) == 1 && m.answer != nil {
						_, _ = conn.WriteToUDP(m.answer, from)
					}
				}
			}()
			s.probe("--arch", "uefi-x64").stops(m.code, m.golden)
		})
	}
}

func TestATFTPServerThatAnswersFromAnotherAddressIsNamed(t *testing.T) {
	s := newSite(t)
	server := s.rogue("192.0.2.9", func(r []byte, port int) []byte {
		if port == 4011 || kindOf(r) == 7 {
			return nil
		}
		return answerTo(r).server("192.0.2.8").file("ipxe.efi").end()
	})
	s.must(server.IP("addr", "add", "192.0.2.8/24", "dev", "srv0"))
	conn := s.listen(server, 69) // on both: an answer leaves from the first
	t.Cleanup(func() { conn.Close() })
	go func() { // ends with the socket
		buf := make([]byte, 1500)
		for {
			_, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDP([]byte("\x00\x06tsize\x005\x00"), from)
		}
	}()
	s.probe("--arch", "uefi-x64").stops("tftp-other-address", "other-address")
}

func TestWhatServersSayCannotMoveTheTerminal(t *testing.T) {
	s := newSite(t)
	s.rogue("192.0.2.9", func(r []byte, port int) []byte {
		if port == 4011 || kindOf(r) == 7 {
			return nil
		}
		evil := []byte("\x1b[2J\x1b]0;pwned\x07\r\n\u009b31m\u202e")
		return answerTo(r).server("192.0.2.9").file(string(evil)).option(12, evil...).option(56, evil...).option(60, evil...).option(66, evil...).option(67, evil...).option(43, evil...).option(200, evil...).end()
	})
	out, _ := s.command("--arch", "uefi-x64").CombinedOutput()
	for _, b := range out {
		if b < ' ' && b != '\n' || b >= 0x7f {
			t.Fatalf("byte %#x is in the output:\n%q", b, out)
		}
	}
	if !strings.Contains(string(out), "verdict: ") {
		t.Errorf("%s", out)
	}
}
