package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// small mounts a file system of 4 MiB.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mount needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskStopsNewLeasesAndRoomBringsThemBack(t *testing.T) {
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, small(t), 8)
		for _, c := range s.crowds {
			if four, is := c.asker.(*relay4); is { // so that it takes fewer
				long := bytes.Repeat([]byte("x"), 100)
				four.more = append(four.more, dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, long))),
					dhcpv4.WithOption(dhcpv4.OptClientIdentifier(long)))
			}
		}
		s.start()
		s.leases(1)
		ballast := filepath.Join(s.dir, "ballast")
		s.fills(ballast)
		c := s.crowds[0]
		if err := c.hears(c.all[0], c.renews); err != nil {
			t.Errorf("a young lease is on the disk, and is not answered: %v", err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		s.until("there is room, and leases are given", func() bool { return c.leases(c.arrives()) == nil })
		s.until("the log has the end of it", func() bool { return strings.Contains(s.log.String(), "leases are written again") })
		s.says(1, "leases cannot be written: no client is told of a new one until they can")
		s.says(1, "no space left on device; make room")
		if n := strings.Count(s.log.String(), "\n"); n > 10 { // and not one for each request
			t.Errorf("%d lines:\n%s", n, s.log.String())
		}
		s.patient(patience)
		s.kill()
		s.start()
		s.remembers(true)
		t.Logf("%d machines, %d with leases", s.machines(), s.told())
	})
}

// fills fills the disk until nobody gets a lease any more. Requests go on for a while.
func (s *leaseSite) fills(ballast string) {
	s.t.Helper()
	if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		s.t.Fatal(err)
	}
	s.patient(500 * time.Millisecond)
	s.each(func(c *crowd) error {
		for refused := 0; refused < 3; {
			if len(c.all) > 8000 {
				return errors.New("the disk is full, and leases are given")
			}
			switch err := c.leases(c.arrives()); {
			case errors.Is(err, os.ErrDeadlineExceeded):
				refused++
			case err != nil:
				return err
			default:
				refused = 0
			}
		}
		return nil
	})
}

func (s *leaseSite) patient(d time.Duration) {
	for _, c := range s.crowds {
		c.waits(d)
	}
}

// says checks how often the log has a text.
func (s *leaseSite) says(times int, text string) {
	s.t.Helper()
	if n := strings.Count(s.log.String(), text); n != times {
		s.t.Errorf("says %d times and not %d: %s\n%s", n, times, text, s.log.String())
	}
}

// refuses checks what a daemon says that cannot start.
func (s *leaseSite) refuses(want ...string) {
	s.t.Helper()
	s.saidAtStart(fails(s.t, "0", s.dir), want...)
}

func (s *leaseSite) saidAtStart(said string, want ...string) {
	s.t.Helper()
	for _, w := range append(want, s.lender.line()+"leases.leases") {
		if !strings.Contains(said, w) {
			s.t.Errorf("says %s\nnot %s", said, w)
		}
	}
}

// journal is the file that has the leases, and what it holds.
func (s *leaseSite) journal() (string, []byte) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "leases.leases", "*.journal"))
	if err != nil || len(names) != 1 {
		s.t.Fatal(names, err)
	}
	return names[0], must(os.ReadFile(names[0]))
}

