package tftpd_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/tftpd"
)

func TestAnswersComeFromTheAddressThatWasAsked(t *testing.T) {
	l := newLab(t)
	l.has("x", []byte("x"))
	at := l.tftp("0.0.0.0:0")
	for _, ip := range []string{"127.0.0.1", "127.0.0.2", "127.9.8.7"} {
		m := powerOn(t, &net.UDPAddr{IP: net.ParseIP(ip), Port: at.Port})
		m.asks("x")
		_, err := m.finishes(habits{})
		must(t, err)
		if got := m.from.IP.String(); got != ip {
			t.Errorf("%s is asked, %s answers", ip, got)
		}
	}
}

func TestAnAddressWithoutHostServesBothFamilies(t *testing.T) {
	l := newLab(t)
	content := random(5000)
	l.has("x", content)
	conns, err := tftpd.ListenTFTP(":0")
	must(t, err)
	if len(conns) != 2 {
		t.Fatalf("%d sockets", len(conns))
	}
	port := conns[0].LocalAddr().(*net.UDPAddr).Port
	for _, c := range conns {
		l.run(tftpd.NewTFTP(c, l.config))
	}
	for ip, block := range map[string]string{"127.0.0.1": "1468", "::1": "1448"} {
		d, err := fetch(t, &net.UDPAddr{IP: net.ParseIP(ip), Port: port}, "x", "blksize", "65464")
		if err := whole(d, err, content); err != nil || d.options["blksize"] != block {
			t.Errorf("%s: %v, options %v; want blocks of %s", ip, err, d.options, block)
		}
	}
}

func TestEachTransferIsOneLogLineAndOneCount(t *testing.T) {
	for _, c := range []struct {
		story, name, result, because string
		level                        logrus.Level
	}{
		{"a file", "/ipxe.efi", "sent", "", logrus.InfoLevel},
		{"a missing file", "none", "missing", "file does not exist in ROOT", logrus.InfoLevel},
		{"a directory", "sub", "missing", "ROOT/sub is not a regular file", logrus.InfoLevel},
		{"no name", "", "missing", "the name is empty: file does not exist", logrus.InfoLevel},
		{"a name that leads out", "../secret", "refused", "the name leads outside the root", logrus.WarnLevel},
		{"a link that leads out", "link", "refused",
			"ROOT/link leads outside the root; copy the file there (cp -L)", logrus.WarnLevel},
	} {
		t.Run(c.story, func(t *testing.T) {
			l := newLab(t)
			l.has("ipxe.efi", random(700))
			l.has("sub/x", nil)
			must(t, os.Symlink("../secret", filepath.Join(l.root, "link")))
			m := powerOn(t, l.tftp("127.0.0.1:0"))
			m.asks(c.name)
			d, err := m.finishes(habits{})
			if (err == nil) != (c.result == "sent") {
				t.Fatal(err)
			}
			if err != nil && strings.Contains(err.Error(), l.root) {
				t.Errorf("the client sees a path: %v", err)
			}

			e := l.diary.entry(t, 1)
			because, _ := e.Data["because"].(string)
			want := strings.ReplaceAll(c.because, "ROOT", l.root)
			if e.Message != "tftp" || e.Level != c.level || e.Data["result"] != c.result || because != want {
				t.Errorf("logged %s %q %v, want %s %s because=%q", e.Level, e.Message, e.Data, c.level, c.result, want)
			}
			client := fmt.Sprintf("127.0.0.1:%d", m.conn.LocalAddr().(*net.UDPAddr).Port)
			if e.Data["client"] != client || e.Data["bytes"] != int64(len(d.content)) || e.Data["took"] == "" {
				t.Errorf("logged %v, want client %s and %d bytes", e.Data, client, len(d.content))
			}
			if n := l.metric(tftpd.MetricTransfers, "tftp", c.result); n != 1 || l.metric(tftpd.MetricTransfers) != 1 {
				t.Errorf("%v transfers are counted as %s", n, c.result)
			}
			if n := l.metric(tftpd.MetricBytes, "tftp"); n != float64(len(d.content)) {
				t.Errorf("%v bytes are counted", n)
			}
			if n := l.metric(tftpd.MetricSize, "tftp", c.result); n != float64(len(d.content)) {
				t.Errorf("a transfer of %v bytes is counted", n)
			}
			if n := l.metric(tftpd.MetricActive, "tftp"); n != 0 {
				t.Errorf("%v transfers are active", n)
			}
			if l.diary.count() != 1 {
				t.Errorf("%d log lines", l.diary.count())
			}
		})
	}
}

func TestASizeProbeIsNoFailure(t *testing.T) {
	l := newLab(t)
	l.has("x", random(700))
	m := powerOn(t, l.tftp("127.0.0.1:0"))
	m.asks("x", "tsize", "0")
	_, err := m.hears(patient)
	must(t, err)
	m.aborts(8, "User aborted the transfer")
	e := l.diary.entry(t, 1)
	if e.Level != logrus.DebugLevel || e.Data["result"] != "probe" ||
		e.Data["because"] != "the client says: error 8, User aborted the transfer" {
		t.Errorf("logged %s %v", e.Level, e.Data)
	}
	if n := l.metric(tftpd.MetricTransfers, "tftp", "probe"); n != 1 {
		t.Errorf("%v probes are counted", n)
	}
}

