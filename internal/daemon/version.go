package daemon

import "runtime/debug"

// Version is that of the module the program was built from: a tag, or "(devel)" and the commit where known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return info.Main.Version + " " + s.Value
		}
	}
	return info.Main.Version
}
