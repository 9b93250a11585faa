package load

import (
	"math/bits"
	"time"
)

const (
	// subBits divides each power of two into 64 buckets, so that a value is known to better than 1.6 %.
	subBits = 6
	buckets = (64 - subBits) << subBits
)

// Histogram counts durations in buckets whose width grows with the value, as HDR histograms do. Its zero value is
// empty, recording allocates nothing, and it is not safe for concurrent use.
type Histogram struct {
	counts [buckets]uint32
	n      uint64
	max    time.Duration
}

// Record counts one duration. A negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the smallest duration that at least the fraction q (0 to 1) of all do not exceed, rounded up by less
// than 1.6 %; 0 where nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.n)+0.5), 1)
	var seen uint64
	for i, c := range h.counts {
		if seen += uint64(c); seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// bucket is the index for a value: the values below 2^subBits have one each, and every further power of two has
// 2^subBits of them.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	if i < 2<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i-shift<<subBits)+1)<<shift - 1
}
