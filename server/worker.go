package server

import (
	"fmt"
	"net/netip"
	"runtime/debug"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/server/request"
)

// worker serves requests. A queue's own one does what the readers leave to it: what is more than they do at once.
type worker struct {
	engine  *Engine
	queue   *queue // the one that is served
	outbox  *outbox
	memory  *exchange4 // for the next request; nil: somebody may have kept it
	encoder encoder4
	reply   []byte // being written
	packets []*packet
}

func newWorker(e *Engine, q *queue) *worker {
	return &worker{
		engine: e, queue: q, outbox: newOutbox(e), reply: make([]byte, 0, maxSize4), packets: make([]*packet, 0, batchSize),
	}
}

// run serves until the queue is closed and what was in it has been answered.
func (w *worker) run() {
	for w.queue.begin() {
		w.serveSome(w.queue)
		w.outbox.flush()
		w.queue.done()
	}
}

// serveSome serves some of what is in a queue that nobody else serves. The replies leave with the outbox's next flush, which
// comes before anybody else serves the queue.
func (w *worker) serveSome(q *queue) {
	w.queue = q
	w.packets = q.take(w.packets)
	for _, p := range w.packets {
		if err := w.serve(p); err != nil {
			w.engine.drops.failed(err)
		}
		w.engine.recycle(p)
	}
}

// serve has a packet answered. A panic over it, as over a reply that a plugin left half made, costs this packet alone.
func (w *worker) serve(p *packet) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: fmt.Sprint(r), stack: string(debug.Stack())}
		}
	}()
	if p.via.six {
		return w.serve6(p)
	}
	return w.serve4(p)
}

// serve4 makes a reply of a request, and has it sent or held.
func (w *worker) serve4(p *packet) error {
	x := w.exchange()
	req, err := x.decode(p.data)
	if err != nil {
		return &dropError{dropMalformed, err.Error()}
	}
	now := w.engine.interfaces.now.Load()
	if now.reflects(req) {
		return &dropError{dropMalformed, "its giaddr or ciaddr is the broadcast address of a link"}
	}
	resp, kind, err := x.reply(req)
	if err != nil {
		return err
	}
	if !w.engine.chain.takesAny(kind) {
		return &dropError{dropType, "has no message type that a server answers"}
	}
	r := &x.known
	r.Reopen(req, p.facts)
	defer r.Close()
	resp, by, err := w.engine.chain.run4(req, resp, kind, nil)
	if err == nil && w.engine.chain.forgets && !r.WasHeld() && x.small() {
		w.memory = x // after this one
	}
	switch {
	case err != nil:
		return err
	case resp == nil:
		return &pluginDrop{by}
	case !answerable(req, resp, kind):
		return nil
	}
	encode, delivery := r.Asked()
	way := route4(req, resp, &p.facts, now.ours).override(delivery, p.facts.Interface.Index)
	if !way.to.Addr().Is4() {
		return &dropError{dropSend, "a plugin has a DHCPv4 reply go to " + way.to.String()}
	}
	if err := w.encode4(req, resp, encode, limit4(req, kind, len(p.data))); err != nil {
		return err
	}
	return w.leave(r, p, &way)
}

// exchange is memory for a request.
func (w *worker) exchange() *exchange4 {
	x := w.memory
	if w.memory = nil; x == nil {
		x = new(exchange4)
	}
	return x
}

// encode4 writes the reply into w.reply.
func (w *worker) encode4(req, resp *dhcpv4.DHCPv4, encode request.Encode4, limit int) (err error) {
	if encode != nil {
		if w.reply, err = callEncode(encode, w.reply[:0], resp, limit); err != nil || len(w.reply) == 0 || len(w.reply) > maxSize4 {
			return &dropError{dropEncode, fmt.Sprintf("%d bytes, %v", len(w.reply), err)}
		}
		return nil
	}
	var left []uint8
	var ok bool
	if w.reply, left, ok = w.encoder.append(w.reply[:0], req, resp, limit); !ok {
		return &dropError{dropTooLong, fmt.Sprintf("does not fit into %d bytes", limit)}
	}
	if len(left) > 0 {
		w.engine.drops.shortened(req, left, limit)
	}
	return nil
}

// callEncode is a plugin's encoding; its panic is an error.
func callEncode(encode request.Encode4, dst []byte, resp *dhcpv4.DHCPv4, limit int) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = dst, fmt.Errorf("it panicked: %v", r)
		}
	}()
	return encode(dst, resp, limit)
}

// serve6 is serve4 for DHCPv6.
func (w *worker) serve6(p *packet) error {
	req, err := dhcpv6.FromBytes(p.data)
	if err != nil {
		return &dropError{dropMalformed, err.Error()}
	}
	resp, err := NewReply6(req)
	if err != nil {
		return err
	}
	r := request.Open(req, p.facts)
	defer r.Close()
	resp, by, err := w.engine.chain.run6(req, resp, nil)
	switch {
	case err != nil:
		return err
	case resp == nil:
		return &pluginDrop{by}
	}
	_, delivery := r.Asked()
	way := route6(&p.facts, w.engine.interfaces.now.Load().ours).override(delivery, p.facts.Interface.Index)
	way.framed = false
	reply, left, ok := encode6(req, resp, maxSize6)
	if !ok {
		return &dropError{dropTooLong, fmt.Sprintf("does not fit into %d bytes", maxSize6)}
	}
	if len(left) > 0 {
		w.engine.drops.shortened6(req, left, maxSize6)
	}
	w.reply = append(w.reply[:0], reply...)
	return w.leave(r, p, &way)
}

// route6 is back to where the request came from (RFC 8415 section 18.3.10), from the address that was asked if it is
// ours, by the same interface if the address means nothing without it.
func route6(f *request.Facts, ours map[netip.Addr]bool) route {
	r := route{to: f.Peer}
	if f.Peer.Addr().IsLinkLocalUnicast() {
		r.link = f.Interface.Index
	}
	if ours[f.Local.Addr()] {
		r.from = f.Local.Addr()
	}
	return r
}

// leave sends what is in w.reply now, or when nothing holds it any more.
func (w *worker) leave(r *request.Request, p *packet, way *route) error {
	pending, failed := r.Held()
	if failed != nil {
		return &dropError{dropHold, failed.Error()}
	}
	if !pending {
		w.outbox.add(p.client, p.via, way, w.reply)
		return nil
	}
	if !w.queue.hold() {
		return &dropError{dropHold, "too many replies are held"}
	}
	h := &heldReply{queue: w.queue, client: p.client, via: p.via, route: *way, payload: append([]byte(nil), w.reply...)}
	w.engine.held.add(h)
	r.Finish(h.finish)
	return nil
}
