package daemon_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

func TestALineIsThatOfTheTextFormatter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []any{
		"", "boot", "two words", "a\"b\n\x1b[31m", "ünï", "\xff\x00", "http://192.0.2.1/x.ipxe?a=b", "a-b._/@^+9", 0, -7, 3.5, true, nil,
		errors.New("disk full"), netip.MustParseAddr("192.0.2.1"), []byte{1, 2}, time.Second,
	}
	keys := []string{"mac", "fw", "because", "file", "func", "prefix", "Z", "msg", "time", "level", "logrus_error"}
	want := &logrus.TextFormatter{FullTimestamp: true, DisableColors: true}
	log := logrus.New()
	for range 5000 {
		e := &logrus.Entry{
			Logger: log, Level: logrus.Level(random.IntN(7)), Time: time.Unix(random.Int64N(1<<31), 0), Data: logrus.Fields{},
			Buffer: new(bytes.Buffer),
		}
		e.Message, _ = words[random.IntN(len(words))].(string)
		for range random.IntN(12) {
			e.Data[keys[random.IntN(len(keys))]] = words[random.IntN(len(words))]
		}
		got, err := daemon.NewLineFormatter().Format(e)
		must(t, err)
		text := string(got)
		e.Buffer = new(bytes.Buffer)
		expected, err := want.Format(e)
		must(t, err)
		if text != string(expected) {
			t.Fatalf("%v\n%s%s", e.Data, text, expected)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	e := &logrus.Entry{
		Logger: logrus.New(), Level: logrus.InfoLevel, Time: time.Unix(1, 0), Message: "boot", Buffer: new(bytes.Buffer),
		Data: logrus.Fields{"mac": "52:54:00:aa:bb:01", "file": "http://192.0.2.1/x.ipxe", "server": "192.0.2.1", "because": "boot.yml:41"},
	}
	f := daemon.NewLineFormatter()
	b.ReportAllocs()
	for b.Loop() {
		e.Buffer.Reset()
		if _, err := f.Format(e); err != nil {
			b.Fatal(err)
		}
	}
}
