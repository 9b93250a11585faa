package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/lab"
)

// What the environment may say.
const (
	binVariable  = "NETBOOT_BIN"  // a directory with the suite's programs, built already
	logsVariable = "NETBOOT_LOGS" // where failed stories leave their logs, instead of the temporary directory
)

// patience is how long a machine may take: emulated on a busy machine they need half a minute at most.
const patience = 4 * time.Minute

// built is the suite under test, compiled once for all stories into the directory that TestMain removes.
var built = sync.OnceValues(func() (lab.Suite, error) {
	if dir := os.Getenv(binVariable); dir != "" {
		return lab.Built(dir)
	}
	if err := lab.Build(binDir); err != nil {
		return lab.Suite{}, err
	}
	return lab.Built(binDir)
})

var binDir string

func TestMain(m *testing.M) {
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "netboot-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binDir = dir
	return m.Run()
}

// suite is the programs under test.
func suite(t *testing.T) lab.Suite {
	t.Helper()
	if err := lab.Need(); err != nil {
		t.Fatal(err)
	}
	s, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open builds a lab for one story. Its files stay where the story fails, and the story says where.
func open(t *testing.T, c lab.Config) *lab.Lab {
	t.Helper()
	if err := lab.Need(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(os.Getenv(logsVariable), "netboot-"+strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("configurations, logs and captures of this story are in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil { // whoever called sudo wants to read it
		t.Fatal(err)
	}
	c.Dir = dir
	l, err := lab.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return l
}

// powerOn boots a machine and returns what it did, booted or not.
func powerOn(t *testing.T, l *lab.Lab, name string, kind lab.Kind) *lab.Boot {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New(patience.String()+" are over"))
	defer cancel()
	b, err := l.Boot(ctx, name, kind)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// boots powers a machine on and fails the story unless it did all that a network boot is.
func boots(t *testing.T, l *lab.Lab, name string, kind lab.Kind) *lab.Boot {
	t.Helper()
	b := powerOn(t, l, name, kind)
	if err := b.Err(); err != nil {
		t.Fatalf("%v\nits timeline:\n%s", err, timeline(b))
	}
	t.Logf("%s: its script was done %.1f s after power on", b.Kind, b.Took().Seconds())
	return b
}

func timeline(b *lab.Boot) string {
	var s strings.Builder
	for _, e := range b.Timeline() {
		s.WriteString(e.String() + "\n")
	}
	return s.String()
}
