package server

import (
	"net/netip"
	"sync"
	"unsafe"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// outbox collects replies, so that many leave by one system call. One goroutine adds to it; another one may flush it if
// that takes long.
type outbox struct {
	engine *Engine
	mu     sync.Mutex
	boxes  map[sender]*letters
	// used are the sockets by which clients' replies left at last. They are few: clients may share a place.
	used [64]sender

	controls map[way][]byte
	last     way // and its control message: most replies go one way
	control  []byte
}

func newOutbox(e *Engine) *outbox {
	return &outbox{engine: e, boxes: map[sender]*letters{}, controls: map[way][]byte{}}
}

// add takes a reply that leaves by the socket that its request came from, or as a frame past it. The payload is copied.
func (o *outbox) add(client uint64, via *conn, r *route, payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if via.link != nil && r.to.Addr() == broadcast4.Addr() {
		r.mac, r.framed = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true
	}
	switch {
	case r.framed:
		l := o.box(client, o.engine.link)
		l.toStation(appendDatagram(l.paper(), r.source(via.local.Port()), r.to, payload), r.mac, r.link)
	case via.link != nil: // past the UDP socket that another process has, through the routing table
		l := o.box(client, via.link.ip)
		l.toHost(appendDatagram(l.paper(), r.source(via.local.Port()), r.to, payload), nil, r.to, 0)
	default:
		l := o.box(client, via.sends)
		w := way{r.from, r.link, via.six}
		if via.bundles {
			l.paths[l.size] = via.path(w, r.to.Addr())
		}
		l.toHost(append(l.paper(), payload...), o.controlFor(w), r.to, r.link)
	}
}

// box has room for one more letter of s. What waits for the client elsewhere leaves before it.
func (o *outbox) box(client uint64, s sender) *letters {
	used := &o.used[client>>8%uint64(len(o.used))]
	if *used != s {
		o.empty(*used)
		*used = s
	}
	l := o.boxes[s]
	if l == nil {
		l = newLetters(o.engine.paths)
		o.boxes[s] = l
	}
	if l.full() {
		o.empty(s)
	}
	l.clients[l.size], l.paths[l.size] = client, path{}
	return l
}

// empty sends what waits for s.
func (o *outbox) empty(s sender) {
	if l := o.boxes[s]; l != nil && l.size > 0 {
		o.undelivered(l.send(s))
	}
}

// flush sends all that was added.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.boxes {
		o.empty(s)
		if s.closed() {
			delete(o.boxes, s)
		}
	}
}

func (o *outbox) undelivered(lost int, cause error) {
	if lost == 0 {
		return
	}
	o.engine.drops.hot[dropSend].Add(float64(lost))
	o.engine.drops.say(logrus.WarnLevel, dropSend, logrus.Fields{"because": cause.Error(), "replies": lost})
}

// way is what a control message tells the kernel: to send from an address and by an interface of ours.
type way struct {
	from netip.Addr
	link int
	six  bool
}

// maxWays bounds what is remembered: interfaces times their addresses.
const maxWays = 256

// controlFor is the control message for a way; nil: as the kernel likes.
func (o *outbox) controlFor(w way) []byte {
	if w == o.last {
		return o.control
	}
	b, known := o.controls[w]
	if !known {
		b = w.marshal()
		if len(o.controls) >= maxWays {
			clear(o.controls)
		}
		o.controls[w] = b
	}
	o.last, o.control = w, b
	return b
}

func (w way) marshal() []byte {
	switch {
	case !w.from.IsValid() && w.link == 0:
		return nil
	case w.six:
		info := unix.Inet6Pktinfo{Ifindex: uint32(w.link)}
		if w.from.IsValid() {
			info.Addr = w.from.As16()
		}
		return controlMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, (*[unix.SizeofInet6Pktinfo]byte)(unsafe.Pointer(&info))[:])
	}
	info := unix.Inet4Pktinfo{Ifindex: int32(w.link)}
	if w.from.Is4() {
		info.Spec_dst = w.from.As4()
	}
	return controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, (*[unix.SizeofInet4Pktinfo]byte)(unsafe.Pointer(&info))[:])
}

func controlMessage(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}
