package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

func TestBesideAnotherServerWhatIsForwardedIsNotOurs(t *testing.T) {
	silent := plugin("silent", func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) { return resp, false })
	for to, heard := range map[string]bool{
		"10.0.0.1": true, "255.255.255.255": true, "10.0.0.255": true, // eth0 is 10.0.0.1/24
		"10.5.0.1": false, // a server that this host is the router of
		"10.0.0.7": false,
	} {
		o := open(t, Options{Workers: 1}, nil, silent)
		s := &linkSource{addr: netip.IPv4Unspecified()}
		packet := appendDatagram(nil, relay, netip.AddrPortFrom(netip.MustParseAddr(to), serverPort4), message(t, dhcpv4.MessageTypeDiscover, 1))
		s.hand(o.Engine, o.four, packet, eth0.Index, unix.PACKET_HOST, time.Now())
		if got := o.queues[0].size == 1; got != heard {
			t.Errorf("to %s: heard %v", to, got)
		}
	}
}
