package lab

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Line is a line of a machine's console and when its first character came.
type Line struct {
	At   time.Time
	Text string
}

// console collects what a machine prints on its serial port. It is the writer of the virtual machine's output.
type console struct {
	file    *os.File
	changed chan struct{} // has an item when something was printed since it was last emptied

	mu      sync.Mutex
	lines   []Line
	pending string // the line that is being printed, escape sequences included
	began   time.Time
}

func newConsole(path string) (*console, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &console{file: f, changed: make(chan struct{}, 1)}, nil
}

// Terminal control: moving the cursor begins a new line, everything else (colours, clearing) has no text.
var (
	cursorMoves = regexp.MustCompile("\x1b\\[[0-9;]*[HfABEF]")
	escapes     = regexp.MustCompile("\x1b\\[[0-9;?=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>78c]|[\x00-\x08\x0b-\x1f]")
)

// Write implements io.Writer.
func (c *console) Write(p []byte) (int, error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if visible(c.pending) == "" {
		c.began = now
	}
	c.pending += string(p)
	text := strings.ReplaceAll(cursorMoves.ReplaceAllString(c.pending, "\n"), "\r", "\n")
	parts := strings.Split(text, "\n")
	for _, line := range parts[:len(parts)-1] {
		c.keep(line)
		c.began = now
	}
	c.pending = parts[len(parts)-1]
	select {
	case c.changed <- struct{}{}:
	default:
	}
	return c.file.Write(p)
}

func (c *console) keep(raw string) {
	if text := visible(raw); text != "" {
		c.lines = append(c.lines, Line{At: c.began, Text: text})
	}
}

// visible is what a person would see of a line.
func visible(raw string) string { return strings.TrimSpace(escapes.ReplaceAllString(raw, "")) }

// Lines is what was printed so far: the finished lines, and the one that is still growing (a prompt stays that).
func (c *console) Lines() (finished []Line, growing Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Line(nil), c.lines...), Line{At: c.began, Text: visible(c.pending)}
}

// All is everything that was printed.
func (c *console) All() []Line {
	lines, growing := c.Lines()
	if growing.Text != "" {
		lines = append(lines, growing)
	}
	return lines
}

// Close closes the log file; the lines stay.
func (c *console) Close() error { return c.file.Close() }