func TestWhatIsWrongWithTheLeasesIsSaidWithItsRemedy(t *testing.T) {
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, small(t), 2)
		s.start()
		s.leases(10)
		late := s.crowds[0].arrives()
		if err := s.crowds[0].leases(late); err != nil {
			t.Fatal(err)
		}
		s.refuses("the leases are in use by another process; stop it, or name another file")
		s.leases(1) // it does not mind
		s.kill()

		if err := unix.Mount("", s.dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		s.refuses("the leases cannot be written (read-only file system); let the daemon's user write there")
		if err := unix.Mount("", s.dir, "", unix.MS_REMOUNT, ""); err != nil {
			t.Fatal(err)
		}

		name, whole := s.journal()
		change := func(f func(b []byte) []byte) {
			t.Helper()
			if err := os.WriteFile(name, f(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		end := len(bytes.TrimRight(whole, "\x00"))
		change(func(b []byte) []byte { b[end/2] ^= 4; return b })
		s.refuses("damaged at byte ", "nothing is lent: restore the directory from a backup, or move it away to begin with none")
		change(func(b []byte) []byte { b[3] ^= 4; return b })
		s.refuses("damaged at byte 0: its header is damaged")
		change(func(b []byte) []byte { return b })
		s.start()
		s.remembers(true)
	})
}

// The last write did not reach the disk, so nobody was told of it.
func TestALogWithATornEndHasAllThatAnyoneWasTold(t *testing.T) {
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, t.TempDir(), 2)
		s.start()
		s.leases(10)
		c := s.crowds[0]
		last := c.arrives()
		if err := c.leases(last); err != nil {
			t.Fatal(err)
		}
		s.kill()
		name, b := s.journal()
		if err := os.WriteFile(name, b[:len(bytes.TrimRight(b, "\x00"))-5], 0o600); err != nil {
			t.Fatal(err)
		}
		s.ledger.gives(last)
		s.start()
		s.remembers(true)
		if err := c.leases(last); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatStandsInThePlaceOfTheLeasesIsSaid(t *testing.T) {
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, t.TempDir(), 2)
		s.start()
		s.leases(2)
		s.kill()
		name, _ := s.journal()
		away := filepath.Join(s.dir, "away")
		if err := os.Rename(name, away); err != nil {
			t.Fatal(err)
		}
		for what, put := range map[string]func() error{
			"a directory":    func() error { return os.Mkdir(name, 0o700) },
			"a link":         func() error { return os.Symlink(away, name) },
			"a link to none": func() error { return os.Symlink(name+"x", name) },
			"a FIFO":         func() error { return unix.Mkfifo(name, 0o600) },
		} {
			if err := put(); err != nil {
				t.Fatal(err)
			}
			s.refuses(filepath.Base(name) + " is no regular file; put the leases' file back, or move the directory away to begin with none")
			looks := exec.CommandContext(t.Context(), buildOf(t, "../netbootctl", "0"), "leases", "--dir", filepath.Dir(name))
			if out, err := looks.CombinedOutput(); err == nil || !strings.Contains(string(out), "is no regular file") {
				t.Errorf("netbootctl: %v, %s", err, out)
			}
			if t.Failed() {
				t.Fatal(what)
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(away, name); err != nil {
			t.Fatal(err)
		}
		s.start()
		s.remembers(true)
		s.kill()

		dir := filepath.Dir(name)
		if err := errors.Join(os.Rename(dir, away), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		s.refuses("leases.leases is no directory; move it away, or name another file")
	})
}

func TestALeaseFileOfAnotherUserIsSaid(t *testing.T) {
	const nobody = 65534
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, t.TempDir(), 2)
		s.start()
		s.leases(2)
		s.kill()
		name, _ := s.journal()
		program := build(t, "0")
		for _, path := range []string{s.dir, filepath.Dir(s.dir), filepath.Dir(program)} { // the other user may go there
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		says := func(want string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), program, "-L", "none")
			cmd.Dir = s.dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("it ended well")
			}
			s.saidAtStart(string(out), want)
		}
		says("the leases cannot be written (permission denied); let the daemon's user write there")
		if err := os.Chown(filepath.Dir(name), nobody, nobody); err != nil {
			t.Fatal(err)
		}
		says("the leases cannot be written (permission denied); let the daemon's user write there")
	})
}

func TestADirectoryThatIsMissingIsSaid(t *testing.T) {
	for _, l := range lenders() {
		dir := files(t, map[string]string{
			"config.yml":  strings.Replace(l.config, "range: leases ", "range: nowhere/leases ", 1),
			"subnets.yml": strings.Replace(l.file, "leases: leases", "leases: nowhere/leases", 1),
		})
		if said, want := fails(t, "0", dir), l.line()+"the leases nowhere/leases.leases cannot be kept: there is no directory nowhere; create it"; !strings.Contains(said, want) {
			t.Errorf("%s says %s\nnot %s", l.name, said, want)
		}
	}
}
