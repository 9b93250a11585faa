package server

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/server/request"
)

// The rows of RFC 2131 section 4.1, of RFC 8357, and of PXE's port 4011.
func TestWhereAReplyGoesAndFromWhichAddress(t *testing.T) {
	const (
		to67   = "255.255.255.255:67"
		us     = "10.0.0.1"
		second = "10.0.0.2" // ours too
	)
	for _, c := range []struct {
		name                   string
		giaddr, ciaddr, yiaddr string
		flags                  uint16
		hlen                   int
		nak                    bool
		agent                  []byte
		id, siaddr             string
		peer, local            string
		to, from               string // from "": the kernel chooses
		framed, onLink, flag   bool
	}{
		{name: "a new client without the flag", yiaddr: "10.0.0.100", id: us, local: to67,
			to: "10.0.0.100:68", from: us, framed: true, onLink: true},
		{name: "a next-server elsewhere is not our source", yiaddr: "10.0.0.100", id: us, siaddr: "10.0.0.77", local: to67,
			to: "10.0.0.100:68", from: us, framed: true, onLink: true},
		{name: "a server identifier that is not this host's is not our source", yiaddr: "10.0.0.100", id: "10.0.0.77", local: to67,
			to: "10.0.0.100:68", from: us, framed: true, onLink: true},
		{name: "a server identifier that is our second address is", yiaddr: "10.0.0.100", id: second, local: to67,
			to: "10.0.0.100:68", from: second, framed: true, onLink: true},
		{name: "the broadcast flag", yiaddr: "10.0.0.100", flags: 0x8000, id: us, local: to67,
			to: "255.255.255.255:68", from: us, onLink: true, flag: true},
		{name: "no address to send to, as from a proxy", id: us, local: to67, to: "255.255.255.255:68", from: us, onLink: true},
		{name: "no Ethernet", yiaddr: "10.0.0.100", hlen: 8, id: us, local: to67, to: "255.255.255.255:68", from: us, onLink: true},
		{name: "a NAK", yiaddr: "0.0.0.0", ciaddr: "10.0.0.100", nak: true, id: us, local: to67,
			to: "255.255.255.255:68", from: us, onLink: true},
		{name: "a renewal", ciaddr: "10.0.0.100", yiaddr: "10.0.0.100", id: us, peer: "10.0.0.100:68", local: "10.0.0.1:67",
			to: "10.0.0.100:68", from: us},
		{name: "a renewal from an odd port", ciaddr: "10.0.0.100", id: us, peer: "10.0.0.100:1068", local: "10.0.0.1:67",
			to: "10.0.0.100:1068", from: us},
		{name: "EDK2's second request", ciaddr: "10.0.0.150", id: us, peer: "10.0.0.150:4011", local: "10.0.0.1:4011",
			to: "10.0.0.150:4011", from: us},
		{name: "a boot server request without ciaddr", id: us, peer: "10.0.0.150:4011", local: "10.0.0.1:4011",
			to: "10.0.0.150:4011", from: us},
		{name: "a relay", giaddr: "10.9.0.1", yiaddr: "10.9.0.100", id: us, peer: "10.8.0.1:67", local: "10.0.0.1:67",
			to: "10.9.0.1:67", from: us},
		{name: "a relay that asked our second address", giaddr: "10.9.0.1", yiaddr: "10.9.0.100", id: us, peer: "10.8.0.1:67", local: "10.0.0.2:67",
			to: "10.9.0.1:67", from: second},
		{name: "a relay whose broadcast we heard", giaddr: "10.9.0.1", id: "10.0.0.77", peer: "10.9.0.1:67", local: to67,
			to: "10.9.0.1:67"},
		{name: "a relay that sends from another port and does not say so", giaddr: "10.9.0.1", id: us, peer: "10.8.0.1:1067", local: "10.0.0.1:67",
			to: "10.9.0.1:67", from: us},
		{name: "a relay that wants replies at its source port", giaddr: "10.9.0.1", agent: []byte{1, 2, 'e', '0', 19, 0}, id: us,
			peer: "10.8.0.1:1067", local: "10.0.0.1:67", to: "10.9.0.1:1067", from: us},
		{name: "a relay on this host that wants replies at its source port", giaddr: second, agent: []byte{19, 0}, id: us,
			peer: "10.0.0.2:1067", local: "10.0.0.1:67", to: "10.0.0.2:1067", from: us},
		{name: "a stranger who wants us to talk to a service of this host", giaddr: us, agent: []byte{19, 0}, id: us,
			peer: "10.8.0.1:53", local: "10.0.0.1:67", to: "10.0.0.1:67", from: us},
		{name: "a NAK through a relay", giaddr: "10.9.0.1", ciaddr: "10.0.0.100", nak: true, id: us, peer: "10.9.0.1:67", local: "10.0.0.1:67",
			to: "10.9.0.1:67", from: us, flag: true},
		{name: "a link-local client", ciaddr: "169.254.1.2", id: us, peer: "169.254.1.2:68", local: "10.0.0.1:67",
			to: "169.254.1.2:68", from: us, onLink: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.hlen == 0 {
				c.hlen = 6
			}
			if c.peer == "" {
				c.peer = "0.0.0.0:68"
			}
			req := &dhcpv4.DHCPv4{
				HWType: 1, ClientHWAddr: make([]byte, c.hlen), Flags: c.flags, GatewayIPAddr: net.ParseIP(c.giaddr),
				ClientIPAddr: net.ParseIP(c.ciaddr), Options: dhcpv4.Options{},
			}
			if c.agent != nil {
				req.Options[82] = c.agent
			}
			resp := &dhcpv4.DHCPv4{
				YourIPAddr: net.ParseIP(c.yiaddr), ServerIPAddr: net.ParseIP(c.siaddr), Flags: c.flags,
				Options: dhcpv4.OptionsFromList(dhcpv4.OptServerIdentifier(net.ParseIP(c.id))),
			}
			if c.nak {
				resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
			}
			facts := request.Facts{Interface: eth0, Peer: netip.MustParseAddrPort(c.peer), Local: netip.MustParseAddrPort(c.local)}
			ours := map[netip.Addr]bool{netip.MustParseAddr(us): true, netip.MustParseAddr(second): true}
			r := route4(req, resp, &facts, ours)
			from := ""
			if r.from.IsValid() {
				from = r.from.String()
			}
			if r.to.String() != c.to || from != c.from || r.framed != c.framed || (r.link == 7) != c.onLink || resp.IsBroadcast() != c.flag {
				t.Errorf("to %s from %q, framed %v, link %d, flag %v", r.to, from, r.framed, r.link, resp.IsBroadcast())
			}
		})
	}
}