func TestAClientCannotWriteLogLines(t *testing.T) {
	l := newLab(t)
	l.has("x", random(700))
	at := l.tftp("127.0.0.1:0")
	const forged = "\ntime=now level=error msg=forged \x1b[31m\u2028"
	for _, name := range []string{"../x" + forged, "x" + forged} {
		_, err := answer(t, at, request(opRead, name, "octet"))
		must(t, err)
	}
	m := powerOn(t, at)
	m.asks("x", "tsize", "0")
	_, err := m.hears(patient)
	must(t, err)
	m.aborts(0, "no"+forged)

	var text string
	eventually(t, "three lines are written", func() bool {
		text = l.diary.text.String()
		return strings.Count(text, "\n") >= 3
	})
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.HasPrefix(line, `time="`) || strings.ContainsAny(line, "\x1b\u2028") {
			t.Errorf("forged line %q", line)
		}
	}
}

func TestAnyTsizeIsAnsweredWithTheTrueSize(t *testing.T) {
	l := newLab(t)
	l.has("x", random(700))
	at := l.tftp("127.0.0.1:0")
	for _, asked := range []string{"0", "5", "abc"} {
		d, err := fetch(t, at, "x", "tsize", asked)
		if err != nil || d.options["tsize"] != "700" {
			t.Errorf("tsize %s: %v, %v", asked, d.options, err)
		}
	}
}

func TestAFileThatShrinksEndsInAnErrorNotInAShortFile(t *testing.T) {
	l := newLab(t)
	l.has("x", random(5000))
	m := powerOn(t, l.tftp("127.0.0.1:0"))
	m.asks("x")
	p, err := m.hears(patient)
	must(t, err)
	must(t, os.Truncate(filepath.Join(l.root, "x"), 600))
	m.acks(p.number)
	if p, err = m.hears(patient); err != nil || p.String() != `ERROR 0 "Server error"` {
		t.Errorf("%v, %v", p, err)
	}
	if e := l.diary.entry(t, 1); e.Level != logrus.ErrorLevel || e.Data["because"] != "the file became shorter while it was sent" {
		t.Errorf("logged %s %v", e.Level, e.Data)
	}
}

// files is a Files made of a function.
type files func(tftpd.Request) (tftpd.File, error)

func (f files) Open(rq tftpd.Request) (tftpd.File, error) { return f(rq) }

// trap is a file that panics when it is read.
type trap struct{ tftpd.File }

func (trap) Read([]byte) (int, error) { panic("trap") }

func TestAPanicCostsOneTransferOnly(t *testing.T) {
	l := newLab(t)
	good := random(700)
	l.has("good", good)
	dirs := l.config.Files
	l.config.Files = files(func(rq tftpd.Request) (tftpd.File, error) {
		switch rq.Name {
		case "open":
			panic("trap")
		case "read":
			f, err := dirs.Open(tftpd.Request{Name: "good"})
			return trap{f}, err
		case "broken":
			return nil, errors.New("disk on fire at /secret/path")
		}
		return dirs.Open(rq)
	})
	at := l.tftp("127.0.0.1:0")
	for _, name := range []string{"open", "broken"} {
		if p, err := answer(t, at, request(opRead, name, "octet")); err != nil || p.String() != `ERROR 0 "Server error"` {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	powerOn(t, at).asks("read")
	for n, want := range []string{"panic: trap", "disk on fire at /secret/path", "panic: trap"} {
		if e := l.diary.entry(t, n+1); e.Level != logrus.ErrorLevel || e.Data["result"] != "failed" || e.Data["because"] != want {
			t.Errorf("logged %s %v", e.Level, e.Data)
		}
	}
	d, err := fetch(t, at, "good")
	if err := whole(d, err, good); err != nil {
		t.Error(err)
	}
}

func TestAnUnreadableFileIsAnAccessViolation(t *testing.T) {
	l := newLab(t)
	l.config.Files = files(func(tftpd.Request) (tftpd.File, error) { return nil, fs.ErrPermission })
	p, err := answer(t, l.tftp("127.0.0.1:0"), request(opRead, "x", "octet"))
	if err != nil || string(p.payload) != "Access violation" {
		t.Errorf("%v, %v", p, err)
	}
}

func TestAClientThatAsksAgainFromItsPortGetsAnotherTransferID(t *testing.T) {
	l := newLab(t)
	content := random(700)
	l.has("x", content)
	m := powerOn(t, l.tftp("127.0.0.1:0"))
	last := 0
	for n := range 6 {
		m.from = nil
		m.asks("x")
		d, err := m.finishes(habits{})
		if err := whole(d, err, content); err != nil {
			t.Fatal(err)
		}
		if m.from.Port == last {
			t.Errorf("transfer %d has the ID of the one before", n)
		}
		last = m.from.Port
	}
}
