package tftpd_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/script"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// shelf is a directory of scripts.
type shelf struct {
	t       testing.TB
	dir     string
	library *live.Value[script.Library]
}

// scripts puts a directory of scripts before the lab's files.
func (l *lab) scripts(files map[string]string) (*shelf, *tftpd.Scripts) {
	l.t.Helper()
	s := &shelf{t: l.t, dir: l.t.TempDir()}
	for name, text := range files {
		s.has(name, text)
	}
	first, err := script.Load(s.dir)
	must(l.t, err)
	s.library = live.NewValue(first)
	served := &tftpd.Scripts{Behind: l.config.Files, Library: s.library, Log: l.diary.log}
	l.config.Files = served
	return s, served
}

func (s *shelf) has(name, text string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644))
}

// site is a shelf on which old-dell has a script of its own.
func site() map[string]string {
	return map[string]string{
		"default.ipxe.tmpl": "#!ipxe\necho default mac={{.mac}} ip={{.ip}} hostname={{.hostname}} product={{.product}}\n",
		"install.ipxe.tmpl": "#!ipxe\necho install {{.mac}} to {{.values.disk}}\n",
		"machines.yml":      "machines:\n  - {mac: \"52:54:00:aa:bb:01\", script: install.ipxe, values: {disk: /dev/sda}}\n  - {mac: \"52:54:00:aa:bb:02\", script: install.ipxe}\n",
	}
}

const forOldDell = "#!ipxe\necho install 52:54:00:aa:bb:01 to /dev/sda\n"

func TestEachMachineGetsItsScriptByHTTP(t *testing.T) {
	l := newLab(t)
	l.scripts(site())
	b := visit(t, l.http("127.0.0.1:0"))
	for path, want := range map[string]string{
		"/boot.ipxe?mac=52:54:00:aa:bb:01":                                forOldDell,
		"/boot.ipxe?mac=52-54-00-AA-BB-01&uuid=&serial=":                  forOldDell,
		"/m/52-54-00-aa-bb-01/boot.ipxe":                                  forOldDell,
		"/m/52-54-00-aa-bb-01/autoexec.ipxe":                              forOldDell,
		"/m/52-54-00-aa-bb-01/m/52-54-00-aa-bb-01/boot.ipxe?mac=":         forOldDell,
		"/m/52-54-00-aa-bb-01/boot.ipxe?mac=52:54:00:aa:bb:09":            "#!ipxe\necho default mac=52:54:00:aa:bb:09 ip=127.0.0.1 hostname= product=\n",
		"/boot.ipxe?mac=nonsense&product=Power%20Edge":                    "#!ipxe\necho default mac= ip=127.0.0.1 hostname= product=Power%20Edge\n",
		"/m/nonsense/boot.ipxe":                                           "#!ipxe\necho default mac= ip=127.0.0.1 hostname= product=\n",
		"/m//boot.ipxe":                                                   "#!ipxe\necho default mac= ip=127.0.0.1 hostname= product=\n",
		"/boot.ipxe":                                                      "#!ipxe\necho default mac= ip=127.0.0.1 hostname= product=\n",
		"/install.ipxe?mac=52:54:00:aa:bb:01&hostname=x&ip=192.0.2.7&a=b": forOldDell,
	} {
		r := b.gets(path)
		if r.status != "HTTP/1.1 200 OK" || string(r.body) != want {
			t.Errorf("%s: %s %q, want %q", path, r.status, r.body, want)
		}
		if r.header.Get("Content-Type") != "text/plain" || r.header.Get("Etag") == "" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Last-Modified") != "" {
			t.Errorf("%s: headers %v", path, r.header)
		}
	}
	if r := b.gets("/autoexec.ipxe"); !bytes.Contains(r.body, []byte("chain --replace")) {
		t.Errorf("whom nobody knows is not asked who it is: %q", r.body)
	}
	r := b.gets("/boot.ipxe?mac=52:54:00:aa:bb:01", "If-None-Match: "+b.gets("/boot.ipxe?mac=52:54:00:aa:bb:01").header.Get("Etag"))
	if r.status != "HTTP/1.1 304 Not Modified" {
		t.Errorf("the same script again: %s", r.status)
	}
}

