package boot

import (
	"errors"
	"os"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/script"
)

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

// where are the directories that a file may be in, for messages.
func (c *compiler) where() string {
	all := strings.Join(c.dirs, ", ")
	if c.scripts != "" {
		all += ", nor a script in " + c.scripts
	}
	return all
}

// rendered tells a name that the file server renders a script for. In a directory with mistakes it may be any.
func (c *compiler) rendered(name string) bool {
	if c.library == nil {
		return c.scripts != "" && netboot.IsIPXEScript(name)
	}
	return c.library.Has(name)
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
