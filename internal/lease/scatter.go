package lease

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// wide is the size of a pool in which new owners are scattered, tries is how often before one gets the lowest address.
const (
	wide  = 1 << 16
	tries = 4
)

// scattered is an address of a wide IPv6 pool that follows from its new owner's identity (RFC 7943), so that nobody finds
// machines by counting, and that a machine gets the same address again where leases were lost. In a smaller pool it would
// hide nothing, and people read low numbers more easily. False: others are in its places.
func (b *Book) scattered(p *Pool, owner string, now int64) (a netip.Addr, ok bool) {
	if p.fixed || len(p.ranges) == 0 || !p.ranges[0].First.Is6() || p.Size() <= wide {
		return a, false
	}
	for try := range byte(tries) {
		if a = p.scatter(owner, try); b.unknown(p, a, now) {
			return a, true
		}
	}
	return a, false
}

// scatter is a place for an owner, among the first 2^64 of each range.
func (p *Pool) scatter(owner string, try byte) netip.Addr {
	sum := sha256.Sum256(append([]byte{byte(p.ranges[0].bits()), try}, owner...))
	n := binary.BigEndian.Uint64(sum[:]) % p.Size()
	for _, r := range p.ranges {
		if n < r.Size() {
			return r.at(n)
		}
		n -= r.Size()
	}
	return p.ranges[0].First // not reached: n is less than the sum
}
