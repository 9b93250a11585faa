package subnets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// pinger asks whether somebody uses an address.
type pinger interface {
	// ping calls heard once, later or at once, and does not wait. With an error nobody was asked.
	ping(a netip.Addr, heard func(inUse bool, err error))
	// asking tells whether the answer of a ping is awaited.
	asking(a netip.Addr) bool
}

// Pings wait for an answer as long as dhcpd's, and not again for a client that soon repeats its DISCOVER. So many at once are
// more than a network can make that is booting; more are not asked.
const (
	pingTime   = time.Second
	pingAgain  = time.Minute
	mostPings  = 1024
	mostSilent = 4096
)

// echoes sends ICMP echo requests. Its socket is open while an answer is awaited.
type echoes struct {
	mu      sync.Mutex
	conn    *icmp.PacketConn
	waiting map[netip.Addr]*echo
	silent  map[netip.Addr]time.Time // who did not answer lately
	seq     int
}

// echo is one question, and who wait for its answer.
type echo struct {
	heard []func(bool, error)
	timer *time.Timer
}

func newEchoes() *echoes {
	return &echoes{waiting: map[netip.Addr]*echo{}, silent: map[netip.Addr]time.Time{}}
}

func (p *echoes) asking(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting[a] != nil
}

var errBusy = fmt.Errorf("%d addresses are asked already", mostPings)

func (p *echoes) ping(a netip.Addr, heard func(bool, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.waiting[a]; e != nil {
		e.heard = append(e.heard, heard)
		return
	}
	if time.Since(p.silent[a]) < pingAgain {
		heard(false, nil)
		return
	}
	err := errBusy
	if len(p.waiting) < mostPings {
		err = p.send(a)
	}
	if err != nil {
		p.idle()
		heard(false, err)
		return
	}
	p.waiting[a] = &echo{heard: []func(bool, error){heard}, timer: time.AfterFunc(pingTime, func() { p.end(a, false) })}
}

// send asks.
func (p *echoes) send(a netip.Addr) error {
	if p.conn == nil {
		conn, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		if err != nil {
			return err
		}
		p.conn = conn
		go p.listen(conn) // ends with the last question
	}
	p.seq++
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: pingID, Seq: p.seq & 0xffff, Data: []byte("netboot")}}
	b, err := m.Marshal(nil)
	if err == nil {
		_, err = p.conn.WriteTo(b, &net.IPAddr{IP: a.AsSlice()})
	}
	return err
}

// pingID is in our questions and their answers.
const pingID = 0x6e62

// listen hears answers until the socket is closed.
func (p *echoes) listen(conn *icmp.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		m, err := icmp.ParseMessage(1, b[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply {
			continue
		}
		if body, ok := m.Body.(*icmp.Echo); !ok || body.ID != pingID {
			continue
		}
		if who, ok := from.(*net.IPAddr); ok {
			a, _ := netip.AddrFromSlice(who.IP)
			p.end(a.Unmap(), true)
		}
	}
}

// end tells who wait.
func (p *echoes) end(a netip.Addr, inUse bool) {
	p.mu.Lock()
	e := p.waiting[a]
	if e == nil {
		p.mu.Unlock()
		return
	}
	e.timer.Stop()
	delete(p.waiting, a)
	if !inUse {
		if len(p.silent) >= mostSilent {
			clear(p.silent)
		}
		p.silent[a] = time.Now()
	}
	p.idle()
	p.mu.Unlock()
	for _, heard := range e.heard {
		heard(inUse, nil)
	}
}

// idle closes the socket if nothing is awaited.
func (p *echoes) idle() {
	if len(p.waiting) == 0 && p.conn != nil {
		_ = p.conn.Close() // it was only read
		p.conn = nil
	}
}

// noPings asks nobody.
type noPings struct{}

func (noPings) ping(_ netip.Addr, heard func(bool, error)) { heard(false, nil) }
func (noPings) asking(netip.Addr) bool                     { return false }

var (
	errInUse = errors.New("somebody answers at the address")
	errAsked = errors.New("it asks again while its address is pinged")
)

// pingFirst holds the reply until it is known that nobody else uses an address; a machine that had it last is not suspected.
// It is an error where the server does not hold replies, and for a client that asks again meanwhile: its first request is
// answered, and each held reply takes the place of one that waits for its lease.
func (x *exchange) pingFirst(a netip.Addr) error {
	s := x.now.subnet(a)
	if s == nil || !s.ping || a == x.fixed {
		return nil
	}
	if l, known := x.book.Lease(a); known && l.Owner == x.Owner {
		return nil
	}
	if x.pings.asking(a) {
		return errAsked
	}
	return x.under.Hold(func(done func(error)) {
		x.pings.ping(a, func(inUse bool, err error) {
			if err != nil {
				const what = "the address is offered without ping-check, which cannot ask; the daemon needs NET_RAW and a route there"
				x.line(logrus.WarnLevel, what, a, what, logrus.Fields{"because": err.Error()})
			}
			if !inUse {
				done(nil)
				return
			}
			x.book.Decline(x.Owner, a)
			x.fields(a).Warn("in use: somebody answers at the address without a lease; nobody gets it for a day, as long as others are free")
			done(errInUse)
		})
	})
}
