package tftpd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// robustness is what no TFTP server that was measured gets right in every row: what a hostile, broken or unlucky client
// hears, and what it costs.
var robustness = []struct {
	story string
	check func(*lab) error
}{
	{"a name that leads out of the root", refuses(2, "Access violation", "../x", "/../x", "sub/../../x", `..\secret`)},
	{"a harmless dot-dot", serves("sub/../ok.txt")},
	{"an absolute path with the root in it", func(l *lab) error {
		return refuses(1, "File not found", filepath.Join(l.root, "ok.txt"))(l)
	}},
	{"backslashes", serves(`\ok.txt`, `sub\x.txt`)},
	{"percent-encoding", refuses(1, "File not found", "%2e%2e/secret", "ok%2etxt")},
	{"a link out of the root", refuses(2, "Access violation", "out", "absolute", "up/secret")},
	{"a link inside the root", serves("in")},
	{"other letters", refuses(1, "File not found", "OK.TXT")},
	{"a missing file", refuses(1, "File not found", "none", "sub/none", "ok.txt/none")},
	{"a directory, a dot, no name", refuses(1, "File not found", "sub", "sub/", ".", "", "/")},
	{"a FIFO", refuses(1, "File not found", "fifo")},
	{"a socket", refuses(1, "File not found", "socket")},
	{"a device", refuses(1, "File not found", "zero")},
	{"a long name", refuses(1, "File not found", strings.Repeat("x", 255), strings.Repeat("x", 300), strings.Repeat("y/", 700)+"x")},
	{"a write", writes},
	{"an unknown mode, or none", wrongModes},
	{"a request that is cut off", cutRequests},
	{"netascii", asText},
	{"tsize with netascii", answers([]string{"tsize", "0"}, "netascii", nil)},
	{"an unknown option", answers([]string{"multicast", "", "tsize", "0"}, "octet", map[string]string{"tsize": "1000"})},
	{"option names in capitals", answers([]string{"BLKSIZE", "1000", "TSize", "0"}, "OCTET", map[string]string{"blksize": "1000", "tsize": "1000"})},
	{"block sizes that are none", answers([]string{"blksize", "0"}, "octet", nil, "7", "-1", "4294967808", "65465", "abc", "", "512.0", " 512")},
	{"a block larger than the path takes", answers([]string{"blksize", "65464"}, "octet", map[string]string{"blksize": "1468"})},
	{"the smallest block", answers([]string{"blksize", "8"}, "octet", map[string]string{"blksize": "8"})},
	{"a tsize that is not zero", answers([]string{"tsize", "5"}, "octet", map[string]string{"tsize": "1000"})},
	{"a timeout", answers([]string{"timeout", "3"}, "octet", map[string]string{"timeout": "3"})},
	{"timeouts that are none", answers([]string{"timeout", "0"}, "octet", nil, "256", "-1", "x")},
	{"the timeout agreed on is kept to", keepsTimeout},
	{"a window", answers([]string{"windowsize", "16"}, "octet", map[string]string{"windowsize": "16"})},
	{"a huge window", answers([]string{"windowsize", "65535"}, "octet", map[string]string{"windowsize": "64"})},
	{"windows that are none", answers([]string{"windowsize", "0"}, "octet", nil, "65536", "-4")},
	{"an option twice", answers([]string{"blksize", "600", "blksize", "700"}, "octet", map[string]string{"blksize": "600"})},
	{"a repeated request", repeatedRequest},
	{"a machine that restarts and asks anew from its port", asksAnew},
	{"a size probe", probeIsNotAnswered},
	{"three times the same ACK", tripleAck},
	{"a stale ACK and one from the future", wrongAcks},
	{"an ACK from another port", wrongTID},
	{"an ACK that comes again after the end", lateAck},
	{"the five bytes of a Windows ACK", fiveBytes},
	{"junk and ACKs to the port that is asked", junkToThePort},
	{"a request to the broadcast address", broadcast},
	{"a file that is replaced", replaced},
	{"a file that is overwritten in place", overwritten},
	{"a file that is truncated in place", truncated},
	{"a client that does not exist", nobody},
	{"a window that nobody acknowledges", deafClient},
}

func TestEveryRowOfTheRobustnessTable(t *testing.T) {
	for _, row := range robustness {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.config.Grace = time.Millisecond // what is not finished then is of no interest
			furnish(l)
			if err := row.check(l); err != nil {
				t.Error(err)
			}
		})
	}
}

const okSize = 1000

