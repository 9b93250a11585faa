// Package logtest is for tests that read a log while it is written.
package logtest

import (
	"strings"
	"sync"
)

// Text is what a log said. Several goroutines may write and read it. Its zero value is empty, and it must not be copied.
type Text struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write adds to it and never fails.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

// String is all of it so far.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
