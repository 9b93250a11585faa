package daemon

import (
	"errors"
	"fmt"

	flag "github.com/spf13/pflag"
)

// ParseFlags parses a command line. A wrong one is told with the command whose help has the right ones; the flag set is
// named after it.
func ParseFlags(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w; see %s --help", err, fs.Name())
}

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
