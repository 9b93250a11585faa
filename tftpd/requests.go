package tftpd

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"time"
)

const (
	// clerks is how many requests can wait for a disk at once. The ports do not wait with them.
	clerks = 32
	// backlog is how many requests wait for a clerk: more than a receive buffer holds.
	backlog = 4096
)

// openPorts opens the ports of transfers beside the one that is asked: one for each two processors, because a packet that
// is sent keeps another busy that takes it or its interrupts, and few, so that packets travel in batches. A spare one takes
// clients that begin anew. In single-port mode there are none.
func (t *TFTP) openPorts() error {
	listen, err := newPort(t, t.conn, true)
	if err != nil {
		return err
	}
	t.ports = []*port{listen}
	if t.SinglePort {
		return nil
	}
	at := t.conn.LocalAddr().(*net.UDPAddr)
	network := "udp6"
	if at.IP.To4() != nil {
		network = "udp4"
	}
	for range min(max(runtime.GOMAXPROCS(0)/2, 1), 8) + 1 {
		conn, err := listenNetwork(network, (&net.UDPAddr{IP: at.IP, Zone: at.Zone}).String())
		var p *port
		if err == nil {
			p, err = newPort(t, conn, false)
		}
		if err != nil {
			t.closePorts()
			return fmt.Errorf("a port for transfers: %w", err)
		}
		t.ports = append(t.ports, p)
	}
	return nil
}

// closePorts closes ports that do not run.
func (t *TFTP) closePorts() {
	for _, p := range t.ports {
		p.mute()
	}
}

// portFor gives a client one of the ports of transfers, in turn, and not the one of its last transfer: what that left in
// the network must not reach the next one.
func (t *TFTP) portFor(client netip.AddrPort) *port {
	ports := t.ports
	if len(ports) > 1 {
		ports = ports[1:]
	}
	t.turns++
	first := ports[t.turns%max(len(ports)-1, 1)]
	best, since := first, first.last(client)
	for _, p := range ports {
		if last := p.last(client); last.Before(since) {
			best, since = p, last
		}
	}
	return best
}

// requested takes the requests among what the port that is asked received.
func (t *TFTP) requested(batch []datagram, now time.Time) {
	for i := range batch {
		switch d := &batch[i]; {
		case isRequest(d.data):
			t.request(d, now)
		case !t.SinglePort:
			t.Metrics.malformed.Inc()
		}
	}
}

// request decides about one request without waiting for anything. Who asks for too much is not answered: an answer is
// what the sender of forged requests wants.
func (t *TFTP) request(d *datagram, now time.Time) {
	s := &session{peer: d.peer, asked: string(d.data), port: t.portFor(d.client), retransmit: t.Retransmit}
	earlier, entered := t.table.enter(s)
	if earlier != nil {
		if earlier.port.joins(earlier, s.asked, now) {
			return
		}
		t.table.leave(earlier)
		_, entered = t.table.enter(s)
	}
	if !entered {
		return
	}
	if because := t.limits.admit(s.client.Addr(), now); because != "" {
		t.Metrics.dropped.WithLabelValues(because).Inc()
		t.table.leave(s)
		return
	}
	select {
	case t.queue <- s:
	default:
		t.Metrics.dropped.WithLabelValues(overload).Inc()
		t.finish(s)
	}
}

// begin answers a request. It may wait for a disk.
func (t *TFTP) begin(s *session) {
	rq, err := parseRequest([]byte(s.asked))
	if err != nil {
		t.Metrics.malformed.Inc()
		t.Log.WithField("client", s.client.String()).WithField("because", err.Error()).Debug("tftp")
		s.port.refuse(s, err)
		t.finish(s)
		return
	}
	who := named(s.client)
	s.record = t.Config.begin("tftp", who.String(), rq.name)
	content, err := t.open(s, rq, who.Addr())
	if err != nil {
		s.record.fail(err)
		s.port.refuse(s, err)
		t.finish(s)
		return
	}
	size := content.size
	if content.key.text {
		size = -1 // RFC 2349 knows no size of a text
	}
	s.port.start(s, agree(rq.options, size, func() int { return longestBlock(&s.peer) }), content)
}

// open finds the file.
func (t *TFTP) open(s *session, rq request, who netip.Addr) (c *content, err error) {
	defer func() {
		if p := recover(); p != nil { // Files may be other people's code
			err = panicked(p)
		}
	}()
	if rq.write {
		return nil, errWrite
	}
	name, err := Clean(cutGarbage(rq.name))
	if err != nil {
		return nil, err
	}
	s.record.file = name
	f, err := t.Files.Open(Request{Name: name, Client: who})
	if err != nil {
		return nil, err
	}
	return t.cache.take(f, rq.netascii)
}

// named is a link-local client with its interface's name as the zone, which people and other code know.
func named(client netip.AddrPort) netip.AddrPort {
	zone := client.Addr().Zone()
	if index, err := strconv.Atoi(zone); err == nil {
		if i, err := net.InterfaceByIndex(index); err == nil {
			zone = i.Name
		}
	}
	return netip.AddrPortFrom(client.Addr().WithZone(zone), client.Port())
}

// finish gives back what sessions held, and records them. Nobody may hold the lock of a port.
func (t *TFTP) finish(sessions ...*session) {
	for _, s := range sessions {
		t.table.leave(s)
		t.limits.release(s.client.Addr())
		if s.content != nil {
			t.cache.release(s.content)
		}
		if s.record != nil {
			s.record.end()
		}
	}
}
