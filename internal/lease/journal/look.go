package journal

import (
	"errors"
	"fmt"
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
		f, err := os.Open(filepath.Join(path, newest))
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
