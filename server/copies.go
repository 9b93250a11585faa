package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coredhcp/coredhcp/config"

	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/plugins/pool"
)

// private are a plugin's arguments with its state replaced by a copy, and without what would go on running. Of the stock
// plugins only range writes; prefix keeps its leases in memory; file reads, and watches.
func private(p config.PluginConfig, copies store.Copies) ([]string, error) {
	args := slices.Clone(p.Args)
	switch {
	case p.Name == "file" && len(args) > 1: // autorefresh
		return args[:1], nil
	case p.Name == "range" && len(args) > 0:
		args, err := pool.Private(args)
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp(copies.Scratch, "range-")
		if err != nil {
			return nil, err
		}
		name, options, _ := strings.Cut(args[0], "?") // SQLite takes it for a URI
		if st, err := os.Stat(filepath.Dir(name)); err != nil || !st.IsDir() {
			return nil, fmt.Errorf("the leases %s cannot be kept: there is no directory %s; create it", name, filepath.Dir(name))
		}
		copied := filepath.Join(dir, filepath.Base(name))
		if err := copyDatabase(name, copied); err != nil {
			return nil, fmt.Errorf("the leases %s cannot be read: %w; correct the name or its permissions", name, err)
		}
		if rangeIsOurs {
			to := pool.Dir([]string{copied})
			if err := os.Mkdir(to, 0o700); err != nil {
				return nil, err
			}
			copies.Put(to, pool.Dir(args))
		} else {
			_, missing := os.Stat(copied)
			copies.Tell(store.Copied{Of: name, Err: missing})
		}
		if args[0] = copied; options != "" {
			args[0] += "?" + options
		}
		return args, nil
	}
	return args, nil
}

// copyTries bounds the attempts to catch a database between two changes of the daemon that it belongs to.
const copyTries = 5

// copyDatabase copies an SQLite database with its journals, which hold what is not in its file yet. One that does not
// exist is no error: it is made at the first start.
func copyDatabase(from, to string) error {
	parts := []string{"", "-wal", "-journal"}
	versions := func() (all [3]struct {
		size int64
		time time.Time
	}) {
		for i, part := range parts {
			if st, err := os.Stat(from + part); err == nil {
				all[i].size, all[i].time = st.Size(), st.ModTime()
			}
		}
		return all
	}
	for range copyTries {
		before := versions()
		for _, part := range parts {
			if err := copyFile(from+part, to+part); err != nil {
				return err
			}
		}
		if versions() == before {
			return nil
		}
	}
	return errors.New("they change all the time")
}

// copyFile makes to the same as from: also the same as none.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(to); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err != nil {
		return cause(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(cause(err), out.Close())
}
