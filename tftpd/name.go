package tftpd

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Why a name is not served. A cause wraps one of these, fs.ErrNotExist or fs.ErrPermission.
var (
	ErrOutside    = errors.New("leads outside the root")
	ErrNotRegular = errors.New("is not a regular file")
)

// Clean turns a name as firmware sends it into a slash-separated path below the root, which fs.ValidPath accepts:
// leading slashes and backslashes go (PXE ROMs and iPXE ask for "/ipxe.efi"), backslashes become slashes (Windows
// boot manager), "//" and "./" collapse. A ".." that stays below the root is resolved, one that leaves it is
// ErrOutside. Nothing is percent-decoded. Nothing left, control characters, or what is no UTF-8, is fs.ErrNotExist.
func Clean(name string) (string, error) {
	name = strings.TrimLeft(strings.ReplaceAll(name, `\`, "/"), "/")
	name = path.Clean(name)
	switch {
	case name == ".":
		return "", fmt.Errorf("the name is empty: %w", fs.ErrNotExist)
	case name == ".." || strings.HasPrefix(name, "../"):
		return "", fmt.Errorf("the name %w", ErrOutside)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", fmt.Errorf("the name is no text: %w", fs.ErrNotExist)
	}
	return name, nil
}

// cutGarbage ends a name at its first byte that is not printable ASCII: ROMs that read past the end of option 67 append
// NULs and 0xFF to what they ask for by TFTP.
func cutGarbage(name string) string {
	if i := strings.IndexFunc(name, func(r rune) bool { return r < 0x20 || r >= 0x7f }); i >= 0 {
		return name[:i]
	}
	return name
}
