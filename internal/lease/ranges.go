package lease

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// Range is what a pool lends, from the first to the last, both included: addresses of one family, or prefixes of one
// length, which are named by their first address.
type Range struct {
	First, Last netip.Addr
	Bits        int // the length of each prefix; 0: addresses
}

// Prefixes is the range of all prefixes of a length that make up another prefix, as delegated by RFC 8415.
func Prefixes(of netip.Prefix, bits int) Range {
	return Range{of.Masked().Addr(), netip.PrefixFrom(last(of), bits).Masked().Addr(), bits}
}

// Addresses is the range of all addresses of a prefix.
func Addresses(p netip.Prefix) Range { return Range{First: p.Masked().Addr(), Last: last(p)} }

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for i := range a {
		switch host := p.Bits() - 8*i; {
		case host <= 0:
			a[i] = 0xff
		case host < 8:
			a[i] |= 0xff >> host
		}
	}
	addr, _ := netip.AddrFromSlice(a)
	return addr
}

// bits is the length of each prefix, where an address is one of full length.
func (r Range) bits() int {
	if r.Bits == 0 {
		return r.First.BitLen()
	}
	return r.Bits
}

func (r Range) valid() error {
	switch {
	case !r.First.IsValid() || r.First.BitLen() != r.Last.BitLen() || r.Last.Less(r.First):
		return fmt.Errorf("%s to %s is no range of addresses; give the first and the last", r.First, r.Last)
	case r.Bits < 0 || r.Bits > r.First.BitLen(), r.unit(r.First).Masked().Addr() != r.First, r.unit(r.Last).Masked().Addr() != r.Last:
		return fmt.Errorf("%s to %s is no range of prefixes of the length %d; give the first addresses of the first and the last", r.First, r.Last, r.Bits)
	}
	return nil
}

// String is the range as an error or a metric names it.
func (r Range) String() string {
	if r.Bits == 0 {
		return r.First.String() + "-" + r.Last.String()
	}
	return fmt.Sprintf("%s-%s/%d", r.First, r.Last, r.Bits)
}

// unit is the prefix that begins with an address.
func (r Range) unit(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, r.bits()) }

// contains tells whether a names a unit of the range.
func (r Range) contains(a netip.Addr) bool {
	return a.BitLen() == r.First.BitLen() && !a.Less(r.First) && !r.Last.Less(a) && (r.Bits == 0 || r.unit(a).Masked().Addr() == a)
}

// end is the last address of the last unit.
func (r Range) end() netip.Addr { return last(r.unit(r.Last)) }

// Size is how many units there are; more than fit are told as so many.
func (r Range) Size() uint64 {
	first, last, shift := r.First.As16(), r.Last.As16(), r.First.BitLen()-r.bits()
	low := binary.BigEndian.Uint64(last[8:]) - binary.BigEndian.Uint64(first[8:])
	high := binary.BigEndian.Uint64(last[:8]) - binary.BigEndian.Uint64(first[:8])
	if binary.BigEndian.Uint64(last[8:]) < binary.BigEndian.Uint64(first[8:]) {
		high--
	}
	switch {
	case shift >= 64:
		low, high = high>>(shift-64), 0
	case shift > 0:
		low, high = low>>shift|high<<(64-shift), high>>shift
	}
	if high > 0 || low == math.MaxUint64 {
		return math.MaxUint64
	}
	return low + 1
}

// at is the unit that has n units before it. The range has more than n.
func (r Range) at(n uint64) netip.Addr {
	if r.First.Is4() {
		a := r.First.As4()
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n)<<(32-r.bits()))
		return netip.AddrFrom4(a)
	}
	a, shift := r.First.As16(), 128-r.bits()
	high, low := uint64(0), n<<shift // a shift by 64 and more leaves nothing
	if shift >= 64 {
		high = n << (shift - 64)
	} else {
		high = n >> (64 - shift)
	}
	sum := binary.BigEndian.Uint64(a[8:]) + low
	if sum < low {
		high++
	}
	binary.BigEndian.PutUint64(a[8:], sum)
	binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])+high)
	return netip.AddrFrom16(a)
}

// after is the unit that follows the one in which an address lies; invalid: there is none in the range.
func (r Range) after(a netip.Addr) netip.Addr {
	next := last(r.unit(a)).Next()
	if !next.IsValid() || r.Last.Less(next) {
		return netip.Addr{}
	}
	return next
}

// Without is what is left of the range where nothing may overlap a prefix.
func (r Range) Without(p netip.Prefix) (left []Range) {
	if p.Addr().BitLen() != r.First.BitLen() || last(p).Less(r.First) || r.end().Less(p.Addr()) {
		return []Range{r}
	}
	if r.First.Less(p.Addr()) {
		before := Range{r.First, r.unit(p.Addr().Prev()).Masked().Addr(), r.Bits}
		if !before.end().Less(p.Addr()) && r.First.Less(before.Last) {
			before.Last = r.unit(before.Last.Prev()).Masked().Addr()
		}
		if before.end().Less(p.Addr()) {
			left = append(left, before)
		}
	}
	if first := r.after(last(p)); first.IsValid() {
		left = append(left, Range{first, r.Last, r.Bits})
	}
	return left
}
