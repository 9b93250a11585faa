package tftpd

import "time"

// For tests of production values by arithmetic.
const (
	DefaultRetransmit = defaultRetransmit
	FirstSends        = firstSends
	Unproven          = unproven
	LargestSnapshot   = largestSnapshot
	Settled           = settled
)

var (
	Patience   = patience
	CutGarbage = cutGarbage
)

// SendModes are the ways to the kernel by name, the plainest first.
func SendModes() []string { return []string{"sendmsg", "sendmmsg", "UDP_SEGMENT"} }

// SendBy makes a service use a way to the kernel, or the next plainer one that works.
func (t *TFTP) SendBy(mode string) {
	for i, name := range SendModes() {
		if name == mode {
			t.mode = sendMode(i)
		}
	}
}

// Sizes tells how many sessions, lingering ones among them, sources of requests and files are remembered.
func (t *TFTP) Sizes() (sessions, sources, files int) {
	for _, p := range t.ports {
		p.mu.Lock()
		sessions += len(p.sessions)
		p.mu.Unlock()
	}
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	t.cache.mu.Lock()
	defer t.cache.mu.Unlock()
	return sessions, len(t.limits.sources), len(t.cache.all)
}

// Window is a sender's window, for tests without a wire.
type Window struct{ w window }

// NewWindow is a sender of last blocks.
func NewWindow(size int, last int64, options bool) *Window {
	return &Window{newWindow(size, last, options)}
}

// First is the answer to the request.
func (w *Window) First() (first, last int64) { s := w.w.first(); return s.first, s.last }

// Ack is what an ACK makes it send.
func (w *Window) Ack(number uint16, now time.Time, pause time.Duration) (first, last int64, progress bool) {
	s, progress := w.w.ack(number, now, pause)
	return s.first, s.last, progress
}

// Again is the last block that the n-th timeout in a row makes it send.
func (w *Window) Again(n int) (first, last int64) {
	blocks := w.w.again(n)
	s := blocks[len(blocks)-1]
	return s.first, s.last
}

// State tells what has arrived, and whether that is all.
func (w *Window) State() (acked int64, done bool) { return w.w.acked, w.w.done() }

// ParseRequest takes a request apart, for a fuzzer.
func ParseRequest(b []byte) (name string, options int, err error) {
	r, err := parseRequest(b)
	return r.name, len(r.options), err
}
