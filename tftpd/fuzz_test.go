package tftpd_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/tftpd"
)

func FuzzServerSurvivesAnyDatagram(f *testing.F) {
	l := newLab(f)
	l.config.Retransmit = time.Millisecond // sessions that nobody continues end soon
	l.diary.log.SetLevel(logrus.PanicLevel)
	content := random(600)
	l.has("x", content)
	at := l.tftp("127.0.0.1:0")
	for _, seed := range [][]byte{
		nil, {0}, {0, 1}, {0, 1, 0, 0}, {0, 4, 0, 1}, {0, 5, 0, 8, 0}, {0, 6, 0, 0, 0, 0},
		request(opRead, "x", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4"),
		request(opRead, "x", "octet", "blksize"), request(opRead, "..", ""), request(opWrite, "x", "octet", "blksize", "99999999999999999999"),
		append(request(opRead, "x", "netascii", "tsize", strings.Repeat("9", 480)), 0, 0, 0),
		bytes.Repeat([]byte{0, 1}, 300),
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		m := powerOn(t, at)
		m.sends(at, first[:min(len(first), 1400)])
		if _, err := m.hears(2 * time.Millisecond); err == nil {
			m.sends(m.from, second[:min(len(second), 1400)]) // within a transfer
		}
		d, err := fetch(t, at, "x", "blksize", "512")
		if err := whole(d, err, content); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request(opRead, "x", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4"))
	f.Add(request(opRead, "x", "netascii", "tsize"))
	f.Add([]byte{0, opRead})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 2 {
			return
		}
		name, options, err := tftpd.ParseRequest(b)
		if strings.ContainsRune(name, 0) || len(name) > len(b) || options > 4 {
			t.Errorf("%q has name %q and %d options", b, name, options)
		}
		if nuls := bytes.Count(b[2:], []byte{0}); err == nil && nuls < 2+2*options {
			t.Errorf("%q has %d options of %d texts", b, options, nuls)
		}
	})
}
