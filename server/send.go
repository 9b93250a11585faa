package server

import (
	"net"
	"net/netip"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// outbox collects the replies of one worker, so that many leave by one system call.
type outbox struct {
	engine  *Engine
	byConn  map[*conn]*letters
	frames  *frames
	pktinfo map[way][]byte
}

func newOutbox(e *Engine) *outbox {
	return &outbox{engine: e, byConn: map[*conn]*letters{}, frames: newFrames(), pktinfo: map[way][]byte{}}
}

// letters are datagrams for one socket. Their memory is used again.
type letters struct {
	messages []ipv4.Message
	targets  []net.UDPAddr
	size     int
}

func newLetters() *letters {
	l := &letters{messages: make([]ipv4.Message, batchSize), targets: make([]net.UDPAddr, batchSize)}
	for i := range l.messages {
		l.messages[i].Buffers = [][]byte{make([]byte, 0, maxSize4)}
		l.messages[i].Addr = &l.targets[i]
	}
	return l
}

// add takes a reply that leaves by the socket that its request came from. The payload is copied.
func (o *outbox) add(via *conn, r *route, payload []byte) {
	if r.framed {
		if o.frames.full() {
			o.flushFrames()
		}
		o.frames.add(r, via.local.Port(), payload)
		return
	}
	if via.udp == nil {
		o.routed(via, r, payload)
		return
	}
	l := o.byConn[via]
	if l == nil {
		l = newLetters()
		o.byConn[via] = l
	}
	if l.size == len(l.messages) {
		o.flushLetters(via, l)
	}
	m, target := &l.messages[l.size], &l.targets[l.size]
	m.Buffers[0] = append(m.Buffers[0][:0], payload...)
	m.OOB = o.controls(way{r.from, r.link, via.six})
	target.IP = append(target.IP[:0], r.to.Addr().AsSlice()...)
	target.Port, target.Zone = int(r.to.Port()), r.to.Addr().Zone()
	l.size++
}

// way is what a control message tells the kernel.
type way struct {
	from netip.Addr
	link int
	six  bool
}

// maxWays bounds what is remembered: interfaces times their addresses.
const maxWays = 256

// controls makes the kernel send from an address and by an interface of ours; nil: as it likes.
func (o *outbox) controls(w way) []byte {
	if !w.from.IsValid() && w.link == 0 {
		return nil
	}
	b, ok := o.pktinfo[w]
	if ok {
		return b
	}
	if w.six {
		b = (&ipv6.ControlMessage{Src: w.from.AsSlice(), IfIndex: w.link}).Marshal()
	} else {
		b = (&ipv4.ControlMessage{Src: w.from.AsSlice(), IfIndex: w.link}).Marshal()
	}
	if len(o.pktinfo) >= maxWays {
		clear(o.pktinfo)
	}
	o.pktinfo[w] = b
	return b
}

// flush sends all that was added.
func (o *outbox) flush() {
	if o.frames.size > 0 {
		o.flushFrames()
	}
	for via, l := range o.byConn {
		if l.size > 0 {
			o.flushLetters(via, l)
		}
		if via.closed.Load() {
			delete(o.byConn, via)
		}
	}
}

func (o *outbox) flushFrames() {
	lost, err := o.frames.send(o.engine.link)
	o.undelivered(lost, err)
}

func (o *outbox) flushLetters(via *conn, l *letters) {
	var lost int
	var first error
	for done := 0; done < l.size; {
		n, err := via.WriteBatch(l.messages[done:l.size], 0)
		if err != nil { // of the first one, such as a host that cannot be reached; those behind it are tried again
			if first == nil {
				first = err
			}
			lost++
			n = 1
		}
		done += n
	}
	l.size = 0
	o.undelivered(lost, first)
}

func (o *outbox) undelivered(lost int, cause error) {
	if lost == 0 {
		return
	}
	o.engine.drops.hot[dropSend].Add(float64(lost))
	o.engine.drops.say(logrus.WarnLevel, dropSend, logrus.Fields{"because": cause.Error(), "replies": lost})
}
