package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows, on a terminal in one line that is rewritten, what is going on and for how long already. Where the
// output is no terminal it writes a line for each step, and one for each long stretch of silence.
type progress struct {
	out      *os.File
	terminal bool
	stop     chan struct{}
	done     chan struct{}

	mu     sync.Mutex
	step   string
	since  time.Time
	detail string
	silent bool
	drawn  bool
	told   time.Time
}

func newProgress(out *os.File) *progress {
	p := &progress{out: out, terminal: isTerminal(out), stop: make(chan struct{}), done: make(chan struct{})}
	go p.tick() // ends at Close
	return p
}

// isTerminal reports whether a person is likely to watch the file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// quiet shows nothing from now on.
func (p *progress) quiet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// Step says what begins now.
func (p *progress) Step(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step, p.since, p.told, p.detail = what, time.Now(), time.Now(), ""
	if !p.terminal && !p.silent {
		fmt.Fprintf(p.out, "... %s\n", what)
	}
	p.draw()
}

// Console takes note of what a machine shows on its screen.
func (p *progress) Console(_, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = line
	p.draw()
}

// Clear makes place for other output.
func (p *progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.step = ""
}

// Close ends the display. It may be called twice.
func (p *progress) Close() {
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.wipe()
	p.step = ""
	p.mu.Unlock()
	<-p.done
}

func (p *progress) tick() {
	defer close(p.done)
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
		}
		p.mu.Lock()
		p.draw()
		p.remind()
		p.mu.Unlock()
	}
}

// draw rewrites the line on a terminal.
func (p *progress) draw() {
	if !p.terminal || p.silent || p.step == "" {
		return
	}
	const width = 78
	line := fmt.Sprintf("... %s, %.0f s", p.step, time.Since(p.since).Seconds())
	if p.detail != "" {
		line += ": " + p.detail
	}
	if runes := []rune(line); len(runes) > width {
		line = string(runes[:width])
	}
	fmt.Fprintf(p.out, "\r\x1b[2K%s", strings.ToValidUTF8(line, "?"))
	p.drawn = true
}

// remind writes a sign of life where nothing can be rewritten.
func (p *progress) remind() {
	const silence = 15 * time.Second
	if p.terminal || p.silent || p.step == "" || time.Since(p.told) < silence {
		return
	}
	p.told = time.Now()
	fmt.Fprintf(p.out, "... %s, %.0f s: %s\n", p.step, time.Since(p.since).Seconds(), p.detail)
}

func (p *progress) wipe() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[2K")
		p.drawn = false
	}
}
