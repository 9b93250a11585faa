package subnets

import (
	"net/netip"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// ledger6 is what DHCPv6 decisions ask of the leases.
type ledger6 interface {
	ledger
	// Last is what an owner has or had last in the network of an address.
	Last(owner string, in netip.Addr) (lease.Lease, bool)
}

// Owners of leases begin with the kind of association, and what they are known by.
func ownerKind(of resource) byte { return 0xff - byte(of) }

const (
	knownByMAC  = 'm' // then the MAC, and which of the machine's associations
	knownByDUID = 'd' // then IAID and DUID
)

// id is what a lease keeps of an association: as dhcpd, the IAID and then the DUID.
func (c *client6) id(a *association) string { return string(a.iaid[:]) + c.duid }

// own tells each association whose lease it is.
//
// The stages of one boot have a DUID and an IAID each: firmware, iPXE and system are to have one address. So where the MAC is
// known, a machine's associations are counted, and one that comes under a new DUID takes over what an older stage left. But
// one DUID that comes with another IAID is another interface of a system that runs, and has a lease of its own.
func (c *client6) own(byMAC bool, b ledger6) {
	near := c.network.subnets[0].Addr()
	if s := c.network.six(); s != nil {
		near = s.Addr()
	}
	for of := addresses; of <= prefixes; of++ {
		switch {
		case byMAC && c.MAC != "":
			c.ownByMAC(of, near, b)
		case len(c.duid) <= maxDUID:
			for i := range c.asks {
				if a := &c.asks[i]; a.of == of {
					a.owner = string([]byte{ownerKind(of), knownByDUID}) + c.id(a)
					a.has, _ = b.Last(a.owner, near)
				}
			}
		}
	}
	for i := range c.asks {
		if c.asks[i].has.State != lease.Active {
			c.asks[i].has = lease.Lease{}
		}
	}
}

// seat is one of the leases that a machine may have of a kind.
type seat struct {
	owner string
	last  lease.Lease
	known bool
	taken bool
}

func (c *client6) ownByMAC(of resource, near netip.Addr, b ledger6) {
	var asks []*association
	for i := range c.asks {
		if c.asks[i].of == of {
			asks = append(asks, &c.asks[i])
		}
	}
	if len(asks) == 0 {
		return
	}
	var seats [maxAssociations]seat
	for i := range seats {
		s := &seats[i]
		s.owner = string(append([]byte{ownerKind(of), knownByMAC}, c.MAC...)) + string([]byte{byte(i)})
		s.last, s.known = b.Last(s.owner, near)
	}
	for _, fits := range []func(*association, *seat) bool{c.sameID, c.laterStageOf, c.mayHave} {
		for _, a := range asks {
			for i := range seats {
				if s := &seats[i]; a.owner == "" && !s.taken && fits(a, s) {
					a.owner, a.has, s.taken = s.owner, s.last, true
				}
			}
		}
	}
}

// sameID tells that the lease is the association's by DUID and IAID.
func (c *client6) sameID(a *association, s *seat) bool { return s.known && s.last.ID == c.id(a) }

// laterStageOf tells that the association lists what another DUID of the machine has.
func (c *client6) laterStageOf(a *association, s *seat) bool {
	if !s.known || s.last.State != lease.Active || c.sameDUID(s) {
		return false
	}
	for _, w := range a.wants {
		if w == s.last.Prefix {
			return true
		}
	}
	return false
}

// mayHave tells that no other interface under the same DUID uses the lease.
func (c *client6) mayHave(_ *association, s *seat) bool {
	return !s.known || s.last.State != lease.Active || !c.sameDUID(s)
}

func (c *client6) sameDUID(s *seat) bool {
	return len(s.last.ID) > 4 && s.last.ID[4:] == c.duid
}
