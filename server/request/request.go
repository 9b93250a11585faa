// Package request is what a plugin may know of a request beyond the packet, and what it may ask of the server beyond
// returning a reply. It needs no CoreDHCP and no particular server: under a server that does not use it, such as stock
// CoreDHCP, every answer is "unknown", and a hold blocks in the handler.
package request

import (
	"net/netip"
	"sync"
	"time"
)

// Interface is the network interface that a request came in on.
type Interface struct {
	Index int // the kernel's; 0: unknown
	Name  string
	// Addresses are the interface's own, of both families, in the kernel's order, when the request was read. They are
	// shared: nobody changes them.
	Addresses []netip.Prefix
}

// Facts are what a server knows of a request beside its bytes. A zero field is unknown.
type Facts struct {
	Interface Interface
	Peer      netip.AddrPort // who sent the datagram: the client, or the last relay
	Local     netip.AddrPort // the address and port it was sent to; the address may be a broadcast or multicast one
	Arrived   time.Time      // when the server read it
}

// Request is one request under way. A nil Request is one of which nothing is known, and each method works on it.
//
// What it knows does not change and may be kept; what it is asked for counts only until the chain has ended.
type Request struct {
	facts    Facts
	message  any // the key in the table
	left     []any
	encode   Encode4
	delivery Delivery
	holds    holds
}

// Interface is where the request came in; its Index is 0 if unknown.
func (r *Request) Interface() Interface {
	if r == nil {
		return Interface{}
	}
	return r.facts.Interface
}

// Peer is the sender's address and port. A relay's is not always its giaddr or link-address. Invalid: unknown.
func (r *Request) Peer() netip.AddrPort {
	if r == nil {
		return netip.AddrPort{}
	}
	return r.facts.Peer
}

// Local is the address and the port that the request was sent to: 67 or 4011 (PXE) in DHCPv4, 547 in DHCPv6. The
// address may be a broadcast or multicast one; see Source. Invalid: unknown.
func (r *Request) Local() netip.AddrPort {
	if r == nil {
		return netip.AddrPort{}
	}
	return r.facts.Local
}

// Source is the address of this host by which the client knows it or can reach it: the one that it asked, or else the
// receiving interface's first of the same family, a global one before a link-local one. Invalid: unknown.
func (r *Request) Source() netip.Addr {
	if r == nil {
		return netip.Addr{}
	}
	return r.facts.Source()
}

// Source is Request.Source.
func (f *Facts) Source() netip.Addr {
	var fallback netip.Addr
	want4 := f.Local.Addr().Is4()
	local := f.Local.Addr()
	for _, p := range f.Interface.Addresses {
		a := p.Addr()
		switch {
		case a.Is4() != want4:
		case a == local.WithZone(""):
			return a
		case !fallback.IsValid() || fallback.IsLinkLocalUnicast() && !a.IsLinkLocalUnicast():
			fallback = a
		}
	}
	// A host answers on any interface for all of its addresses; a broadcast of a subnet is none of them.
	if local.IsValid() && !local.IsUnspecified() && !local.IsMulticast() && !f.broadcast(local) {
		return local
	}
	return fallback
}

// broadcast tells whether a is the limited broadcast, or that of a subnet of the receiving interface.
func (f *Facts) broadcast(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	if a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	for _, p := range f.Interface.Addresses {
		if p.Addr().Is4() && p.Bits() < 31 && p.Contains(a) && !p.Contains(a.Next()) {
			return true
		}
	}
	return false
}

// Arrived is when the server read the request; zero: unknown.
func (r *Request) Arrived() time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.facts.Arrived
}

// Leave leaves v for the plugins that come later in the chain; the last value of a type counts. The type is the key:
// the package that owns the type owns the meaning. On a nil Request it is lost.
func Leave[T any](r *Request, v T) {
	if r == nil {
		return
	}
	for i, old := range r.left {
		if _, same := old.(T); same {
			r.left[i] = v
			return
		}
	}
	r.left = append(r.left, v)
}

// Left is the value of this type that an earlier plugin left.
func Left[T any](r *Request) (v T, ok bool) {
	if r == nil {
		return v, false
	}
	for _, left := range r.left {
		if v, ok = left.(T); ok {
			return v, true
		}
	}
	return v, false
}

// holds counts what a reply waits for.
type holds struct {
	mu      sync.Mutex
	waiting int
	ever    bool        // something was waited for
	err     error       // the first
	ended   func(error) // set when the chain has ended
}
