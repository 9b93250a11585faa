package daemon

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MetricLogDropped is the name of the metric.
const MetricLogDropped = "netboot_log_lines_dropped_total"

const (
	logLines = 4096 // that wait for a slow terminal or disk
	// logPause is between writes: lines that come meanwhile are written together.
	logPause = 5 * time.Millisecond
	logGrace = 2 * time.Second
)

// LogWriter takes log lines without ever making the caller wait. Lines that a slow output has no room for are dropped and
// counted, and their number is logged when there is room again.
type LogWriter struct {
	out     io.Writer
	mu      sync.Mutex
	waiting []byte
	lines   int  // in waiting
	dropped int  // since the last write
	ended   bool // nobody writes what waits any more
	work    chan struct{}
	quit    chan struct{}
	closing sync.Once
	done    chan struct{}
	total   prometheus.Counter
}

// NewLogWriter writes to out until Close.
func NewLogWriter(out io.Writer, r prometheus.Registerer) *LogWriter {
	w := &LogWriter{
		out: out, work: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
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
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return w.out.Write(line)
	}
	if w.lines == logLines {
		w.dropped++
		w.total.Inc()
		return len(line), nil
	}
	w.waiting = append(w.waiting, line...)
	w.lines++
	if w.lines == 1 {
		w.work <- struct{}{} // there is room: the last one was taken with the lines before
	}
	return len(line), nil
}

// run writes in batches: whoever has written little is not woken for each line.
func (w *LogWriter) run() {
	defer close(w.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	var batch []byte
	for closing := false; ; {
		select {
		case <-w.work:
			select {
			case <-pause.C:
			case <-w.quit:
			}
		case <-w.quit:
			closing = true
		}
		if batch = w.take(batch, closing); len(batch) > 0 {
			_, _ = w.out.Write(batch) // there is nowhere to complain
		} else if closing {
			return
		}
		pause.Reset(logPause)
	}
}

// take is what waits, and lets others write into the memory of into. If nothing does and it closes, nobody waits any more.
func (w *LogWriter) take(into []byte, closing bool) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.waiting
	if w.dropped > 0 {
		batch = fmt.Appendf(batch, "level=warning msg=\"log lines dropped: the output is too slow\" lines=%d\n", w.dropped)
	}
	w.ended = closing && len(batch) == 0
	w.waiting, w.lines, w.dropped = into[:0], 0, 0
	select {
	case <-w.work:
	default:
	}
	return batch
}

// Close writes what waits, for a bounded time. Lines that come later are written at once.
func (w *LogWriter) Close() {
	w.closing.Do(func() { close(w.quit) })
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
