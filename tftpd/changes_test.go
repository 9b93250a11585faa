package tftpd_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

// aged makes the service believe that all files are an hour old, so that it keeps their bytes.
func aged(l *lab) {
	l.config.Now = func() time.Time { return time.Now().Add(time.Hour) }
}

func replaced(l *lab) error {
	m, content, err := begins(l)
	if err != nil {
		return err
	}
	full := filepath.Join(l.root, "x")
	must(l.t, os.WriteFile(full+".new", []byte("new"), 0o644))
	must(l.t, os.Rename(full+".new", full))
	m.acks(1)
	d, err := m.finishes(habits{from: 2})
	if err := whole(d, err, content[512:]); err != nil {
		return err
	}
	d, err = fetch(l.t, m.server, "x")
	return whole(d, err, []byte("new"))
}

func overwritten(l *lab) error {
	aged(l)
	m, content, err := begins(l)
	if err != nil {
		return err
	}
	l.has("x", bytes.Repeat([]byte{1}, len(content)))
	m.acks(1)
	d, err := m.finishes(habits{from: 2})
	if err := whole(d, err, content[512:]); err != nil {
		return fmt.Errorf("the bytes kept: %w", err)
	}
	d, err = fetch(l.t, m.server, "x")
	return whole(d, err, bytes.Repeat([]byte{1}, len(content)))
}

func truncated(l *lab) error {
	aged(l)
	large := filepath.Join(l.root, "large")
	must(l.t, os.WriteFile(large, nil, 0o644))
	must(l.t, os.Truncate(large, tftpd.LargestSnapshot+1))
	m := powerOn(l.t, l.tftp("127.0.0.1:0"))
	m.asks("large", "windowsize", "4")
	if p, err := m.hears(patient); err != nil || p.op != opOACK {
		return unexpected(p, err)
	}
	must(l.t, os.Truncate(large, 700))
	m.acks(0)
	p, err := m.hears(patient)
	for ; err == nil && p.op == opData; p, err = m.hears(patient) {
		if p.number > 1 {
			return fmt.Errorf("hears %s of a file of 700 bytes", p)
		}
	}
	if err != nil || p.String() != `ERROR 0 "Server error"` {
		return unexpected(p, err)
	}
	return nil
}
