package daemon

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MetricLogDropped is the name of the metric.
const MetricLogDropped = "netboot_log_lines_dropped_total"

const (
	logLines = 4096     // that wait for a slow terminal or disk
	logBatch = 64 << 10 // bytes in one write
	logGrace = 2 * time.Second
)

// LogWriter takes log lines without ever making the caller wait. Lines that a slow output has no room for are dropped and
// counted, and their number is logged when there is room again.
type LogWriter struct {
	out     io.Writer
	lines   chan []byte
	quit    chan struct{}
	done    chan struct{}
	closed  atomic.Bool
	dropped atomic.Int64
	total   prometheus.Counter
}

// NewLogWriter writes to out until Close.
func NewLogWriter(out io.Writer, r prometheus.Registerer) *LogWriter {
	w := &LogWriter{
		out: out, lines: make(chan []byte, logLines), quit: make(chan struct{}), done: make(chan struct{}),
		total: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricLogDropped, Help: "Log lines that a slow terminal or disk had no room for.",
		}),
	}
	r.MustRegister(w.total)
	go w.run() // ends at Close
	return w
}

// Write takes one line. It never fails.
func (w *LogWriter) Write(line []byte) (int, error) {
	if w.closed.Load() {
		return w.out.Write(line)
	}
	select {
	case w.lines <- bytes.Clone(line):
	default:
		w.dropped.Add(1)
		w.total.Inc()
	}
	return len(line), nil
}

func (w *LogWriter) run() {
	defer close(w.done)
	batch := make([]byte, 0, logBatch)
	for {
		var line []byte
		select {
		case line = <-w.lines:
		default:
			select {
			case line = <-w.lines:
			case <-w.quit:
				return
			}
		}
		batch = w.gather(append(batch[:0], line...))
		_, _ = w.out.Write(batch) // there is nowhere to complain
	}
}

// gather adds what else waits.
func (w *LogWriter) gather(batch []byte) []byte {
	for len(batch) < logBatch {
		select {
		case line := <-w.lines:
			batch = append(batch, line...)
			continue
		default:
		}
		break
	}
	if n := w.dropped.Swap(0); n > 0 {
		batch = fmt.Appendf(batch, "level=warning msg=\"log lines dropped: the output is too slow\" lines=%d\n", n)
	}
	return batch
}

// Close writes what waits, for a bounded time. Lines that come later are written at once.
func (w *LogWriter) Close() {
	if w.closed.Swap(true) {
		return
	}
	close(w.quit)
	late := time.NewTimer(logGrace)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
	}
}

// AppendFile is a writer that appends to the file at path, and opens it for each write: a file that was moved away is made
// anew.
type AppendFile string

// Write appends p.
func (path AppendFile) Write(p []byte) (int, error) {
	f, err := os.OpenFile(string(path), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Write(p)
}
