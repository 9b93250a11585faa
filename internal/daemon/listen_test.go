package daemon_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// port is the port of an open socket.
func port(t *testing.T, socket any) string {
	t.Helper()
	var a net.Addr
	switch s := socket.(type) {
	case net.PacketConn:
		a = s.LocalAddr()
	case net.Listener:
		a = s.Addr()
	}
	_, p, err := net.SplitHostPort(a.String())
	must(t, err)
	return p
}

func TestATakenPortNamesItsHolder(t *testing.T) {
	for _, c := range []struct{ network, held, asked string }{
		{"udp", "127.0.0.1", "127.0.0.1"},
		{"udp", "127.0.0.1", ""},
		{"udp4", "0.0.0.0", "127.0.0.1"},
		{"udp6", "::1", "::1"},
		{"udp", "", "127.0.0.1"},
		{"tcp", "127.0.0.1", "127.0.0.1"},
		{"tcp", "", "::1"},
		{"tcp6", "::1", "::1"},
	} {
		t.Run(c.network+" "+c.held+" "+c.asked, func(t *testing.T) {
			// A port that was free a moment ago, for another process to hold.
			free, err := listen(c.network, net.JoinHostPort(c.held, "0"))
			must(t, err)
			p := port(t, free)
			must(t, free.Close())
			holder, _ := startAs(t, "hold "+c.network+" "+net.JoinHostPort(c.held, p))

			addr := net.JoinHostPort(c.asked, p)
			_, err = listen(c.network, addr)
			got := daemon.ListenError(err, c.network, addr, "--tftp")
			want := fmt.Sprintf("listen %s %s: port %s is taken by daemon.test (pid %d); stop it or choose another --tftp address",
				c.network, addr, p, holder.Process.Pid)
			if got == nil || got.Error() != want {
				t.Errorf("the error is\n%v, want\n%s", got, want)
			}
			if !errors.Is(got, syscall.EADDRINUSE) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestAPortGivenTwiceIsSaidToBe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, err = daemon.Listen(l.Addr().String(), "--http")
	want := fmt.Sprintf("listen tcp %s: port %s is already open in this process; give each --http address once", l.Addr(), port(t, l))
	if err == nil || err.Error() != want {
		t.Errorf("the error is\n%v, want\n%s", err, want)
	}
}

func TestListenErrorsEndInARemedy(t *testing.T) {
	system := func(no syscall.Errno) error {
		return &net.OpError{Op: "listen", Net: "udp", Err: os.NewSyscallError("bind", no)}
	}
	for _, c := range []struct {
		err           error
		network, addr string
		want          string
	}{
		{system(syscall.EACCES), "udp", ":69",
			"port 69 needs root or CAP_NET_BIND_SERVICE; start as root, grant the capability, or choose a --tftp port from 1024 up"},
		{system(syscall.EADDRINUSE), "udp", "192.0.2.1:9", // nobody is found to hold it
			"port 9 is taken by another process; stop it or choose another --tftp address"},
		{system(syscall.EMFILE), "udp", ":69", "too many open files; choose another --tftp address"},
		{try("udp", "192.0.2.1:6969"), "udp", "192.0.2.1:6969",
			"this host has no address 192.0.2.1; add it to an interface or choose another --tftp address"},
		{try("tcp", "192.0.2.1:6969"), "tcp", "192.0.2.1:6969",
			"this host has no address 192.0.2.1; add it to an interface or choose another --tftp address"},
		{try("udp", "6969"), "udp", "6969", form},
		{try("udp", ":99999"), "udp", ":99999", form},
		{try("tcp", ":nonsense"), "tcp", ":nonsense", form},
		{try("udp", "::1:69"), "udp", "::1:69", form},
		{try("udp", "256.0.0.1:69"), "udp", "256.0.0.1:69", form},
	} {
		got := daemon.ListenError(c.err, c.network, c.addr, "--tftp")
		if want := "listen " + c.network + " " + c.addr + ": " + c.want; got == nil || got.Error() != want {
			t.Errorf("the error is\n%v, want\n%s", got, want)
		}
		if !errors.Is(got, c.err) {
			t.Error("the cause is lost")
		}
	}
	if err := daemon.ListenError(nil, "udp", ":69", "--tftp"); err != nil {
		t.Errorf("success is %v", err)
	}
}

const form = "not an address and port of this host; write --tftp as :PORT, 192.0.2.1:PORT or [2001:db8::1]:PORT"

// try is the error of a listen that must fail.
func try(network, addr string) error {
	socket, err := listen(network, addr)
	if err == nil {
		socket.Close()
	}
	return err
}

func TestVersionIsOneLine(t *testing.T) {
	if v := daemon.Version(); v == "" || strings.Contains(v, "\n") {
		t.Errorf("%q", v)
	}
}
