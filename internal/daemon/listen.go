package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
)

// listenError reads as fact and remedy; the cause stays reachable for errors.Is.
type listenError struct {
	text  string
	cause error
}

func (e *listenError) Error() string { return e.text }
func (e *listenError) Unwrap() error { return e.cause }

// ListenError explains err, which opening addr ("host:port") on network ("udp", "udp4", "tcp6", ...) gave, to the
// person who starts the daemon. Setting is what they would change, such as "--tftp" or "listen". A nil err stays nil.
//
//	listen udp :69: port 69 is taken by in.tftpd (pid 123); stop it or choose another --tftp address
func ListenError(err error, network, addr, setting string) error {
	if err == nil {
		return nil
	}
	return &listenError{fmt.Sprintf("listen %s %s: %s", network, addr, explain(err, network, addr, setting)), err}
}

func explain(err error, network, addr, setting string) string {
	host, port, splitErr := net.SplitHostPort(addr)
	var dns *net.DNSError
	var bad *net.AddrError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return taken(network, addr, port, setting)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Sprintf("port %s needs root or CAP_NET_BIND_SERVICE; start as root, grant the capability, "+
			"or choose a %s port from 1024 up", port, setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("this host has no address %s; add it to an interface or choose another %s address", host, setting)
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return fmt.Sprintf("this host does not speak the address family; choose another %s address", setting)
	case splitErr != nil, errors.As(err, &dns), errors.As(err, &bad):
		return fmt.Sprintf("not an address and port of this host; write %s as :PORT, 192.0.2.1:PORT or [2001:db8::1]:PORT", setting)
	}
	return fmt.Sprintf("%v; choose another %s address", errno(err), setting)
}

// errno drops what net and os wrap around the system's own words, which repeats the address.
func errno(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

func taken(network, addr, port, setting string) string {
	a, err := net.ResolveUDPAddr("udp", addr) // only for the numbers; TCP has the same
	if err != nil {
		return fmt.Sprintf("port %s is taken by another process; stop it or choose another %s address", port, setting)
	}
	p, found := holder(network, a.AddrPort())
	switch {
	case !found:
		return fmt.Sprintf("port %d is taken by another process; stop it or choose another %s address", a.Port, setting)
	case p.id == os.Getpid():
		return fmt.Sprintf("port %d is already open in this process; give each %s address once", a.Port, setting)
	}
	return fmt.Sprintf("port %d is taken by %s (pid %d); stop it or choose another %s address", a.Port, p.name, p.id, setting)
}

// clash tells whether two sockets of one protocol cannot both hold these addresses.
func clash(a, b netip.AddrPort) bool {
	x, y := a.Addr().Unmap(), b.Addr().Unmap()
	return a.Port() == b.Port() && (!x.IsValid() || x.IsUnspecified() || y.IsUnspecified() || x.WithZone("") == y)
}

// Listen opens a TCP listener; its error is explained as by ListenError.
func Listen(addr, setting string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	return l, ListenError(err, "tcp", addr, setting)
}

// ListenMetrics opens the address of a metrics endpoint: a TCP address, or "unix:" and the path of a socket, which its
// owner and group can open. It warns of an address that other hosts can reach. Its error is explained as by ListenError.
func ListenMetrics(addr, setting string, log logrus.FieldLogger) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return listenUnix(path, setting)
	}
	l, err := Listen(addr, setting)
	if err != nil {
		return nil, err
	}
	if a := l.Addr().(*net.TCPAddr); !a.IP.IsLoopback() {
		log.WithField("address", a.String()).Warn("metrics can be read by everybody who reaches this address; use 127.0.0.1, or unix: and a path, and let a proxy ask for a password")
	}
	return l, nil
}

// listenUnix takes the place of a socket that nobody serves any more: a daemon that was killed leaves it behind.
func listenUnix(path, setting string) (net.Listener, error) {
	failed := func(fact string, err error) (net.Listener, error) {
		return nil, &listenError{fmt.Sprintf("listen unix %s: %s", path, fact), err}
	}
	if path == "" {
		return failed(fmt.Sprintf("has no path; write %s like unix:/run/netboot/metrics.sock", setting), fs.ErrInvalid)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if st, statErr := os.Lstat(path); statErr == nil && st.Mode().Type() != fs.ModeSocket {
			return failed(fmt.Sprintf("is there and is no socket; remove it or choose another %s path", setting), err)
		}
		conn, dialErr := net.Dial("unix", path)
		if dialErr == nil {
			conn.Close()
			return failed(fmt.Sprintf("another process serves it; stop it or choose another %s path", setting), err)
		}
		if errors.Is(dialErr, syscall.ECONNREFUSED) && os.Remove(path) == nil {
			l, err = net.Listen("unix", path)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(fmt.Sprintf("its directory does not exist; create it or choose another %s path", setting), err)
	case errors.Is(err, syscall.EINVAL):
		return failed(fmt.Sprintf("a socket's path has at most 107 bytes; choose a shorter %s path", setting), err)
	case err != nil:
		return failed(fmt.Sprintf("%v; choose another %s path", errno(err), setting), err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return failed("its mode cannot be set", errors.Join(err, l.Close()))
	}
	return l, nil
}
