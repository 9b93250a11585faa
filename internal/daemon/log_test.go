package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// stuck is a terminal that somebody stopped with Ctrl-S.
type stuck struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *stuck) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func TestAStoppedTerminalHoldsNobodyUp(t *testing.T) {
	terminal := new(stuck)
	registry := prometheus.NewRegistry()
	w := daemon.NewLogWriter(terminal, registry)
	terminal.mu.Lock()
	const lines = 20000
	for i := range lines {
		fmt.Fprintf(w, "line %d\n", i)
	}
	dropped := 0.0
	families, err := registry.Gather()
	must(t, err)
	for _, f := range families {
		dropped = f.Metric[0].Counter.GetValue()
	}
	terminal.mu.Unlock()
	w.Close()
	written := strings.Count(terminal.text.String(), "line ")
	if dropped == 0 || written+int(dropped) != lines {
		t.Errorf("%d lines: %d written, %v dropped", lines, written, dropped)
	}
	if want := fmt.Sprintf("lines=%d\n", int(dropped)); !strings.Contains(terminal.text.String(), want) {
		t.Errorf("the log does not say that %s", want)
	}
	if n, err := testutil.GatherAndCount(registry, "netboot_log_lines_dropped_total"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestClosingWritesWhatWaitsAndLaterLinesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := daemon.NewLogWriter(daemon.AppendFile(path), prometheus.NewRegistry())
	for i := range 100 {
		fmt.Fprintf(w, "line %d\n", i)
	}
	w.Close()
	fmt.Fprintf(w, "last words\n")
	text, err := os.ReadFile(path)
	must(t, err)
	if got := strings.Count(string(text), "\n"); got != 101 || !strings.HasSuffix(string(text), "line 99\nlast words\n") {
		t.Errorf("%d lines: %q", got, text)
	}
}

func TestNoLineIsLostThatIsWrittenWhileItCloses(t *testing.T) {
	const rounds, writers, lines = 1000, 8, 40
	for range rounds {
		terminal := new(stuck)
		w := daemon.NewLogWriter(terminal, prometheus.NewRegistry())
		var writing sync.WaitGroup
		begun := make(chan struct{}, writers)
		for range writers {
			writing.Add(1)
			go func() {
				defer writing.Done()
				for n := range lines {
					if n == lines/2 {
						begun <- struct{}{}
					}
					fmt.Fprintln(w, "line")
				}
			}()
		}
		<-begun
		w.Close()
		writing.Wait()
		if n := strings.Count(terminal.text.String(), "line\n"); n != writers*lines {
			t.Fatalf("%d of %d lines", n, writers*lines)
		}
	}
}
