package live

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// watched are all directories in which a change can change what is read at path, a file or a directory of files.
func watched(path string) []string {
	dirs := directories(path)
	entries, err := os.ReadDir(path)
	if err != nil {
		return dirs // it is a file, or gone
	}
	dirs = append(dirs, path)
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			dirs = append(dirs, directories(filepath.Join(path, e.Name()))...)
		}
	}
	return dirs
}

// maxLinks bounds a chain of symbolic links, as the kernel does.
const maxLinks = 40

// directories are those in which a change can make path another file.
func directories(path string) (dirs []string) {
	for range maxLinks {
		dirs = append(dirs, filepath.Dir(path))
		next, hop := firstLink(path)
		if hop == "" {
			return dirs
		}
		dirs = append(dirs, filepath.Dir(hop))
		path = next
	}
	return dirs
}

// firstLink follows the first symbolic link in path, and names it; an empty name: there is none.
func firstLink(path string) (next, link string) {
	parts := strings.Split(filepath.Clean(path), string(filepath.Separator))
	at := string(filepath.Separator)
	for i, part := range parts {
		at = filepath.Join(at, part)
		target, err := os.Readlink(at)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		return filepath.Join(append([]string{target}, parts[i+1:]...)...), at
	}
	return path, ""
}

// mostHashed is the longest file whose bytes are looked at: no table is longer than a fraction of it. Of a longer one, such
// as an image of a disk among the scripts, size and time must do, since it would be read at each look.
const mostHashed = 64 << 20

// fingerprint tells one content of a file, or of a directory's files, from another. What a directory has below it, and
// hidden files, in which editors and copies keep what is not finished, do not count.
func fingerprint(path string) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	entries, err := os.ReadDir(path)
	if err != nil { // it is a file
		err = add(h, path)
	}
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		fmt.Fprintf(h, "%q %d ", e.Name(), info.Size())
		if err := add(h, file); err != nil {
			fmt.Fprintf(h, "%v", err)
		}
	}
	if err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// add puts a file's content into h.
func add(h io.Writer, path string) error {
	f, err := conf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > mostHashed {
		_, err = fmt.Fprintf(h, "%d %d", info.Size(), info.ModTime().UnixNano())
		return err
	}
	_, err = io.Copy(h, io.LimitReader(f, mostHashed))
	return err
}
