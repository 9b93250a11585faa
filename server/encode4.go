package server

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Sizes of a DHCPv4 message in bytes, without IP and UDP headers.
const (
	minSize4    = 300                         // RFC 951; relays and clients drop shorter ones
	plainSize4  = 576 - ipHeader - udpHeader  // what every host takes (RFC 2131 section 2)
	maxSize4    = 1500 - ipHeader - udpHeader // one Ethernet frame: firmware puts no fragments together
	cookie      = "\x63\x82\x53\x63"          // RFC 2131 section 3
	snameLength = 64 - 1                      // without its NUL
	fileLength  = 128 - 1                     // without its NUL
	end         = byte(255)                   // the option that ends the options
	agent       = uint8(82)                   // the relay agent's, which comes last (RFC 3046 section 2.1)
)

// limit4 is the largest reply that the client takes: what it says in option 57, if that is believable. An old BOOTP
// client takes what it sent itself (RFC 1542 section 2.1).
func limit4(req *dhcpv4.DHCPv4, kind Messages, requestSize int) int {
	if kind&BOOTP != 0 {
		return min(max(minSize4, requestSize), plainSize4)
	}
	v := req.Options[dhcpv4.OptionMaximumDHCPMessageSize.Code()]
	if len(v) != 2 {
		return plainSize4
	}
	said := int(binary.BigEndian.Uint16(v)) - ipHeader - udpHeader
	if said < plainSize4 {
		return plainSize4 // RFC 2132 section 9.10: less is not legal
	}
	return min(said, maxSize4)
}

// encoder4 writes replies. Its memory is used again; it is one worker's.
type encoder4 struct {
	options []option4
	at      [256]uint8 // where in options a code is, for those that are there
	dropped []uint8
}

// option4 is one option of a reply: who has it need not ask the map again.
type option4 struct {
	code  uint8
	value []byte
}

// append appends resp in at most limit bytes to dst. What does not fit is left out and returned: first what the client
// did not ask for, then what it asked for last (RFC 2132 section 9.8: its list is in order of preference), boot fields
// last of all. It fails if what must be there does not fit. The client's hardware address is written in all its 16
// bytes, as it came.
func (e *encoder4) append(dst []byte, req, resp *dhcpv4.DHCPv4, limit int) (out []byte, dropped []uint8, ok bool) {
	e.options, e.dropped = e.options[:0], e.dropped[:0]
	size := header4 + 1
	for code, value := range resp.Options {
		if code != 0 && code != end {
			e.options = append(e.options, option4{code, value})
			size += encodedSize(value)
		}
	}
	if size > limit {
		size = e.squeeze(req, size, limit)
	}
	if size > limit {
		return dst, e.dropped, false
	}
	start := len(dst)
	dst = append(e.appendOptions(appendHeader4(dst, req, resp)), end)
	if missing := minSize4 - (len(dst) - start); missing > 0 {
		dst = append(dst, make([]byte, missing)...)
	}
	return dst, e.dropped, true
}

// appendOptions appends the options in the order of their codes, with the relay agent's behind them. It sorts by a table:
// the codes are few.
func (e *encoder4) appendOptions(dst []byte) []byte {
	var there codes
	for i := range e.options {
		e.at[e.options[i].code] = uint8(i)
		there.add(e.options[i].code)
	}
	last := there.remove(agent)
	for word, left := range there {
		for ; left != 0; left &= left - 1 {
			o := &e.options[e.at[word<<6|bits.TrailingZeros64(left)]]
			dst = appendOption4(dst, o.code, o.value)
		}
	}
	if last {
		dst = appendOption4(dst, agent, e.options[e.at[agent]].value)
	}
	return dst
}

// squeeze takes options out until the rest fits, as far as it may, and returns the size of the rest.
func (e *encoder4) squeeze(req *dhcpv4.DHCPv4, size, limit int) int {
	wanted := req.Options[dhcpv4.OptionParameterRequestList.Code()]
	slices.SortFunc(e.options, func(a, b option4) int {
		return cmp.Or(dispensable(a.code, wanted)-dispensable(b.code, wanted), int(a.code)-int(b.code))
	})
	for size > limit && len(e.options) > 0 {
		last := e.options[len(e.options)-1]
		if dispensable(last.code, wanted) == needed {
			break
		}
		e.options = e.options[:len(e.options)-1]
		e.dropped = append(e.dropped, last.code)
		size -= encodedSize(last.value)
	}
	return size
}

// How dispensable an option is.
const (
	needed      = 0 // the reply means nothing without it
	forBoot     = 1
	requested   = 2   // and more, the later in the client's list
	unrequested = 300 // after those that the client asked for
)

func dispensable(code uint8, wanted []byte) int {
	switch code {
	case 1, 3, 51, 53, 54, 61, agent: // mask, router, lease time, type, server, echoes
		return needed
	case 43, 60, 66, 67, 97, 175:
		return forBoot
	}
	if at := slices.Index(wanted, code); at >= 0 {
		return requested + at
	}
	return unrequested
}

// encodedSize is that of an option in pieces of 255 bytes (RFC 3396).
func encodedSize(value []byte) int { return len(value) + 2*max(1, (len(value)+254)/255) }

func appendHeader4(dst []byte, req, resp *dhcpv4.DHCPv4) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, header4)...)
	h := dst[at:]
	h[0], h[1], h[2], h[3] = byte(resp.OpCode), byte(resp.HWType), byte(len(resp.ClientHWAddr)), resp.HopCount
	copy(h[4:], resp.TransactionID[:])
	binary.BigEndian.PutUint16(h[8:], resp.NumSeconds)
	binary.BigEndian.PutUint16(h[10:], resp.Flags)
	for i, ip := range [...]net.IP{resp.ClientIPAddr, resp.YourIPAddr, resp.ServerIPAddr, resp.GatewayIPAddr} {
		copy(h[12+4*i:], ip.To4())
	}
	address := resp.ClientHWAddr
	if len(address) > 0 && len(req.ClientHWAddr) == len(address) && &req.ClientHWAddr[0] == &address[0] {
		address = address[:min(16, cap(address))] // decode4 read all 16 bytes, and shows those that count
	}
	copy(h[28:44], address)
	copy(h[44:44+snameLength], resp.ServerHostName)
	copy(h[108:108+fileLength], resp.BootFileName)
	copy(h[236:], cookie)
	return dst
}

func appendOption4(dst []byte, code uint8, value []byte) []byte {
	for {
		n := min(len(value), 255)
		dst = append(append(dst, code, byte(n)), value[:n]...)
		if value = value[n:]; len(value) == 0 {
			return dst
		}
	}
}
