package tftpd_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

func TestStopWithoutTransfersIsImmediate(t *testing.T) {
	l := newLab(t)
	l.config.Grace = patient
	l.tftp("127.0.0.1:0")
	began := time.Now()
	l.stop()
	if err := <-l.ended; err != nil || time.Since(began) > patient/2 {
		t.Errorf("ended after %s with %v", time.Since(began), err)
	}
}

func TestStopLetsATransferFinish(t *testing.T) {
	l := newLab(t)
	l.config.Grace = patient
	content := random(50_000)
	l.has("x", content)
	m := powerOn(t, l.tftp("127.0.0.1:0"))
	m.asks("x", "tsize", "0")
	_, err := m.hears(patient)
	must(t, err)
	l.stop()
	m.acks(0)
	d, err := m.finishes(habits{})
	if err := errors.Join(whole(d, err, content), <-l.ended); err != nil {
		t.Error(err)
	}
}

func TestStopCutsATransferAfterTheGrace(t *testing.T) {
	l := newLab(t)
	l.config.Grace = 20 * time.Millisecond
	f, err := os.Create(filepath.Join(l.root, "endless"))
	must(t, err)
	must(t, f.Truncate(1<<40))
	f.Close()
	m := powerOn(t, l.tftp("127.0.0.1:0"))
	m.asks("endless")
	p, err := m.hears(patient)
	must(t, err)
	l.stop()
	for p.op == opData {
		m.acks(p.number)
		p, err = m.hears(patient)
		must(t, err)
	}
	if string(p.payload) != "Server is stopping" {
		t.Errorf("the client hears %v", p)
	}
	must(t, <-l.ended)
}

func TestStopDoesNotWaitForASilentClient(t *testing.T) {
	l := newLab(t)
	l.config.Grace = 10 * time.Millisecond
	l.config.Retransmit = 100 * time.Millisecond
	l.has("x", random(700))
	m := powerOn(t, l.tftp("127.0.0.1:0"))
	m.asks("x")
	_, err := m.hears(patient)
	must(t, err)
	began := time.Now()
	l.stop()
	must(t, <-l.ended)
	if took := time.Since(began); took > tftpd.Patience(l.config.Retransmit)/2 {
		t.Errorf("the stop took %s", took)
	}
	m.aborts(0, "that is all")
}

func TestStopCutsADownloadAfterTheGrace(t *testing.T) {
	l := newLab(t)
	l.config.Grace = 20 * time.Millisecond
	l.sparse("big.iso", 1<<30)
	b := visit(t, l.http("127.0.0.1:0"))
	b.starts("/big.iso")
	l.stop()
	must(t, <-l.ended)
	if n, err := io.Copy(io.Discard, b.in); n > 1<<29 {
		t.Errorf("%d bytes still came, %v", n, err)
	}
}
