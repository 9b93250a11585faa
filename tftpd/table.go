package tftpd

import (
	"net/netip"
	"sync"
)

// table knows who has a transfer, from the request to the record.
type table struct {
	mu       sync.Mutex
	sessions map[netip.AddrPort]*session
	shut     bool          // no further session begins
	empty    chan struct{} // closed when the table is shut and has no session
}

func newTable() *table {
	return &table{sessions: map[netip.AddrPort]*session{}, empty: make(chan struct{})}
}

// enter makes s known. A client that has a session keeps it, and it is returned.
func (t *table) enter(s *session) (earlier *session, entered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if earlier := t.sessions[s.client]; earlier != nil || t.shut {
		return earlier, false
	}
	t.sessions[s.client] = s
	return nil, true
}

// leave forgets s.
func (t *table) leave(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions[s.client] != s {
		return // it was forgotten when the client asked anew
	}
	delete(t.sessions, s.client)
	if t.shut && len(t.sessions) == 0 {
		close(t.empty)
	}
}

// close lets no further session begin. The channel is closed when there is none any more.
func (t *table) close() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut = true; len(t.sessions) == 0 {
		close(t.empty)
	}
	return t.empty
}
