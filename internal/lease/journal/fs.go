package journal

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FS is the directory that a journal lives in. A test's implementation loses power.
type FS interface {
	// Open opens an existing file, Create makes a new one and fails if it is there.
	Open(name string) (File, error)
	Create(name string) (File, error)
	// Rename replaces newName.
	Rename(oldName, newName string) error
	Remove(name string) error
	Names() ([]string, error)
	// Sync makes what was created, renamed and removed so far survive a loss of power.
	Sync() error
}

// File is a file of an FS. What was written survives a loss of power only after a Sync.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// Dir is a directory of this host.
type Dir struct {
	path string
	dir  *os.File // locked as long as it is open
}

// ErrNotRegular is what a name stands for that should be a file's.
var ErrNotRegular = errors.New("is no regular file")

// ErrLocked is what OpenDir says of a directory that another process uses.
var ErrLocked = errors.New("is in use by another process")

// OpenDir opens the directory at path, making it with mode 0700 where only it is missing, and locks it against other
// processes until Close.
func OpenDir(path string) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return &Dir{path: path, dir: dir}, nil
}

// makeDir makes a directory that survives a loss of power, as far as its parent does.
func makeDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil // or a file, which opening it as a directory tells
		}
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// Close unlocks the directory.
func (d *Dir) Close() error { return d.dir.Close() }

// Open opens an existing file.
func (d *Dir) Open(name string) (File, error) { return d.open(name, os.O_RDWR) }

// Create makes a file that is not there yet.
func (d *Dir) Create(name string) (File, error) { return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL) }

func (d *Dir) open(name string, flags int) (File, error) {
	f, err := openRegular(filepath.Join(d.path, name), flags)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// openRegular refuses what is no file of bytes, such as a FIFO, which would have the caller wait for another process, or a
// link, which a compaction would not follow.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EISDIR):
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	case err != nil:
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: path, Err: cmp.Or(err, ErrNotRegular)}, f.Close())
	}
	return f, nil
}

// Rename replaces newName.
func (d *Dir) Rename(oldName, newName string) error {
	return os.Rename(filepath.Join(d.path, oldName), filepath.Join(d.path, newName))
}

// Remove removes a file.
func (d *Dir) Remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

// Names lists the directory.
func (d *Dir) Names() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Sync makes the directory's entries durable.
func (d *Dir) Sync() error { return d.dir.Sync() }

type diskFile struct{ *os.File }

// Size is the file's length in bytes.
func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sync waits for the disk. Times and the like, which fsync would write too, are of no use to a reader.
func (f diskFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
