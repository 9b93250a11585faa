package tftpd

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// port is a UDP socket with the transfers that run on it: its number is their TID. Transfers share a few ports instead
// of having one each, so that a thousand of them take no descriptors, and their packets travel in batches. Each port
// has a goroutine.
type port struct {
	t      *TFTP
	fd     int
	addr   net.Addr
	in     *inbox
	listen bool // takes requests; it answers nothing else, or two servers could answer each other for ever

	mu        sync.Mutex
	out       *outbox
	sessions  map[netip.AddrPort]*session
	timers    timers
	looked    time.Time // when the timers were looked at last
	alarm     alarm
	strangers ration     // of ERROR 5
	ended     []*session // to be recorded when the lock is free
	closed    bool
}

// newPort takes conn over. The runtime's poller, which would wake a thread for each packet while the port's own goroutine
// waits for it, does not know the socket any more.
func newPort(t *TFTP, conn *net.UDPConn, listen bool) (*port, error) {
	defer conn.Close()
	fd, err := duplicate(conn)
	if err != nil {
		return nil, err
	}
	in, err := newInbox(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &port{t: t, fd: fd, addr: conn.LocalAddr(), in: in, listen: listen, out: newOutbox(fd, t.mode),
		sessions: map[netip.AddrPort]*session{}}, nil
}

// run serves until the port is closed.
func (p *port) run() error {
	defer p.mute()
	var share share
	for {
		wait, open := p.rest()
		if !open {
			return nil
		}
		batch, err := p.in.receive(wait)
		if err != nil && !passing(err) {
			return fmt.Errorf("%s: %w", p.addr, err)
		}
		now := p.t.Now()
		p.turn(func() {
			p.alarm.asleep = false
			for i := range batch {
				p.take(&batch[i], now)
			}
			if len(batch) == inboxSize && now.Sub(p.looked) < crowded {
				return // what is still waiting to be read may be what the timers wait for
			}
			p.looked = now
			for s := p.timers.expired(now); s != nil; s = p.timers.expired(now) {
				p.expire(s, now)
			}
		})
		if p.listen {
			p.t.requested(batch, now)
		}
		share.end(now, p.listen && len(batch) > 0)
	}
}

// rest is how long the goroutine may sleep: until its next session is due, or for ever.
func (p *port) rest() (wait time.Duration, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alarm.set(p.timers.next(), p.t.Now()), !p.closed
}

// turn does something to sessions under the lock, sends what it put into the outbox, and then records what has ended.
func (p *port) turn(do func()) {
	p.mu.Lock()
	do()
	p.out.flush()
	if p.alarm.late(p.timers.next()) || p.closed {
		p.wake()
	}
	ended := p.ended
	p.ended = nil
	p.mu.Unlock()
	p.t.finish(ended...)
}

// wake ends the goroutine's sleep.
func (p *port) wake() {
	if p.alarm.asleep {
		p.alarm.asleep = false
		p.in.ring()
	}
}

// mute is the end of the goroutine: nobody rings or sends any more.
func (p *port) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.alarm.asleep = true, false
	unix.Close(p.in.bell)
	unix.Close(p.fd)
	p.out.fd = -1 // the number may soon be another file's
}

// start gives a request its first answer.
func (p *port) start(s *session, t terms, c *content) {
	p.turn(func() {
		now := p.t.Now()
		if last := p.sessions[s.client]; last != nil { // in its linger
			p.timers.remove(last)
		}
		p.sessions[s.client] = s
		s.starts(t, c, now)
		s.due = now
		p.timers.add(s)
		if p.closed {
			p.fail(s, errStopping, now)
			return
		}
		s.sends = 1
		p.send(s, s.window.first(), now)
	})
}

// last is when a client made progress here, in a transfer that runs or ended a moment ago; zero if there is none.
func (p *port) last(client netip.AddrPort) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sessions[client]; s != nil {
		return s.progress
	}
	return time.Time{}
}

// refuse tells a client why it gets no file.
func (p *port) refuse(s *session, err error) {
	p.turn(func() {
		code, text := tell(err)
		p.out.packet(&s.peer, errorPacket(code, text))
	})
}

