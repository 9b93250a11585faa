package subnets

import (
	"net/netip"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// six is the network's first IPv6 subnet; nil: it has none.
func (n *network) six() *subnet {
	for _, s := range n.subnets {
		if s.Addr().Is6() {
			return s
		}
	}
	return nil
}

// lendable are the pools of a network that a DHCPv6 client may have something of.
func (n *network) lendable(f *found, of resource) (pools []*lease.Pool) {
	if of == temporary {
		return nil
	}
	for _, p := range n.pools {
		if p.subnet.Addr().Is6() && (p.length > 0) == (of == prefixes) && p.takes(f) && (f.known || !p.subnet.denyUnknown) {
			pools = append(pools, p.lent)
		}
	}
	return pools
}

// unit is what is lent by the name of an address: itself, or a prefix that begins with it.
func (p *Policy) unit(of resource, a netip.Addr, reserved netip.Prefix) netip.Prefix {
	if of != prefixes {
		return netip.PrefixFrom(a, a.BitLen())
	}
	if a == reserved.Addr() {
		return reserved
	}
	if pool := p.pool(a); pool != nil {
		return netip.PrefixFrom(a, pool.length)
	}
	return netip.Prefix{}
}
