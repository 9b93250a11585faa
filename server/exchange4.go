package server

import (
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/server/request"
)

// exchange4 is the memory of one request and its reply. Its zero value is ready. It may be used for the next request only
// if nobody has kept anything of the last one.
type exchange4 struct {
	req, resp   dhcpv4.DHCPv4
	asked, told dhcpv4.Options // theirs, whatever plugins made of them
	bytes       []byte         // of the request
	kind        [1]byte        // of the reply
	known       request.Request
}

// What messages have at most, unless somebody tries what happens. More memory than for that is not kept.
const (
	usualTold    = 14
	mostOptions4 = 32
)

// emptied is m without options, or a new map with room for count.
func emptied(m dhcpv4.Options, count int) dhcpv4.Options {
	if m == nil {
		return make(dhcpv4.Options, count)
	}
	clear(m)
	return m
}

// small tells memory that is worth keeping.
func (x *exchange4) small() bool {
	return len(x.asked) <= mostOptions4 && len(x.told) <= mostOptions4 && cap(x.bytes) <= 2*maxSize4
}

// forgetful are the plugins that keep nothing of a packet once they have returned it, from their sources: what they store
// or log of it is copied, and what they give to other goroutines is copied or held for (request.Hold). A chain of them
// alone lets the engine use a packet's memory again.
func forgetful() map[string]bool {
	known := map[string]bool{"boot": true, "subnets": true}
	for _, p := range Stock() {
		known[p.Name] = true
	}
	return known
}
