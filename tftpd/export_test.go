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

// Sender is a session without a wire.
type Sender struct{ s session }

// NewSender is a session that has got a request for so many blocks with options.
func NewSender(window int, last int64, now time.Time) *Sender {
	s := &Sender{session{retransmit: defaultRetransmit, record: &transfer{}}}
	const block = 1000
	s.s.starts(terms{block: block, window: window, oack: []byte{0, opOACK}}, &content{size: last*block - 1}, now)
	s.s.sends = 1
	return s
}

// First is the answer to the request.
func (s *Sender) First(now time.Time) []int64 { return s.send([]span{s.s.window.first()}, now) }

// Ack is what an ACK makes it send.
func (s *Sender) Ack(number uint16, now time.Time) []int64 {
	return s.send([]span{s.s.ack(number, now)}, now)
}

// Expired is what a timeout makes it send.
func (s *Sender) Expired(now time.Time) []int64 { return s.send(s.s.expired(), now) }

// Due is when the next timeout is.
func (s *Sender) Due() time.Time { return s.s.due }

// End is when the session is given up.
func (s *Sender) End() time.Time { return s.s.end() }

// Done tells whether everything has arrived.
func (s *Sender) Done() bool { return s.s.window.done() }

func (s *Sender) send(spans []span, now time.Time) (blocks []int64) {
	for _, b := range spans {
		if b.empty() {
			continue
		}
		s.s.sent(b, now)
		for n := b.first; n <= b.last; n++ {
			blocks = append(blocks, n)
		}
	}
	return blocks
}

// ParseRequest takes a request apart, for a fuzzer.
func ParseRequest(b []byte) (name string, options int, err error) {
	r, err := parseRequest(b)
	return r.name, len(r.options), err
}
