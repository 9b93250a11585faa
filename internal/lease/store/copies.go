package store

import (
	"os"

	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

// Copies is how somebody works with leases who only looks at them: on copies below a directory of its own, which may be made
// beside a running daemon. The zero value makes none.
type Copies struct {
	Scratch string
	// Told, if set, is told what is copied, or what cannot be: then work begins with no leases.
	Told func(Copied)
}

// Copied is a file or a directory of leases that was to be copied.
type Copied struct {
	Of  string
	Err error // why there is no copy: fs.ErrNotExist where no daemon has been; nil: there is one
}

// Of is a new directory with a copy of the leases in dir: all that clients were told, without the offers, which are in the
// daemon's memory alone.
func (c Copies) Of(dir string) (string, error) {
	to, err := os.MkdirTemp(c.Scratch, "leases-")
	if err == nil {
		c.Put(to, dir)
	}
	return to, err
}

// Put is Of for a directory that exists, and is empty.
func (c Copies) Put(to, dir string) { c.Tell(Copied{dir, journal.Copy(to, dir)}) }

// Tell tells of a copy that was made otherwise.
func (c Copies) Tell(what Copied) {
	if c.Told != nil {
		c.Told(what)
	}
}