// joins tells whether a repeated request belongs to the transfer that its client has: the answer was lost, or the
// request was late. It does not if the transfer is over or about to be, if the client asks for something else, or if it
// has said nothing for a while: a machine that restarted asks from the same port.
func (p *port) joins(s *session, asked string, now time.Time) (joins bool) {
	p.turn(func() {
		switch {
		case s.over:
		case s.content == nil: // its answer is on the way
			joins = true
		case s.asked == asked && s.sends > 0:
			p.resend(s, s.expired(), now)
			joins = true
		case s.asked == asked && s.window.next <= s.window.last && now.Sub(s.progress) < s.retransmit:
			joins = true
		default:
			p.end(s, aborted, errAnew, now)
		}
	})
	return joins
}

// close cuts what still runs and ends the goroutine.
func (p *port) close() {
	p.turn(func() {
		p.closed = true
		for _, s := range p.sessions {
			if !s.over {
				p.fail(s, errStopping, p.t.Now())
			}
		}
	})
}

// take handles a packet of a transfer.
func (p *port) take(d *datagram, now time.Time) {
	n, complete := number(d.data)
	s := p.sessions[d.client]
	switch {
	case !complete || p.listen && isRequest(d.data):
	case s == nil:
		p.stranger(d, now)
	case s.over:
	case opcode(d.data) == opAck:
		p.ack(s, n, now)
	case opcode(d.data) == opError:
		text, _, _ := cutText(d.data[headerSize:])
		err := &clientError{max(s.window.acked+1, 0), n, text}
		p.end(s, judge(err), err, now)
	}
}

func (p *port) ack(s *session, n uint16, now time.Time) {
	before := s.window.next
	next := s.ack(n, now)
	switch {
	case s.window.done():
		p.end(s, sent, nil, now)
	case !next.empty():
		p.send(s, next, now)
		p.t.Metrics.resent.Add(float64(max(before-next.first, 0)))
	}
}

// send puts blocks into the outbox.
func (p *port) send(s *session, blocks span, now time.Time) {
	if blocks.last == 0 {
		p.out.packet(&s.peer, s.terms.oack)
	} else if err := p.out.blocks(&s.peer, s.content, s.terms.block, blocks); err != nil {
		p.fail(s, err, now)
		return
	}
	s.sent(blocks, now)
	p.timers.hasten(s)
}

// expire handles a session whose time has come.
func (p *port) expire(s *session, now time.Time) {
	switch {
	case s.over:
		p.timers.remove(s)
		delete(p.sessions, s.client)
		return
	case !now.Before(s.end()):
		p.end(s, silent, os.ErrDeadlineExceeded, now)
		return
	}
	p.resend(s, s.expired(), now)
	if !s.over {
		p.timers.put(s)
	}
}

// resend sends blocks again.
func (p *port) resend(s *session, blocks []span, now time.Time) {
	for _, b := range blocks {
		if !s.over {
			p.send(s, b, now)
			p.t.Metrics.resent.Inc()
		}
	}
}

// fail ends a transfer for a reason of our own, which the client hears of.
func (p *port) fail(s *session, err error, now time.Time) {
	code, text := tell(err)
	p.out.packet(&s.peer, errorPacket(code, text))
	s.record.fail(err)
	p.end(s, s.record.result, err, now)
}

// end leaves the session for a while, so that an ACK that comes again is known: to answer it with ERROR 5 could reach
// the client's next transfer.
func (p *port) end(s *session, result string, cause error, now time.Time) {
	s.over = true
	s.record.result, s.record.cause = result, cause
	s.due = now.Add(linger)
	p.timers.put(s)
	p.ended = append(p.ended, s)
}

// stranger answers an ACK that belongs to no transfer with ERROR 5; nothing else, and not often.
func (p *port) stranger(d *datagram, now time.Time) {
	const perSecond = 100
	if p.listen || opcode(d.data) != opAck {
		return
	}
	if p.strangers.takes(perSecond, now) {
		p.out.packet(&d.peer, errorPacket(codeUnknownTID, "Unknown transfer ID"))
	}
}
