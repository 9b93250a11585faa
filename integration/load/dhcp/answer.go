package dhcp

import "time"

// answer takes the i-th message that was received.
func (g *generator) answer(i int, now time.Duration) error {
	message, from := g.port.Message(i)
	r := &g.reply
	if err := r.Read(message); err != nil {
		g.result.Faults.Add(Malformed, 0, r, err)
		return nil
	}
	serial := serialOf(r.XID)
	if serial == 0 || serial > g.serial {
		g.result.Faults.Add(Stray, 0, r, nil)
		return nil
	}
	who := int(serial) % g.Machines
	m := &g.machines[who]
	if f := m.untimely(serial, r.Type); f != NoFault {
		g.result.Faults.Add(f, g.First+who, r, nil)
		return nil
	}
	fault := g.ledger.Check(who, g.macs[who], g.Profiles[who%len(g.Profiles)], m.requested, from, r)
	if fault != NoFault {
		g.result.Faults.Add(fault, g.First+who, r, nil)
		if fault == Refused {
			g.giveUp(m)
		}
		return nil // a wrong answer is none: the exchange is lost unless a right one follows
	}
	return g.advance(who, now)
}

// untimely tells that a machine does not wait for this answer, and why.
func (m *machine) untimely(serial uint32, kind byte) Fault {
	switch {
	case m.serial != serial || m.state == gaveUp:
		return Late
	case m.state == idle, m.state == bound && kind == Offer:
		return Duplicate
	}
	return NoFault
}

// advance moves a machine on after a right answer.
func (g *generator) advance(who int, now time.Duration) error {
	m := &g.machines[who]
	if m.state == offered {
		g.result.Offer.Record(now - m.since)
		if !g.OfferOnly {
			m.state, m.since, m.requested = bound, now, g.reply.Address
			g.waiting.push(entry{serial: m.serial, state: bound, since: now})
			return g.speaker(who).Request(g.port, g.macs[who], xid(m.serial), g.reply.Address, g.reply.Server)
		}
	} else {
		g.result.ACK.Record(now - m.since)
	}
	m.state, m.requested = idle, [4]byte{}
	g.inFlight--
	g.result.Done++
	return nil
}

// expire gives up the exchanges whose answer did not come.
func (g *generator) expire(now time.Duration) {
	for {
		e, any := g.waiting.oldest()
		if !any {
			return
		}
		m := &g.machines[int(e.serial)%g.Machines]
		waits := m.serial == e.serial && m.state == e.state
		if waits && now-e.since < g.Timeout {
			return
		}
		g.waiting.pop()
		if waits {
			g.giveUp(m)
		}
	}
}

func (g *generator) giveUp(m *machine) {
	m.state, m.requested = gaveUp, [4]byte{}
	g.inFlight--
	g.result.Lost++
}

// entry is a message that an answer is awaited for.
type entry struct {
	serial uint32
	state  int8
	since  time.Duration
}

// queue is a ring of entries in the order in which they were sent, hence, as all wait equally long, of their expiry.
type queue struct {
	ring       []entry
	head, size int
}

func (q *queue) init(machines int) { q.ring = make([]entry, 2*machines+2) }

func (q *queue) push(e entry) {
	if q.size == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.size)%len(q.ring)] = e
	q.size++
}

func (q *queue) grow() {
	bigger := make([]entry, 2*len(q.ring))
	n := copy(bigger, q.ring[q.head:])
	copy(bigger[n:], q.ring[:q.head])
	q.ring, q.head = bigger, 0
}

func (q *queue) oldest() (entry, bool) {
	if q.size == 0 {
		return entry{}, false
	}
	return q.ring[q.head], true
}

func (q *queue) pop() {
	q.head = (q.head + 1) % len(q.ring)
	q.size--
}
