package packet

import (
	"fmt"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// settingsOfIPXE are the items of option 175 that a server sends, and what tells about a client (iPXE:
// include/ipxe/dhcp.h, features.h).
var settingsOfIPXE = map[int]struct {
	name string
	kind kind
}{
	1: {"priority", asNumber(1, "")}, 8: {"keep-san", asSwitch}, 9: {"skip-san-boot", asSwitch}, 81: {"scriptlet", asText},
	85: {"syslogs", asText}, 176: {"no-pxedhcp", asSwitch}, 177: {"bus-id", asHex}, 188: {"san-filename", asText},
	190: {"username", asText}, 191: {"password", asSecret}, 192: {"reverse-username", asText}, 193: {"reverse-password", asSecret},
	235: {"version", asVersion},
}

func asSecret(b []byte) (string, bool) { return fmt.Sprintf("(%d bytes)", len(b)), true }

func asVersion(b []byte) (string, bool) {
	return numbers(b, "."), len(b) == 3
}

// asIPXE shows option 175, with the features together.
func asIPXE(b []byte) (string, bool) {
	var features netboot.Features
	text, ok := items(b, func(o option) string {
		if known, ok := settingsOfIPXE[o.code]; ok {
			return known.name + " " + show(known.kind, o.value)
		}
		if o.code >= 16 && o.code < 64 && len(o.value) == 1 {
			features |= 1 << o.code
			return ""
		}
		return fmt.Sprintf("%d: %s", o.code, show(nil, o.value))
	})
	if !ok {
		return "", false
	}
	var out []string
	if features != 0 {
		out = append(out, "features "+strings.Join(features.Names(), ", "))
	}
	for _, item := range strings.Split(text, "; ") {
		if item != "" {
			out = append(out, item)
		}
	}
	return strings.Join(out, "; "), true
}
