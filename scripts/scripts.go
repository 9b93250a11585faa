// Package scripts holds the boot scripts that every file server has, unless the site has its own of the same name.
package scripts

import "embed"

// Shipped are the scripts, in one flat directory.
//
//go:embed *.ipxe *.ipxe.tmpl
var Shipped embed.FS
