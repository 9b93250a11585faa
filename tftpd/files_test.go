package tftpd_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/tftpd"
)

// asStranger runs f with the file rights of a user who is neither root nor the owner of anything.
func asStranger(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f() // this user is stranger enough: the tests take all rights away
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		_ = unix.Setfsuid(65534)
		f()
	}()
	<-done
}

// publicDir is a directory that a stranger can reach; t.TempDir may not be.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tftpd")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func TestDirectoriesThatCannotBeServedAreAllExplained(t *testing.T) {
	dir := publicDir(t)
	closed := filepath.Join(dir, "closed")
	must(t, os.Mkdir(closed, 0o000))
	listed := filepath.Join(dir, "listed") // can be read, not entered
	must(t, os.Mkdir(listed, 0o444))
	file := filepath.Join(dir, "ipxe.efi")
	must(t, os.WriteFile(file, nil, 0o644))
	fifo := filepath.Join(dir, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o644))

	asStranger(t, func() {
		_, err := tftpd.OpenDirs(dir+"/none", file, file+"/below", fifo, closed, listed, dir)
		if err == nil {
			t.Error("all directories are accepted")
			return
		}
		want := strings.NewReplacer("DIR", dir, "USER", strconv.Itoa(os.Geteuid())).Replace(`root DIR/none: no such directory; create it or give another root
root DIR/ipxe.efi: not a directory; give the directory that holds the boot files
root DIR/ipxe.efi/below: not a directory; give the directory that holds the boot files
root DIR/fifo: not a directory; give the directory that holds the boot files
root DIR/closed: may not be read by user USER; correct its permissions (chmod a+rx) or give another root
root DIR/listed: may not be read by user USER; correct its permissions (chmod a+rx) or give another root`)
		if err.Error() != want {
			t.Errorf("the error is\n%s\nwant\n%s", err, want)
		}
	})
}

func TestTheFirstDirectoryThatHasANameServesIt(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	put := func(dir, name, content string) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	put(first, "both", "first")
	put(second, "both", "second")
	put(second, "late", "second")
	put(first, "file", "")
	must(t, os.Mkdir(filepath.Join(second, "file"), 0o755))
	put(second, "file/below", "second")
	dirs, err := tftpd.OpenDirs(first, second)
	must(t, err)
	defer dirs.Close()
	for name, want := range map[string]string{"both": "first", "late": "second", "file/below": "second"} {
		f, err := dirs.Open(tftpd.Request{Name: name})
		must(t, err)
		if got, err := io.ReadAll(f); string(got) != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
		f.Close()
	}
}

func TestOnlyRegularFilesBelowTheRootAreOpened(t *testing.T) {
	dir := publicDir(t)
	root := filepath.Join(dir, "boot")
	later := filepath.Join(dir, "later")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.Mkdir(later, 0o755))
	in := func(name string) string { return filepath.Join(root, name) }
	must(t, os.WriteFile(filepath.Join(dir, "secret"), nil, 0o644))
	must(t, os.Mkdir(in("sub"), 0o755))
	must(t, os.WriteFile(in("sub/ok"), nil, 0o644))
	must(t, os.Symlink("sub/ok", in("inside")))
	must(t, os.Symlink("../secret", in("outside")))
	must(t, os.Symlink("/etc/passwd", in("absolute")))
	must(t, os.Symlink("..", in("up")))
	must(t, os.Symlink("gone", in("dangling")))
	must(t, syscall.Mkfifo(in("fifo"), 0o644))
	socket, err := net.Listen("unix", in("socket"))
	must(t, err)
	defer socket.Close()
	must(t, os.WriteFile(in("private"), nil, 0o000))
	must(t, os.WriteFile(filepath.Join(later, "private"), nil, 0o644)) // must not stand in for the first

	asStranger(t, func() {
		dirs, err := tftpd.OpenDirs(root, later)
		if err != nil {
			t.Error(err)
			return
		}
		defer dirs.Close()
		for name, want := range map[string]error{
			"sub/ok":                 nil,
			"inside":                 nil,
			"outside":                tftpd.ErrOutside,
			"absolute":               tftpd.ErrOutside,
			"up/secret":              tftpd.ErrOutside,
			"dangling":               fs.ErrNotExist,
			"none":                   fs.ErrNotExist,
			"inside/below":           fs.ErrNotExist,
			strings.Repeat("x", 300): fs.ErrNotExist,
			"sub":                    tftpd.ErrNotRegular,
			"fifo":                   tftpd.ErrNotRegular,
			"socket":                 tftpd.ErrNotRegular,
			"private":                fs.ErrPermission,
		} {
			f, err := dirs.Open(tftpd.Request{Name: name})
			if !errors.Is(err, want) {
				t.Errorf("%.20s: %v; want %v", name, err, want)
			}
			if err == nil {
				f.Close()
			}
		}
	})
}

func TestADeviceIsNotServed(t *testing.T) {
	dirs, err := tftpd.OpenDirs("/dev")
	must(t, err)
	defer dirs.Close()
	if _, err := dirs.Open(tftpd.Request{Name: "zero"}); !errors.Is(err, tftpd.ErrNotRegular) {
		t.Errorf("/dev/zero: %v", err)
	}
}

// Debian's /usr/lib/ipxe/ipxe.efi is a link to /boot; a copy in another directory is served.
func TestACopyIsServedWhereTheFirstRootHasALinkThatLeadsOut(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	must(t, os.Symlink("/etc/hostname", filepath.Join(first, "ipxe.efi")))
	must(t, os.WriteFile(filepath.Join(second, "ipxe.efi"), []byte("copy"), 0o644))
	dirs, err := tftpd.OpenDirs(first, second)
	must(t, err)
	defer dirs.Close()
	f, err := dirs.Open(tftpd.Request{Name: "ipxe.efi"})
	must(t, err)
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "copy" {
		t.Errorf("got %q, %v", b, err)
	}
}
