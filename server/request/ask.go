package request

import (
	"net"
	"net/netip"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Hold keeps the reply back until something is safely done, such as a lease that is on disk. Commit starts it and
// returns soon; it must see to it that done is called once, by any goroutine, with nil when it is done: then the reply
// leaves. With an error no reply leaves, and the server logs the error.
//
// The server calls commit at once, and Hold returns nil while the work goes on: the rest of the chain runs, and no
// worker waits. Several holds of one request are all waited for. A server gives up a reply that is held for long.
//
// On a nil Request Hold waits for done and returns its error; the handler then ends the chain without a reply.
func (r *Request) Hold(commit func(done func(error))) error {
	if r == nil {
		result := make(chan error, 1)
		var once sync.Once
		commit(func(err error) { once.Do(func() { result <- err }) })
		return <-result
	}
	r.holds.mu.Lock()
	r.holds.waiting++
	r.holds.ever = true
	r.holds.mu.Unlock()
	var once sync.Once
	commit(func(err error) { once.Do(func() { r.holds.release(err) }) })
	return nil
}

// release ends one hold, and with the last one of them the waiting.
func (h *holds) release(err error) {
	h.mu.Lock()
	h.waiting--
	if h.err == nil {
		h.err = err
	}
	ended, first := h.ended, h.err
	switch {
	case h.waiting > 0:
		ended = nil
	case ended != nil:
		h.ended = nil // a hold that comes too late sends nothing twice
	}
	h.mu.Unlock()
	if ended != nil {
		ended(first)
	}
}

// Encode4 appends the reply as it shall stand on the wire to dst. Limit is the largest message in bytes that the server
// would send to this client (RFC 2131 section 2, option 57). Without bytes no reply leaves; an error is logged.
type Encode4 func(dst []byte, reply *dhcpv4.DHCPv4, limit int) ([]byte, error)

// Encode takes over the encoding of a DHCPv4 reply: the order of options, overload, split values, its size. The last one
// to ask does it. The server adds and removes nothing, but never sends more than fits into one Ethernet frame. It tells
// whether the server will do so.
func (r *Request) Encode(e Encode4) bool {
	if r == nil {
		return false
	}
	r.encode = e
	return true
}

// Delivery is where a reply goes. A zero field leaves it to the server, which follows RFC 2131 section 4.1.
type Delivery struct {
	To   netip.AddrPort   // where the datagram goes
	From netip.Addr       // its source, an address of this host
	MAC  net.HardwareAddr // put into a frame to this address, whatever To says; 6 bytes
}

// Deliver takes over where the reply goes. The last one to ask counts. It tells whether the server will do so.
func (r *Request) Deliver(d Delivery) bool {
	if r == nil {
		return false
	}
	r.delivery = d
	return true
}
