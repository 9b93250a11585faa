package daemon

import flag "github.com/spf13/pflag"

// FlagName is for FlagSet.SetNormalizeFunc: --config and --log-level, as netboot-tftpd has them, are the same flags as
// CoreDHCP's --conf and --loglevel.
func FlagName(_ *flag.FlagSet, name string) flag.NormalizedName {
	switch name {
	case "conf":
		name = "config"
	case "loglevel":
		name = "log-level"
	}
	return flag.NormalizedName(name)
}
