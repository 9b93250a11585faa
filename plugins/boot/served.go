package boot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/script"
)

// served is what a map knows of the file server: where its files and scripts are.
type served struct {
	dirs    []string        // firmware directories that exist
	scripts string          // the directory of boot scripts, if it exists
	renders bool            // one is named
	library *script.Library // what is in it; nil: it has mistakes, or there is none
}

// firmwareDir looks at a directory that the map names.
func (c *compiler) firmwareDir(d conf.At[string]) {
	dir := conf.Resolve(c.path, d.V)
	switch st, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		c.warnings.Add(d.Pos, "firmware directory %s does not exist; create it, or remove the line: names cannot be looked up there", dir)
	case err != nil:
		c.problems.Add(d.Pos, "firmware directory %s cannot be read: %v; correct its permissions", dir, errors.Unwrap(err))
	case !st.IsDir():
		c.problems.Add(d.Pos, "firmware directory %s is a file; name the directory that holds it", dir)
	default:
		if _, err := os.ReadDir(dir); err != nil {
			c.problems.Add(d.Pos, "firmware directory %s cannot be read: %v; correct its permissions (chmod a+rx)", dir, errors.Unwrap(err))
			return
		}
		c.dirs = append(c.dirs, dir)
	}
}

// scriptsDir reads the boot scripts for their names. Mistakes in them are the file server's and Check's to tell.
func (c *compiler) scriptsDir(d conf.At[string]) {
	if d.V == "" {
		return
	}
	c.renders = true
	dir := conf.Resolve(c.path, d.V)
	if _, err := os.Stat(dir); err != nil {
		c.warnings.Add(d.Pos, "scripts directory %s cannot be read: %v; create it, or remove the line: scripts cannot be looked up there", dir, errors.Unwrap(err))
		return
	}
	c.scripts = dir
	c.library, _ = script.Load(dir)
}

// find is the path of a file that the file server would serve by this name; empty: it is in none of its directories.
func (s *served) find(name string) string {
	for _, dir := range s.dirs {
		if isRegular(dir, name) {
			return filepath.Join(dir, filepath.FromSlash(name))
		}
	}
	return ""
}

// isRegular tells a file that a file server confined to dir can serve.
func isRegular(dir, name string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	st, err := root.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// where are the directories that a file may be in, for messages.
func (s *served) where() string {
	all := strings.Join(s.dirs, ", ")
	if s.scripts != "" {
		all += ", nor a script in " + s.scripts
	}
	return all
}

// rendered tells a name that the file server renders a script for. In a directory with mistakes it may be any.
func (s *served) rendered(name string) bool {
	if s.library == nil {
		return s.scripts != "" && netboot.IsIPXEScript(name)
	}
	return s.library.Has(name)
}

// perMachine looks at a name that only a file server with scripts understands.
func (c *compiler) perMachine(file conf.At[string]) {
	name := file.V
	if c.base != "" {
		name = strings.TrimPrefix(name, c.base+"/")
	}
	if strings.HasPrefix(name, "m/{mac") && !c.renders {
		c.warnings.Add(file.Pos, "only netboot-tftpd --scripts takes m/ and the address off the name %q; set scripts: at the top of the map too", file.V)
	}
}

// lookUp notes a file that is in none of the firmware directories.
func (c *compiler) lookUp(name conf.At[string]) {
	if len(c.dirs) == 0 || c.rendered(name.V) || c.find(name.V) != "" {
		return
	}
	c.missing.Add(name.Pos, "file %q is in none of the firmware directories %s (or a link that leads out of them); copy it there, or correct the name", name.V, c.where())
}