func TestAPluginSendsAReplyItsOwnWay(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	usual := route{to: netip.MustParseAddrPort("10.9.0.1:67"), from: netip.MustParseAddr("10.0.0.1")}
	for name, c := range map[string]struct {
		want request.Delivery
		to   string
		link int
		mac  bool
	}{
		"nothing special":        {request.Delivery{}, "10.9.0.1:67", 0, false},
		"to the client":          {request.Delivery{To: netip.MustParseAddrPort("10.0.0.9:68")}, "10.0.0.9:68", 0, false},
		"a broadcast":            {request.Delivery{To: broadcast4}, "255.255.255.255:68", 7, false},
		"a broadcast to one MAC": {request.Delivery{To: broadcast4, MAC: mac}, "255.255.255.255:68", 7, true},
	} {
		r := usual.override(c.want, 7)
		if r.to.String() != c.to || r.link != c.link || r.framed != c.mac {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestChecksumsOfAFrameAreThoseOfRFC1071(t *testing.T) {
	from, to := netip.MustParseAddrPort("10.0.0.1:67"), netip.MustParseAddrPort("10.0.0.100:68")
	for size := range 64 {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(i*37 + size)
		}
		packet := appendDatagram(nil, from, to, payload)
		// By the book, a word at a time.
		plain := func(b []byte, acc uint32) uint32 {
			for i, v := range b {
				acc += uint32(v) << (8 * (1 - i%2))
			}
			for acc > 0xffff {
				acc = acc>>16 + acc&0xffff
			}
			return acc
		}
		if got := plain(packet[:20], 0); got != 0xffff {
			t.Fatalf("%d bytes: the header sums to %#x", size, got)
		}
		pseudo := append(append([]byte{}, packet[12:20]...), 0, 17, packet[24], packet[25])
		if got := plain(packet[20:], plain(pseudo, 0)); got != 0xffff {
			t.Fatalf("%d bytes: the datagram sums to %#x", size, got)
		}
		f, g, back, ok := datagram(packet)
		if !ok || f != from || g != to || string(back) != string(payload) || int(binary.BigEndian.Uint16(packet[2:])) != len(packet) {
			t.Fatalf("%d bytes: %v %v %v %v", size, f, g, back, ok)
		}
	}
}
