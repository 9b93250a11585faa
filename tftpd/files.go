package tftpd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// File is an open regular file, or something that behaves like one. Stat tells its size, and the modification time
// and inode that make its ETag.
type File interface {
	io.ReadSeekCloser
	Stat() (fs.FileInfo, error)
}

// Request is what a client asks for.
type Request struct {
	Name   string     // a name that Clean returned
	Client netip.Addr // who asks; an IPv4 address is no mapped one
	Query  string     // what stands behind the name's question mark, still encoded; TFTP has none
}

// Files is where bytes come from. Open may be called concurrently; its error wraps fs.ErrNotExist, fs.ErrPermission,
// ErrOutside or ErrNotRegular, or else means that the server failed.
type Files interface {
	Open(Request) (File, error)
}

// Dirs is a search path of directories. A name is looked up in each in turn until one has it; what that one then says,
// be it "permission denied", is the answer, so that a broken file is not hidden by an older one further on.
type Dirs struct {
	AnyCase bool // a name that no directory has may be there in other letters, as "boot/bcd" for "Boot/BCD" (Windows)

	roots []*os.Root
}

// OpenDirs opens the directories at paths, which stay open until Close: a directory that is replaced later needs a new
// Dirs. The error names every directory that cannot be served from, one a line.
func OpenDirs(paths ...string) (*Dirs, error) {
	d := &Dirs{}
	var problems []error
	for _, p := range paths {
		root, err := openRoot(p)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		d.roots = append(d.roots, root)
	}
	if problems != nil {
		d.Close()
		return nil, errors.Join(problems...)
	}
	return d, nil
}

// openRoot refuses a directory that could be opened but not searched, which would otherwise show only at boot.
func openRoot(dir string) (*os.Root, error) {
	info, err := os.Stat(dir) // first, because opening a FIFO would block
	if err == nil && !info.IsDir() {
		return nil, notADirectory(dir)
	}
	if err != nil {
		return nil, explainRoot(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, explainRoot(dir, err)
	}
	if _, err := os.Stat(dir + "/."); err != nil {
		root.Close()
		return nil, explainRoot(dir, err)
	}
	return root, nil
}

func notADirectory(dir string) error {
	return fmt.Errorf("root %s: not a directory; give the directory that holds the boot files", dir)
}

func explainRoot(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("root %s: no such directory; create it or give another root", dir)
	case errors.Is(err, syscall.ENOTDIR):
		return notADirectory(dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("root %s: may not be read by user %d; correct its permissions (chmod a+rx) or give another root",
			dir, os.Geteuid())
	}
	return fmt.Errorf("root %s: cannot be opened: %w; give another root", dir, err)
}

// Close closes the directories; files that are open stay so.
func (d *Dirs) Close() {
	for _, r := range d.roots {
		r.Close()
	}
}

// Open opens a regular file for reading, and nothing else: no directory, device, socket or FIFO, and no symbolic link
// that leads out of its directory or is absolute. The first directory that has such a file wins.
func (d *Dirs) Open(rq Request) (File, error) {
	f, err := d.open(func(*os.Root) string { return rq.Name })
	if d.AnyCase && errors.Is(err, fs.ErrNotExist) {
		if other, found := d.open(func(r *os.Root) string { return foldName(r, rq.Name) }); !errors.Is(found, fs.ErrNotExist) {
			return other, found
		}
	}
	return f, err
}

// open looks in each directory for the name that it has there.
func (d *Dirs) open(nameIn func(*os.Root) string) (File, error) {
	var outside error
	var looked []string
	for _, r := range d.roots {
		f, err := openRegular(r, nameIn(r))
		switch {
		case errors.Is(err, ErrOutside): // Debian's /usr/lib/ipxe/ipxe.efi points to /boot; another root may have a copy
			outside = err
		case !errors.Is(err, fs.ErrNotExist):
			return f, err
		}
		looked = append(looked, r.Name())
	}
	if outside != nil {
		return nil, outside
	}
	return nil, fmt.Errorf("%w in %s", fs.ErrNotExist, strings.Join(looked, ", "))
}

// foldName is the name under which a directory has what name means in any case; of several the first in the order of
// bytes. Where there is nothing like it, the rest stays as it is.
func foldName(r *os.Root, name string) string {
	path := ""
	for _, part := range strings.Split(name, "/") {
		exact := filepath.Join(path, part)
		if _, err := r.Lstat(exact); err == nil {
			path = exact
			continue
		}
		path = filepath.Join(path, foldIn(r, path, part))
	}
	return path
}

func foldIn(r *os.Root, dir, part string) string {
	d, err := r.OpenFile(filepath.Join(".", dir), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_DIRECTORY, 0)
	if err != nil {
		return part
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // what could be read is looked at
	slices.Sort(names)
	for _, n := range names {
		if strings.EqualFold(n, part) {
			return n
		}
	}
	return part
}

func openRegular(r *os.Root, name string) (File, error) {
	full := filepath.Join(r.Name(), name)
	// O_NONBLOCK: open(2) of a FIFO would otherwise wait for a writer, for ever.
	f, err := r.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, explainOpen(full, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s %w", full, ErrNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// escapes is the text of os's unexported error for a path that leaves its Root.
const escapes = "path escapes from parent"

func explainOpen(full string, err error) error {
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe) && pe.Err.Error() == escapes:
		return fmt.Errorf("%s %w; copy the file there (cp -L)", full, ErrOutside)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("%s: %w", full, fs.ErrNotExist)
	case errors.Is(err, syscall.ENXIO): // a socket, or a device without a driver
		return fmt.Errorf("%s %w", full, ErrNotRegular)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w; make it readable (chmod a+r)", full, fs.ErrPermission)
	}
	return err
}
