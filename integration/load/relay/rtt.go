package relay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
)

const (
	pings    = 101
	pingPort = 7 // RFC 862
)

// Do runs a function in a network namespace.
type Do func(func() error) error

// RoundTrip measures how long a small datagram takes there and back between two processes that wait for it, which is
// what a transfer in lock step can reach at best: the median of 101.
func RoundTrip(client, server Do, address [4]byte) (time.Duration, error) {
	var far, near int
	if err := server(func() (err error) { far, err = socket(); return err }); err != nil {
		return 0, err
	}
	defer unix.Close(far)
	if err := unix.Bind(far, &unix.SockaddrInet4{Addr: address, Port: pingPort}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	if err := client(func() (err error) { near, err = socket(); return err }); err != nil {
		return 0, err
	}
	defer unix.Close(near)
	if err := unix.Connect(near, &unix.SockaddrInet4{Addr: address, Port: pingPort}); err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); reflect(far, stop) }()
	defer func() { close(stop); <-ended }() // before its socket is closed
	var took []time.Duration
	for n := range pings {
		begun := time.Now()
		if _, err := unix.Write(near, []byte{byte(n)}); err != nil {
			return 0, fmt.Errorf("ping: %w", err)
		}
		if err := awaitPing(near, byte(n)); err == nil {
			took = append(took, time.Since(begun))
		}
	}
	if len(took) < pings/2 {
		return 0, fmt.Errorf("of %d pings %d came back", pings, len(took))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func socket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

// reflect sends back what comes, until stop is closed.
func reflect(fd int, stop <-chan struct{}) {
	b := make([]byte, 1)
	for {
		select {
		case <-stop:
			return
		default:
		}
		if ready, err := load.Wait(unix.POLLIN, 20*time.Millisecond, fd); err != nil || !ready {
			continue
		}
		_, from, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err == nil {
			_ = unix.Sendto(fd, b, 0, from) // one that is not sent counts as lost
		}
	}
}

func awaitPing(fd int, want byte) error {
	b := make([]byte, 1)
	for {
		ready, err := load.Wait(unix.POLLIN, 200*time.Millisecond, fd)
		if err != nil || !ready {
			return errors.Join(errors.New("lost"), err)
		}
		if _, err := unix.Read(fd, b); err == nil && b[0] == want {
			return nil
		}
	}
}
