package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the suite's, by the names of their directories under cmd.
const (
	dhcpd = "netboot-dhcpd"
	tftpd = "netboot-tftpd"
)

// Built is the suite whose programs lie in a directory already.
func Built(dir string) (Suite, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Suite{}, err
	}
	s := Suite{DHCPD: filepath.Join(dir, dhcpd), TFTPD: filepath.Join(dir, tftpd)}
	for _, program := range []string{s.DHCPD, s.TFTPD} {
		if _, err := os.Stat(program); err != nil {
			return Suite{}, fmt.Errorf("%w; build the programs with `go build -o %s ./cmd/...`", err, dir)
		}
	}
	return s, nil
}

// Build compiles the suite's programs into a directory. It is called from inside the project's source.
func Build(dir string) error {
	root, err := SourceRoot()
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w; under sudo, keep the path: sudo env \"PATH=$PATH\" ..., or name a directory "+
			"with built programs", err)
	}
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w:\n%s", build, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// SourceRoot is the directory of the project's go.mod, at or above the working directory.
func SourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", errors.New(dir + " is not inside the project's source; change there, " +
				"or name a directory with built programs")
		}
	}
}
