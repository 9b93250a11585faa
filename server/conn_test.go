package server

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADescriptorThatIsNoSocketIsClosedOnceAndAtOnce(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	if err := new(conn).wrap(pipe[0]); err == nil {
		t.Fatal("a pipe is taken for a socket")
	}
	if _, err := unix.FcntlInt(uintptr(pipe[0]), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("it is still open: %v", err)
	}
}
