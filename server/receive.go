package server

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredhcp-netboot/suite/server/request"
)

// readAhead bounds the datagrams that are read before any is served. Under a flood much is read, so that what is shed is
// the least dear, and not just what came last.
const readAhead = 1024

// some is how many datagrams one goroutine serves alone. Of more, workers take some queues over.
const some = 16

// reader reads from one socket, and serves what it has read itself: as long as that is soon done, a request crosses from
// no goroutine to another, and what arrives meanwhile makes the next batch. If a handler takes long, the lookout has the
// socket read by another reader.
type reader struct {
	engine  *Engine
	conn    *conn
	lookout *lookout
	in      *inbox
	worker  *worker
	turn    atomic.Uint64 // even: it reads; odd: it serves; and relieved, when another one reads

	leaving sync.Mutex
	begun   []*queue // that are served, and whose replies have not left
}

const relieved = 1 << 63

func serving(turn uint64) bool { return turn%2 == 1 }

func newReader(l *lookout) *reader {
	return &reader{engine: l.engine, conn: l.conn, lookout: l, in: newInbox(), worker: newWorker(l.engine, nil)}
}

var errRelieved = errors.New("another reader reads")

// run reads and serves until the socket is stopped or fails, or another reader has relieved this one.
func (r *reader) run() error {
	for {
		n, err := r.read()
		if err != nil {
			return err
		}
		turn := r.turn.Add(1)
		r.lookout.wake()
		if n > some {
			for _, q := range r.engine.queues[1:] {
				q.work.Signal()
			}
		}
		r.serve()
		if !r.turn.CompareAndSwap(turn, turn+1) {
			return errRelieved
		}
	}
}

// serve serves what it can of each queue. The replies leave together; until then nobody else serves those clients. Of a
// reader that was relieved they leave at once.
func (r *reader) serve() {
	for _, q := range r.engine.queues {
		if !q.tryBegin() {
			continue
		}
		r.worker.serveSome(q)
		r.leaving.Lock()
		r.begun = append(r.begun, q)
		r.leaving.Unlock()
		if r.turn.Load()&relieved != 0 {
			r.leave()
		}
	}
	r.leave()
}

// leave sends the replies of the queues that are served, and leaves those to others. The lookout calls it too, so that no
// client waits for the handler that another one's request is with.
func (r *reader) leave() {
	r.leaving.Lock()
	defer r.leaving.Unlock()
	r.worker.outbox.flush()
	for _, q := range r.begun {
		q.done()
	}
	r.begun = r.begun[:0]
}

// relieve makes the reader end after this turn; false: the turn is over.
func (r *reader) relieve(turn uint64) bool { return r.turn.CompareAndSwap(turn, turn|relieved) }

// read waits for datagrams, gives each to the queue of its client, and tells how many there were.
func (r *reader) read() (ahead int, err error) {
	for ahead < readAhead {
		n, err := r.conn.socket.receive(r.in, ahead == 0)
		switch {
		case err != nil && ahead == 0:
			return 0, err
		case err != nil: // the next read says it again
			return ahead, nil
		}
		now, interfaces := time.Now(), r.engine.interfaces.now.Load()
		for i := range n {
			r.hand(i, now, interfaces)
		}
		if ahead += n; n < batchSize {
			break
		}
	}
	return ahead, nil
}

func (r *reader) hand(i int, now time.Time, interfaces *snapshot) {
	if r.in.truncated(i) {
		r.engine.drops.count(dropTruncated)
		return
	}
	if r.conn.link != nil {
		index, kind := r.in.link(i)
		r.conn.link.hand(r.engine, r.conn, r.in.bytes(i), index, kind, now)
		return
	}
	peer, scope := r.in.peer(i)
	if !peer.IsValid() {
		r.engine.drops.count(dropMalformed)
		return
	}
	if scope != 0 {
		peer = netip.AddrPortFrom(peer.Addr().WithZone(interfaces.byIndex[scope].Name), peer.Port())
	}
	index, local := r.in.packetInfo(i)
	f := request.Facts{
		Interface: interfaces.byIndex[index], Peer: peer, Local: netip.AddrPortFrom(local, r.conn.local.Port()), Arrived: now,
	}
	if f.Interface.Index == 0 {
		f.Interface.Index = index // it came a moment ago
	}
	r.engine.accept(r.in.bytes(i), r.conn, &f)
}
