package script

import (
	"fmt"
	"strings"
	"text/template"
)

// localBoot lets the machine boot from its own disk. A BIOS has no way back from some network cards, so the disk is
// started here; UEFI tries its next boot entry only after an error.
const localBoot = `iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||
exit 1`

// functions are what templates have beside text/template's own. Those that take text apart see it as it came, and give
// back text that is escaped where a client's was in it.
func functions() template.FuncMap {
	return template.FuncMap{
		"exit":      func() string { return localBoot },
		"hyphens":   func(mac string) string { return strings.ReplaceAll(mac, ":", "-") },
		"contains":  func(part, v any) bool { return strings.Contains(raw(v), raw(part)) },
		"hasPrefix": func(prefix, v any) bool { return strings.HasPrefix(raw(v), raw(prefix)) },
		"default":   fallback,
		"urlquery":  query,
		"printf":    printf,
	}
}

// fallback is v, or otherwise where v is empty.
func fallback(otherwise, v any) any {
	if raw(v) == "" {
		return otherwise
	}
	return v
}

// printf is fmt.Sprintf of escaped text: with a verb that does not fit, fmt would show what is inside a Text.
func printf(format string, args ...any) string {
	for i, a := range args {
		if t, ok := a.(Text); ok {
			args[i] = t.String()
		}
	}
	return fmt.Sprintf(format, args...)
}
