package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Look hands every record of the newest journal in the directory at path to replay, oldest first. It locks nothing and
// writes nothing, so it needs no more than the right to read. Beside a process that appends, the newest records may be
// missing, and one that is being written may look like damage.
func Look(path string, replay func([]byte) error) error {
	for {
		newest, err := newestIn(path)
		if err != nil {
			return err
		}
		f, err := openRegular(filepath.Join(path, newest), os.O_RDONLY)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a newer one has taken its place
		}
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = read(newest, diskFile{f}, replay)
		return err
	}
}

func newestIn(path string) (string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%s has no journal: %w", path, fs.ErrNotExist)
	}
	return slices.Max(names), nil
}

// copyTries bounds the attempts to catch a journal between two writes: what is being written just now looks like damage.
const copyTries = 3

// Copy puts a copy of the newest journal of one directory into another, which has none. It looks as Look does, and a copy
// that opens has all that anybody was told before it was called. The error of a damaged file is a *DamagedError; nothing is
// left of that.
func Copy(to, from string) (err error) {
	var damaged *DamagedError
	for range copyTries {
		var name string
		if name, err = newestIn(from); err != nil {
			return err
		}
		if err = copyFile(filepath.Join(to, name), filepath.Join(from, name)); errors.Is(err, fs.ErrNotExist) {
			continue // a newer one has taken its place
		}
		if err == nil {
			err = Look(to, func([]byte) error { return nil })
		}
		if err == nil {
			return nil
		}
		err = errors.Join(err, os.Remove(filepath.Join(to, name)))
		if !errors.As(err, &damaged) {
			return err
		}
	}
	return err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