func TestEachMachineGetsItsScriptByTFTP(t *testing.T) {
	l := newLab(t)
	firmware := random(5000)
	l.has("ipxe.efi", firmware)
	l.scripts(site())
	at := l.tftp("127.0.0.1:0")
	for name, want := range map[string]string{
		"m/52-54-00-aa-bb-01/ipxe.efi":       string(firmware),
		"/m/52-54-00-aa-bb-01/autoexec.ipxe": forOldDell,
		"m\\52-54-00-aa-bb-01\\boot.ipxe":    forOldDell,
		"ipxe.efi":                           string(firmware),
		"boot.ipxe":                          "#!ipxe\necho default mac= ip=127.0.0.1 hostname= product=\n",
	} {
		d, err := fetch(t, at, name, "tsize", "0")
		if err != nil || string(d.content) != want || d.options["tsize"] != fmt.Sprint(len(want)) {
			t.Errorf("%s: %v, %q with %v", name, err, d.content, d.options)
		}
	}
	for _, name := range []string{"m/52-54-00-aa-bb-01/none.ipxe", "m/52-54-00-aa-bb-01", "m", "m/../../secret"} {
		if p, err := answer(t, at, request(opRead, name, "octet")); err != nil || p.op != opError || p.number == 0 {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

func TestAMachineThatSaysNothingIsKnownByItsNeighbourEntry(t *testing.T) {
	l := newLab(t)
	_, s := l.scripts(site())
	s.Neighbour = func(a netip.Addr) (netboot.MAC, bool) {
		mac, err := netboot.ParseMAC("52:54:00:aa:bb:01")
		return mac, err == nil && a == netip.MustParseAddr("127.0.0.1")
	}
	for _, name := range []string{"autoexec.ipxe", "boot.ipxe"} {
		if d, err := fetch(t, l.tftp("127.0.0.1:0"), name); err != nil || string(d.content) != forOldDell {
			t.Errorf("%s: %v, %q", name, err, d.content)
		}
	}
	// What it says comes first.
	if r := visit(t, l.http("127.0.0.1:0")).gets("/boot.ipxe?serial=A"); !bytes.Contains(r.body, []byte("default mac= ")) {
		t.Errorf("got %q", r.body)
	}
}

func TestATemplateErrorIsThatMachinesOnly(t *testing.T) {
	l := newLab(t)
	l.scripts(site())
	b := visit(t, l.http("127.0.0.1:0"))
	r := b.gets("/boot.ipxe?mac=52:54:00:aa:bb:02")
	if r.status != "HTTP/1.1 500 Internal Server Error" || string(r.body) != "server error\n" {
		t.Errorf("%s %q", r.status, r.body)
	}
	e := l.diary.entry(t, 1)
	if because := fmt.Sprint(e.Data["because"]); e.Level != logrus.ErrorLevel || !strings.HasSuffix(because, `install.ipxe.tmpl:2: at <.values.disk>: map has no entry for key "disk"`) {
		t.Errorf("%s %v", e.Level, e.Data)
	}
	p, err := answer(t, l.tftp("127.0.0.1:0"), request(opRead, "m/52-54-00-aa-bb-02/boot.ipxe", "octet"))
	if err != nil || p.String() != `ERROR 0 "Server error"` {
		t.Errorf("%v, %v", p, err)
	}
	if r := b.gets("/boot.ipxe?mac=52:54:00:aa:bb:01"); string(r.body) != forOldDell {
		t.Errorf("the other machine: %s %q", r.status, r.body)
	}
}

// Whatever a client says ends as one harmless word or as nothing, and is told once.
func TestWhatAClientInjectsIsHarmlessAndLoggedOnce(t *testing.T) {
	l := newLab(t)
	l.scripts(site())
	at := l.http("127.0.0.1:0")
	for _, evil := range []string{
		"x\nchain http://evil/", "x\r\nshell", "\x00", "x\x00shell", "${net0/mac}", "${hostname}\n", `"; shell`, "' || shell", "a && shell", "# x", `x\`,
		"..", "../../etc/passwd", ":label", "--help", "{{.mac}}", "<script>", "\u2028", "\xff",
	} {
		b := visit(t, at)
		r := b.gets("/boot.ipxe?hostname=" + url.QueryEscape(evil) + "&product=" + url.QueryEscape(evil) + "&serial=" + url.QueryEscape(evil))
		text, ok := strings.CutPrefix(string(r.body), "#!ipxe\necho default mac= ip=127.0.0.1 hostname=")
		if r.status != "HTTP/1.1 200 OK" || !ok || strings.ContainsAny(strings.TrimSuffix(text, "\n"), "\n\r\x00${}|&;#\\\"':/") || strings.Count(text, " ") != 1 {
			t.Errorf("%q: %s %q", evil, r.status, r.body)
		}
	}
	for _, long := range []string{"hostname", "mac", "uuid", "serial", "asset", "arch", "ip", "manufacturer", "product"} {
		r := visit(t, at).gets("/boot.ipxe?" + long + "=" + strings.Repeat("x", 8000))
		if r.status != "HTTP/1.1 200 OK" || bytes.Contains(r.body, []byte("xx")) {
			t.Errorf("8,000 bytes of %s: %s %q", long, r.status, r.body)
		}
	}
	// What is larger than any request may be is refused as a whole.
	large, err := http.Get("http://" + at + "/boot.ipxe?hostname=" + strings.Repeat("x", 64<<10))
	must(t, err)
	large.Body.Close()
	if large.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB are answered with %s", large.Status)
	}

	warnings := 0
	for _, e := range l.diary.all() {
		if e.Level == logrus.WarnLevel && strings.HasPrefix(e.Message, "script") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("one client was told of %d times", warnings)
	}
	if log := l.diary.text.String(); strings.ContainsAny(log, "\x00\r") || strings.Contains(log, "\nchain") {
		t.Error("the log has what the client sent")
	}
}

func TestAMachineKeepsItsAddressWhenAPathHasAnotherWord(t *testing.T) {
	l := newLab(t)
	l.scripts(site())
	at := l.tftp("127.0.0.1:0")
	for _, name := range []string{"m/52-54-00-aa-bb-01/m/no-mac/boot.ipxe", "m/no-mac/m/52-54-00-aa-bb-01/boot.ipxe", "m/52-54-00-aa-bb-02/m/52-54-00-aa-bb-01/boot.ipxe"} {
		if d, err := fetch(t, at, name); err != nil || string(d.content) != forOldDell {
			t.Errorf("%s: %v, %q", name, err, d.content)
		}
	}
}

func TestMadeUpMachinesDoNotFillTheLog(t *testing.T) {
	l := newLab(t)
	l.scripts(site())
	b := visit(t, l.http("127.0.0.1:0"))
	for n := range 100 {
		b.gets(fmt.Sprintf("/boot.ipxe?mac=52:54:00:ff:00:%02x&hostname=%%24%%7Bx%%7D", n))
	}
	warnings := 0
	for _, e := range l.diary.all() {
		if e.Level == logrus.WarnLevel {
			warnings++
		}
	}
	if warnings == 0 || warnings > 8 {
		t.Errorf("%d warnings of 100 machines at one address", warnings)
	}
}

// Requests and reloads together: each answer is one generation's, and none is lost.
func TestScriptsAreReplacedUnderLoad(t *testing.T) {
	l := newLab(t)
	generation := func(n int) map[string]string {
		return map[string]string{
			"boot.ipxe.tmpl":    fmt.Sprintf("#!ipxe\necho %d {{.values.generation}} {{template \"_part.ipxe\"}}\n", n),
			"_part.ipxe.tmpl":   fmt.Sprint(n),
			script.MachinesFile: fmt.Sprintf("values: {generation: %d}\n", n),
		}
	}
	s, _ := l.scripts(generation(0))
	at := l.http("127.0.0.1:0")
	stop, ended := make(chan struct{}), make(chan error, 4)
	for range 4 {
		b := visit(t, at)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					if n == 0 {
						ended <- errors.New("nothing was asked")
					}
					ended <- nil
					return
				default:
				}
				var a, v, p int
				r := b.gets("/boot.ipxe?mac=52:54:00:aa:bb:01")
				if _, err := fmt.Sscanf(string(r.body), "#!ipxe\necho %d %d %d", &a, &v, &p); err != nil {
					ended <- fmt.Errorf("%s %q: %w", r.status, r.body, err)
					return
				}
				if a != v || v != p {
					ended <- fmt.Errorf("half of one and half of another: %q", r.body)
					return
				}
			}
		}()
	}
	for n := 1; n <= 50; n++ {
		files := generation(n)
		if n%5 == 0 {
			files["boot.ipxe.tmpl"] = "#!ipxe\n{{broken"
		}
		for name, text := range files {
			s.has(name, text)
		}
		if err := s.library.Replace(func() (*script.Library, error) { return script.Load(s.dir) }); (err != nil) != (n%5 == 0) {
			t.Error(err)
		}
	}
	close(stop)
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
