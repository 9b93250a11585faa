package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
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
