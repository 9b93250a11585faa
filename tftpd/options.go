package tftpd

import (
	"strconv"
	"time"
)

// Bounds of the options: RFC 2348 section 2, RFC 2349 section 2, RFC 7440 section 3.
const (
	defaultBlock = 512
	minBlock     = 8
	maxBlock     = 65464
	maxTimeout   = 255 // seconds
	maxWindow    = 65535
)

// grantedWindow is the largest window that is granted, in blocks. It fills a path of 94 KB; more would let one forged
// ACK draw more than that.
const grantedWindow = 64

// terms are what the two sides agreed on.
type terms struct {
	block   int           // bytes of a full block
	window  int           // blocks that may be under way
	timeout time.Duration // 0: not agreed
	oack    []byte        // nil: the client asked for nothing that is known
}

// agree answers a request's options: only what was asked, never more than was asked, and what makes no sense is left
// out. A size below zero is one that cannot be told. The longest block that the path takes whole is asked for only
// if the client names a size.
func agree(asked []option, size int64, longest func() int) terms {
	t := terms{block: defaultBlock, window: 1}
	var granted []option
	grant := func(o option, n int64) { granted = append(granted, option{o.name, strconv.FormatInt(n, 10)}) }
	for _, o := range asked {
		switch o.name {
		case "blksize":
			if n, ok := between(o.value, minBlock, maxBlock); ok {
				t.block = max(min(n, longest()), minBlock)
				grant(o, int64(t.block))
			}
		case "windowsize":
			if n, ok := between(o.value, 1, maxWindow); ok {
				t.window = min(n, grantedWindow)
				grant(o, int64(t.window))
			}
		case "timeout":
			if n, ok := between(o.value, 1, maxTimeout); ok {
				t.timeout = time.Duration(n) * time.Second
				grant(o, int64(n))
			}
		case "tsize":
			if size >= 0 {
				grant(o, size)
			}
		}
	}
	t.oack = oack(granted)
	return t
}

func between(text string, least, most int) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int(n), err == nil && n >= uint64(least) && n <= uint64(most)
}
