package nettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Space is one network namespace: to the programs in it, a machine with only the interfaces that it was given.
type Space struct {
	name string

	mu        sync.Mutex
	processes []*Process
}

// Name is what iproute2 calls the namespace: "ip netns exec NAME ..." works while it exists.
func (s *Space) Name() string { return s.name }

// IP runs iproute2's ip on the namespace: s.IP("link", "set", "eth0", "up").
func (s *Space) IP(args ...string) error {
	return ip(append([]string{"-n", s.name}, args...)...)
}

// Bridge makes a bridge that forwards from the first frame on: without spanning tree, whose listening phase would
// swallow a booting machine's first 30 seconds, and without multicast snooping.
func (s *Space) Bridge(name string) error {
	return errors.Join(
		s.IP("link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"),
		s.IP("link", "set", name, "up"))
}

// Tap makes a tap interface, for a virtual machine's network card, and plugs it into the bridge.
func (s *Space) Tap(name, bridge string) error {
	return errors.Join(
		s.IP("tuntap", "add", name, "mode", "tap"),
		s.IP("link", "set", name, "master", bridge, "up"))
}

// Veth joins two namespaces by a cable, with an interface of the given name at each end, both up. The frames on it
// carry real checksums: programs that read them through a packet socket, and captures, see what a wire would show.
func (s *Space) Veth(name string, peer *Space, peerName string) error {
	if err := ip("link", "add", name, "netns", s.name,
		"type", "veth", "peer", "name", peerName, "netns", peer.name); err != nil {
		return err
	}
	return errors.Join(
		s.Do(func() error { return offloadOff(name) }),
		peer.Do(func() error { return offloadOff(peerName) }),
		s.IP("link", "set", name, "up"),
		peer.IP("link", "set", peerName, "up"))
}

// Plug puts an interface of the namespace into a bridge of the same namespace.
func (s *Space) Plug(name, bridge string) error {
	return s.IP("link", "set", name, "master", bridge)
}

// Address gives an interface an address.
func (s *Space) Address(name string, address netip.Prefix) error {
	return s.IP("addr", "add", address.String(), "dev", name)
}

// Sysctl sets a kernel parameter of the namespace, named by its path under /proc/sys.
func (s *Space) Sysctl(path, value string) error {
	return s.Do(func() error { return os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0) })
}

// Do runs fn on a thread that is inside the namespace: sockets which fn opens belong to it and keep doing so, as do
// the files it opens under /proc/thread-self/net. Programs are started by Start, not here.
func (s *Space) Do(fn func() error) error {
	done := make(chan error, 1)
	// A goroutine of its own, because its thread is thrown away with it should the way back out fail.
	go func() { done <- s.visit(fn) }()
	return <-done
}

func (s *Space) visit(fn func() error) error {
	runtime.LockOSThread()
	outside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("remember the network namespace: %w", err)
	}
	defer outside.Close()
	inside, err := os.Open(filepath.Join(home, s.name))
	if err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer inside.Close()
	if err := unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", s.name, err)
	}
	err = fn()
	if back := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave namespace %s: %w", s.name, back)) // the thread stays locked, and dies
	}
	runtime.UnlockOSThread()
	return err
}

// Command prepares a program to run inside the namespace; Start or the command's own methods run it.
func (s *Space) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", s.name, name}, args...)...)
}
