package server_test

import (
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Who forges an address sends the link, at a port that he chooses, what it did not ask for.
func TestNoReplyGoesToTheBroadcastAddressOfALink(t *testing.T) {
	s := newSite(t)
	s.starts(config4(`"%srv0"`))
	card := newStation(t, s.client, "eth0")
	port := dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, []byte{19, 0})
	for _, last := range []byte{0, 255} {
		link := net.IPv4(10, 0, 0, last)
		for _, forged := range []*dhcpv4.DHCPv4{
			discover(t, machine, dhcpv4.WithGatewayIP(link), port), discover(t, machine, dhcpv4.WithClientIP(link)),
		} {
			witness := newStation(t, s.client, "eth0") // since a station passes over what it does not wait for
			card.say("10.0.0.100:5353", "10.0.0.1:67", forged)
			card.insists("0.0.0.0:68", "255.255.255.255:67", discover(t, machine)) // after which the other would have come
			if h, ok := witness.hears(forged.TransactionID, time.Millisecond); ok {
				t.Errorf("%s", h.way)
			}
		}
	}
}
