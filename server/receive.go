package server

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/server/request"
)

const (
	batchSize = 32 // datagrams by one system call
	// longest is what a request may have. A DHCPv6 message through many relays is the longest there is.
	longest = 8192
)

// receiver reads the datagrams of one socket and gives each to its client's worker.
type receiver struct {
	engine   *Engine
	conn     *conn
	messages []ipv4.Message
	four     ipv4.ControlMessage
	six      ipv6.ControlMessage
}

func newReceiver(e *Engine, c *conn) *receiver {
	r := &receiver{engine: e, conn: c, messages: make([]ipv4.Message, batchSize)}
	for i := range r.messages {
		r.messages[i].Buffers = [][]byte{make([]byte, longest)}
		r.messages[i].OOB = make([]byte, 64)
	}
	return r
}

// run reads until the socket is closed.
func (r *receiver) run() error {
	for {
		n, err := r.conn.ReadBatch(r.messages, 0)
		if err != nil {
			return err
		}
		now, interfaces := time.Now(), r.engine.interfaces.now.Load()
		for i := range r.messages[:n] {
			r.hand(&r.messages[i], now, interfaces)
		}
		r.engine.wake()
	}
}

func (r *receiver) hand(m *ipv4.Message, now time.Time, interfaces *snapshot) {
	if m.Flags&unix.MSG_TRUNC != 0 {
		r.engine.drops.count(dropTruncated)
		return
	}
	peer, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		r.engine.drops.count(dropMalformed)
		return
	}
	index, local := r.packetInfo(m.OOB[:m.NN])
	from := peer.AddrPort()
	f := request.Facts{
		Interface: interfaces.byIndex[index],
		Peer:      netip.AddrPortFrom(from.Addr().Unmap(), from.Port()),
		Local:     netip.AddrPortFrom(local, r.conn.local.Port()),
		Arrived:   now,
	}
	if f.Interface.Index == 0 {
		f.Interface.Index = index // it came a moment ago
	}
	r.engine.accept(m.Buffers[0][:m.N], r.conn, &f)
}

// packetInfo is the interface that a datagram came in on, and the address that was asked.
func (r *receiver) packetInfo(oob []byte) (index int, local netip.Addr) {
	var dst net.IP
	if r.conn.six {
		if r.six.Parse(oob) != nil {
			return 0, local
		}
		index, dst = r.six.IfIndex, r.six.Dst
	} else {
		if r.four.Parse(oob) != nil {
			return 0, local
		}
		index, dst = r.four.IfIndex, r.four.Dst
	}
	local, _ = netip.AddrFromSlice(dst)
	return index, local
}
