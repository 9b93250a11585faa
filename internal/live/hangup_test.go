package live_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/internal/live"
)

// A large site takes seconds to load, and whoever changes it in that time sends the signal: by its default it ends a process.
func TestASignalThatComesWhileTheDaemonStartsIsNotItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, _ := logtest.NewNullLogger()
	r := live.NewReloader(log, nil)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{}, 1)
	r.Add(path, func() error {
		select {
		case read <- struct{}{}:
		default:
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-read
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
