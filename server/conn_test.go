package server

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestASocketThatFailedIsClosedOnceAndAtOnce(t *testing.T) {
	s, err := openRaw(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := s.fd
	c := &conn{socket: s, sends: s}
	if err := c.prepare(net.UDPAddr{IP: net.IPv4(203, 0, 113, 1)}, false); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Fatalf("another host's address: %v", err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("it is still open: %v", err)
	}
	var pipe [2]int // takes the numbers that are free now
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if err := c.close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	for _, other := range pipe {
		if _, err := unix.FcntlInt(uintptr(other), unix.F_GETFD, 0); err != nil {
			t.Errorf("closing again closed another one's: %v", err)
		}
	}
}