// furnish puts everything below the root that could be asked for in bad faith.
func furnish(l *lab) {
	l.has("ok.txt", bytes.Repeat([]byte("a line of 20 chars.\n"), okSize/20))
	l.has("sub/x.txt", bytes.Repeat([]byte("a line of 20 chars.\n"), okSize/20))
	for name, target := range map[string]string{"out": "../secret", "absolute": "/etc/passwd", "up": "..", "in": "sub/x.txt"} {
		must(l.t, os.Symlink(target, filepath.Join(l.root, name)))
	}
	must(l.t, syscall.Mkfifo(filepath.Join(l.root, "fifo"), 0o666))
	socket, err := net.Listen("unix", filepath.Join(l.root, "socket"))
	must(l.t, err)
	l.t.Cleanup(func() { socket.Close() })
	if err := unix.Mknod(filepath.Join(l.root, "zero"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
		l.t.Logf("no device can be made here (%v); TestADeviceIsNotServed has one", err)
	}
}

// refuses wants one error for each of the names, at once.
func refuses(code uint16, text string, names ...string) func(*lab) error {
	return func(l *lab) error {
		server := l.tftp("127.0.0.1:0")
		for _, name := range names {
			p, err := answer(l.t, server, request(opRead, name, "octet"))
			if err != nil || p.op != opError || p.number != code || string(p.payload) != text {
				return fmt.Errorf("%.30q: %w", name, unexpected(p, err))
			}
		}
		return nil
	}
}

func serves(names ...string) func(*lab) error {
	return func(l *lab) error {
		server := l.tftp("127.0.0.1:0")
		for _, name := range names {
			d, err := fetch(l.t, server, name)
			if err != nil || len(d.content) != okSize {
				return fmt.Errorf("%q: %d bytes, %w", name, len(d.content), err)
			}
		}
		return nil
	}
}

// answers wants an OACK, or DATA where that is nil; other values of the first option get the same.
func answers(options []string, mode string, want map[string]string, others ...string) func(*lab) error {
	return func(l *lab) error {
		server := l.tftp("127.0.0.1:0")
		for _, value := range append([]string{options[1]}, others...) {
			options[1] = value
			p, err := answer(l.t, server, request(opRead, "ok.txt", mode, options...))
			if want == nil && (err != nil || p.op != opData) {
				return fmt.Errorf("%v: %w", options, unexpected(p, err))
			}
			if want == nil {
				continue
			}
			if err != nil || p.op != opOACK {
				return fmt.Errorf("%v: %w", options, unexpected(p, err))
			}
			if fmt.Sprint(p.options) != fmt.Sprint(want) {
				return fmt.Errorf("%v: OACK %v, want %v", options, p.options, want)
			}
		}
		return nil
	}
}

func writes(l *lab) error {
	server := l.tftp("127.0.0.1:0")
	must(l.t, os.Chmod(filepath.Join(l.root, "ok.txt"), 0o666))
	for _, name := range []string{"ok.txt", "new", "../secret"} {
		p, err := answer(l.t, server, request(opWrite, name, "octet", "tsize", "5"))
		if err != nil || p.String() != `ERROR 2 "Access violation"` {
			return unexpected(p, err)
		}
	}
	if e := l.diary.entry(l.t, 1); e.Level != logrus.WarnLevel || e.Data["result"] != "refused" {
		return fmt.Errorf("logged %s %v", e.Level, e.Data)
	}
	return nil
}

func wrongModes(l *lab) error {
	server := l.tftp("127.0.0.1:0")
	for _, mode := range []string{"", "mail", "binary", "octets"} {
		p, err := answer(l.t, server, request(opRead, "ok.txt", mode))
		if err != nil || p.String() != `ERROR 4 "Illegal TFTP operation"` {
			return fmt.Errorf("%q: %w", mode, unexpected(p, err))
		}
	}
	return nil
}

func cutRequests(l *lab) error {
	server := l.tftp("127.0.0.1:0")
	for _, rq := range []string{"\x00\x01", "\x00\x01ok.txt", "\x00\x01ok.txt\x00", "\x00\x01ok.txt\x00octet", "\x00\x01" + strings.Repeat("x", 5000)} {
		p, err := answer(l.t, server, []byte(rq))
		if err != nil || p.String() != `ERROR 4 "Illegal TFTP operation"` {
			return fmt.Errorf("%.20q: %w", rq, unexpected(p, err))
		}
	}
	return nil
}

func asText(l *lab) error {
	l.has("text", []byte("one\ntwo\rthree\r\n"))
	l.has("binary", []byte("one\ntwo\x00"))
	l.has("latin", []byte("caf\xe9\n"))
	server := l.tftp("127.0.0.1:0")
	for name, want := range map[string]string{
		"text": "one\r\ntwo\r\x00three\r\x00\r\n", "binary": "one\ntwo\x00", "latin": "caf\xe9\n",
	} {
		d, err := powerOn(l.t, server).downloads(request(opRead, name, "NETASCII"), patient)
		if err := whole(d, err, []byte(want)); err != nil {
			return fmt.Errorf("%s: %q, %w", name, d.content, err)
		}
	}
	return nil
}

// hearsFor counts what comes within a time.
func (m *machine) hearsFor(d time.Duration) (packets []packet, at []time.Time) {
	m.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		p, err := m.hears(max(time.Until(end), time.Millisecond))
		if errors.Is(err, errSilence) {
			break
		}
		must(m.t, err)
		packets, at = append(packets, p), append(at, time.Now())
	}
	return packets, at
}

func ackOf(block uint16, more ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0, opAck}, block), more...)
}
