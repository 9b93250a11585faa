package subnets

import (
	"encoding/hex"
	"net/netip"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy"
)

// reservation reads a machine.
func (c *compiler) reservation(w *Reservation) {
	r := &reservation{name: w.Name.V, Pos: w.Pos, ignore: w.Ignore}
	keys := 0
	know := func(at conf.Pos, text string, k key) {
		keys++
		if r.name == "" {
			r.name = text
		}
		if first := c.first[k]; first != nil && first != r {
			c.problems.Add(at, "%s is already reserved for %s on line %d; remove one of the two", text, first.name, first.Line)
			return
		}
		c.first[k], c.p.machines[k] = r, r
	}
	for _, m := range w.MAC {
		if m.V.Known() {
			know(m.Pos, m.V.String(), key{byMAC, string(m.V.Bytes()), ""})
		}
	}
	for _, id := range w.ClientID {
		if id.V.string != "" {
			know(id.Pos, "client-id "+hex.EncodeToString([]byte(id.V.string)), key{byClientID, id.V.string, ""})
		}
	}
	for _, id := range w.DUID {
		if id.V.string != "" {
			know(id.Pos, "duid "+hex.EncodeToString([]byte(id.V.string)), key{byDUID, id.V.string, ""})
		}
	}
	if port := (key{byPort, w.CircuitID.V.string, w.RemoteID.V.string}); port.a != "" || port.b != "" {
		at := w.CircuitID.Pos
		if port.a == "" {
			at = w.RemoteID.Pos
		}
		know(at, "port "+hex.EncodeToString([]byte(port.a))+"/"+hex.EncodeToString([]byte(port.b)), port)
	}
	r.scope = c.scope(policy.Host, r.name, w.Pos, c.p.scope, &w.Gives)
	c.p.reservations++
	if keys == 0 {
		c.problems.AddAbsence(w.Pos, "reservation knows its machine by nothing; add mac, client-id, duid, circuit-id or remote-id")
	}
	if w.Ignore && len(w.Address) > 0 {
		c.problems.Add(w.Address[0].Pos, "a machine that is ignored gets no address; remove ignore or address")
	}
	if p := w.Prefix; p.V.IsValid() {
		c.reservePrefix(r, p.Pos, p.V.Prefix)
	}
	for _, a := range w.Address {
		if a.V.IsValid() {
			c.reserve(r, a.Pos, a.V.Addr)
		}
	}
}

// reserve gives an address to a machine.
func (c *compiler) reserve(r *reservation, at conf.Pos, a netip.Addr) {
	s := c.p.subnet(a)
	if s == nil {
		c.problems.Add(at, "%s is in none of the subnets; correct it, or add its subnet", a)
		return
	}
	if first, seen := c.given[a]; seen {
		c.problems.Add(at, "%s is already given to %s on line %d; give %s another address", a, first.name, first.Line, r.name)
		return
	}
	if first, last := s.ends(); a.Is4() && s.Bits() < 31 && (a == first || a == last) {
		c.problems.Add(at, "%s is no address of a machine, but an end of its subnet %s; give %s another address", a, s.Prefix, r.name)
		return
	}
	if other, _ := r.in(s.network, a.Is4()); other.IsValid() {
		c.problems.Add(at, "%s has %s in the same network %s already; a machine has one address in each", r.name, other, s.network.name)
		return
	}
	c.given[a] = givenTo{r.name, at}
	r.addrs = append(r.addrs, a)
}
