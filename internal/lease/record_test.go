package lease_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

func FuzzRecord(f *testing.F) {
	f.Add([]byte("\x01\x04\xc0\x00\x02\x01\x01\x02\x04\x02ab\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x10\x20\x01\x0d\xb8aaaaaaaaaaaa\x00\x02\x04"))
	f.Add([]byte("\x02\x04boot\x02\x04\x06"))
	f.Add([]byte("\x03note"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = lease.Replays(b, b)
		if len(b) == 0 || b[0] != 1 {
			return
		}
		again, l, ok := lease.Canonical(b)
		if !ok {
			return
		}
		twice, same, ok := lease.Canonical(again)
		if !ok || l != same || !bytes.Equal(again, twice) {
			t.Errorf("%x becomes %x, then %x", b, again, twice)
		}
		for _, part := range []string{l.Owner, l.MAC, l.ID, l.Hostname, l.CircuitID, l.RemoteID} {
			if len(part) > lease.MaxField {
				t.Errorf("a part has %d bytes", len(part))
			}
		}
	})
}

func TestRecordsOfANewerVersionAreRefused(t *testing.T) {
	if err := lease.Replays([]byte{9}); err == nil || !strings.Contains(err.Error(), "run the version that wrote it") {
		t.Error(err)
	}
}

func TestWhatAClientTellsComesBackAndIsBounded(t *testing.T) {
	s := newSite(t, 1, 5)
	long := strings.Repeat("x", 300)
	c := lease.Client{Owner: "dell", MAC: "\x52\x54\x00", ID: "\x01\x00\xff", Hostname: long, CircuitID: strings.Repeat("c", 200), RemoteID: "\n"}
	written := make(chan error, 1)
	if _, err := s.Commit(c, addr(1), time.Hour, func(err error) { written <- err }, s.pool); err != nil || <-written != nil {
		t.Fatal(err)
	}
	s.restarts(t)
	c.Hostname = long[:lease.MaxField]
	if got := s.on(addr(1)).Client; got != c {
		t.Errorf("%+q", got)
	}
	for _, owner := range []string{"", long} {
		if _, err := s.leases(owner, addr(2), time.Hour); err == nil {
			t.Errorf("the owner %q got a lease", owner)
		}
	}
}
