// Package nettest gives a test or a demonstration a network of its own: Linux network namespaces joined by veth
// pairs, bridges and taps. Nothing in them reaches the machine's live networks, and any number of runs exist side
// by side because every name carries its maker's process id and a random part.
package nettest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// prefix marks the namespaces that this package made, so that leftovers can be told from anyone else's.
	prefix = "netboot-"

	// home is where iproute2 keeps the names of network namespaces.
	home = "/run/netns"

	// lockFile keeps two processes from running iproute2's first "netns add" at once: it prepares the mount point
	// of all names, and the second preparation would hide the names that were made between the two.
	lockFile = "/run/netboot-nettest.lock"
)

// Net is a set of namespaces that are made, used and removed together.
type Net struct {
	prefix string

	mu     sync.Mutex
	spaces []*Space
	closed bool
}

// Open starts an empty network, after removing what runs that were killed before they could clean up left behind.
// The caller closes it. A missing privilege or program is an error that says what to do about it.
func Open() (*Net, error) {
	if err := Need("ip"); err != nil {
		return nil, err
	}
	if err := Sweep(); err != nil {
		return nil, err
	}
	var random [3]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("random name: %w", err)
	}
	return &Net{prefix: fmt.Sprintf("%s%d-%s-", prefix, os.Getpid(), hex.EncodeToString(random[:]))}, nil
}

// New opens a network for one test and removes it when the test ends, also after a panic. It fails the test where
// namespaces cannot be made: a story that did not run proves nothing.
func New(t testing.TB) *Net {
	t.Helper()
	n, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("remove the test's namespaces: %v", err)
		}
	})
	return n
}

// Need reports, in one error, that the caller is not root and which of the named programs are not installed.
func Need(programs ...string) error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("network namespaces need root, and this process is not; "+
			"run it with sudo, or use the Makefile, which does"))
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			errs = append(errs, fmt.Errorf("%s is not installed; run: sh integration/packages.sh test", p))
		}
	}
	return errors.Join(errs...)
}

// Space makes a namespace, with its loopback up. The name is short and for people ("server"); Space.Name has the
// one that iproute2 knows.
func (n *Net) Space(name string) (*Space, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("make namespace %s: the network is closed", name)
	}
	s := &Space{name: n.prefix + name}
	if err := locked(func() error { return ip("netns", "add", s.name) }); err != nil {
		return nil, err
	}
	n.spaces = append(n.spaces, s)
	return s, s.IP("link", "set", "lo", "up")
}

// Close ends every process that was started in the network's namespaces and removes them. It may be called twice.
func (n *Net) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	var errs []error
	for _, s := range n.spaces {
		errs = append(errs, s.stopAll())
	}
	for _, s := range n.spaces {
		errs = append(errs, ip("netns", "del", s.name))
	}
	n.spaces = nil
	return errors.Join(errs...)
}

// Leftovers names the namespaces of this package whose maker is gone.
func Leftovers() ([]string, error) {
	entries, err := os.ReadDir(home)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // nobody has made a namespace since the machine started
	}
	if err != nil {
		return nil, fmt.Errorf("look for leftover namespaces: %w", err)
	}
	var left []string
	for _, e := range entries {
		if pid, ours := maker(e.Name()); ours && unix.Kill(pid, 0) == unix.ESRCH {
			left = append(left, e.Name())
		}
	}
	return left, nil
}

// Sweep removes the leftovers of runs that were killed. Their processes ended with them (see Space.Start), so there
// is nothing but names and empty interfaces to remove.
func Sweep() error {
	left, err := Leftovers()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range left {
		err := ip("netns", "del", name)
		if _, gone := os.Stat(filepath.Join(home, name)); errors.Is(gone, os.ErrNotExist) {
			continue // removed, by us or by another run that sweeps at the same time
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// maker reads the process id out of a namespace's name.
func maker(name string) (pid int, ours bool) {
	rest, ours := strings.CutPrefix(name, prefix)
	if !ours {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(digits)
	return pid, err == nil && pid > 0
}

// locked runs fn while no other process of this package does so.
func locked(fn func() error) error {
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the making of namespaces: %w", err)
	}
	defer f.Close() // also gives the lock back
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the making of namespaces: %w", err)
	}
	return fn()
}

// ip runs iproute2's command to its end; its output, where it fails, is the reason.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
