package server

import (
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// mostSegments is UDP_MAX_SEGMENTS of kernels before 6.9.
	mostSegments = 64
	// longestBundle is the UDP payload that one message may have in either family.
	longestBundle = 65535 - 40 - udpHeader
)

// bundler puts letters that go one way to one place, and are equally long, into one message, which the kernel cuts up
// behind the routing (UDP_SEGMENT, udp(7)). It belongs to one box of letters, and its memory is used again.
type bundler struct {
	known    *paths
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec             // of the letters, bundle by bundle
	controls [batchSize][controlSize + 24]byte // the way, and the size of a segment
	refused  map[path]bool                     // by the kernel

	in      [batchSize]int // the bundle of each letter
	leaders [batchSize]int // the first letter of each bundle
	counts  [batchSize]int
	size    int

	last path // that was asked for
	cuts bool // on it
}

// bundle makes messages of letters. Those of a client stay in order.
func (b *bundler) bundle(l *letters) []mmsghdr {
	b.size = 0
	for i := range l.size {
		k := b.size
		if b.may(l.paths[i]) {
			for k = l.after(i, &b.in); k < b.size && !b.takes(k, l, i); {
				k++
			}
		}
		if k == b.size {
			b.leaders[k], b.counts[k] = i, 0
			b.size++
		}
		b.in[i] = k
		b.counts[k]++
	}
	next := 0
	var places [batchSize]int
	for k := range b.size {
		places[k] = next
		b.messages[k] = l.messages[b.leaders[k]]
		m := &b.messages[k].msg
		m.Iov = &b.vectors[next]
		m.SetIovlen(b.counts[k])
		if b.counts[k] > 1 {
			b.segment(k, len(l.bytes[b.leaders[k]]))
		}
		next += b.counts[k]
	}
	for i, k := range b.in[:l.size] {
		b.vectors[places[k]] = l.vectors[i]
		places[k]++
	}
	return b.messages[:b.size]
}

// after is the first bundle that the i-th letter may be in: not before that of its client's last one.
func (l *letters) after(i int, in *[batchSize]int) int {
	for j := i - 1; j >= 0; j-- {
		if l.clients[j] == l.clients[i] {
			return in[j]
		}
	}
	return 0
}

// takes tells whether the i-th letter may go with those of a bundle.
func (b *bundler) takes(k int, l *letters, i int) bool {
	first := b.leaders[k]
	size, on := len(l.bytes[first]), l.paths[first]
	return size == len(l.bytes[i]) && l.names[first] == l.names[i] && on == l.paths[i] &&
		b.counts[k] < mostSegments && (b.counts[k]+1)*size <= longestBundle
}

// may tells whether bundles are cut on a path. Most letters go the way of the one before, and are not asked for again.
func (b *bundler) may(on path) bool {
	if b.size == 0 || on != b.last {
		b.last, b.cuts = on, on.to.IsValid() && !b.refused[on] && b.known.cut(on)
	}
	return b.cuts
}

// segment tells the kernel to cut a bundle into datagrams of size bytes.
func (b *bundler) segment(k, size int) {
	m, control := &b.messages[k].msg, b.controls[k][:]
	n := copy(control, unsafe.Slice(m.Control, m.Controllen))
	value := uint16(size)
	n += copy(control[n:], controlMessage(unix.IPPROTO_UDP, unix.UDP_SEGMENT, (*[2]byte)(unsafe.Pointer(&value))[:]))
	m.Control = &control[0]
	m.SetControllen(n)
}

// refuses tells an error that is about a bundle and not about what is in it: the path takes only shorter datagrams
// whole, or has no use for a checksum that is not computed yet.
func refuses(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EMSGSIZE)
}

// refuse remembers that the path of a bundle takes none.
func (b *bundler) refuse(l *letters, bundle *mmsghdr) {
	if len(b.refused) >= maxPaths {
		clear(b.refused)
	}
	if b.refused == nil {
		b.refused = map[path]bool{}
	}
	for n := range l.names { // the bundle has its first letter's
		if bundle.msg.Name == (*byte)(unsafe.Pointer(&l.names[n])) {
			b.refused[l.paths[n]] = true
		}
	}
}

// unbundle puts the letters of the i-th message in its place.
func unbundle(messages []mmsghdr, i int) []mmsghdr {
	alone := messages[i]
	alone.msg.SetControllen(int(alone.msg.Controllen) - unix.CmsgSpace(2))
	if alone.msg.Controllen == 0 {
		alone.msg.Control = nil
	}
	var letters [batchSize]mmsghdr
	pieces := unsafe.Slice(alone.msg.Iov, alone.msg.Iovlen)
	for n := range pieces {
		letters[n] = alone
		letters[n].msg.Iov = &pieces[n]
		letters[n].msg.SetIovlen(1)
	}
	return slices.Replace(messages, i, i+1, letters[:len(pieces)]...)
}
