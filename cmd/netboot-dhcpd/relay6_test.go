package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// server6 is where the daemon is, and server6ID its DUID.
var (
	server6   = net.ParseIP("2001:db8:1::1")
	server6ID = &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}}
)

// relay6 is one that routers ask by DHCPv6 through: each for an address and a prefix.
type relay6 struct {
	addr  net.IP
	space *nettest.Space
	conn  *net.UDPConn
	wait  time.Duration
}

func newRelay6(space *nettest.Space, n int) *relay6 {
	return &relay6{addr: net.ParseIP(fmt.Sprintf("2001:db8:1::%x", 10+n)), space: space, wait: patience}
}

func (r *relay6) open() error {
	return r.space.Do(func() (err error) {
		r.conn, err = net.DialUDP("udp6", &net.UDPAddr{IP: r.addr, Port: 547}, &net.UDPAddr{IP: server6, Port: 547})
		return err
	})
}

func (r *relay6) close() { r.conn.Close() }

func (r *relay6) waits(d time.Duration) { r.wait = d }

// exchange sends a machine's message, with what it has or is offered, and waits for the answer.
func (r *relay6) exchange(m *machine, kind, want dhcpv6.MessageType, units []netip.Prefix, more ...dhcpv6.Modifier) (*dhcpv6.Message, error) {
	req, err := dhcpv6.NewMessage(append([]dhcpv6.Modifier{
		dhcpv6.WithClientID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: m.mac}), dhcpv6.WithFQDN(0, m.name()),
		dhcpv6.WithOption(associationOf(units)), dhcpv6.WithOption(delegationOf(units)),
	}, more...)...)
	if err != nil {
		return nil, err
	}
	req.MessageType = kind
	out := &dhcpv6.RelayMessage{MessageType: dhcpv6.MessageTypeRelayForward, LinkAddr: r.addr, PeerAddr: net.ParseIP("fe80::99")}
	out.AddOption(dhcpv6.OptRelayMessage(req))
	if _, err = r.conn.Write(out.ToBytes()); err == nil {
		err = r.conn.SetReadDeadline(time.Now().Add(r.wait))
	}
	for b := make([]byte, 2000); err == nil; {
		var n int
		if n, err = r.conn.Read(b); err != nil {
			break
		}
		resp, unreadable := dhcpv6.FromBytes(b[:n])
		if unreadable != nil {
			continue
		}
		switch inner, none := resp.GetInnerMessage(); {
		case none != nil || inner.TransactionID != req.TransactionID:
		case inner.MessageType != want:
			return nil, fmt.Errorf("%s is answered with %s", kind, inner.MessageType)
		default:
			return inner, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", kind, err)
}

// associationOf and delegationOf are the two associations of a machine, with the address and the prefix of units, if there are any.
func associationOf(units []netip.Prefix) *dhcpv6.OptIANA {
	ia := &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}}
	if len(units) > 0 {
		ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: units[0].Addr().AsSlice()})
	}
	return ia
}

func delegationOf(units []netip.Prefix) *dhcpv6.OptIAPD {
	ia := &dhcpv6.OptIAPD{IaId: [4]byte{0, 0, 0, 1}}
	if len(units) > 1 {
		ia.Options.Add(&dhcpv6.OptIAPrefix{Prefix: &net.IPNet{IP: units[1].Addr().AsSlice(), Mask: net.CIDRMask(units[1].Bits(), 128)}})
	}
	return ia
}

var errNotBoth = errors.New("does not get an address and a prefix")

// promised is what an answer promises to a machine that asked at an instant. A unit without a time to live comes to its end.
func promised(m *machine, answer *dhcpv6.Message, sent time.Time) ([]promise, error) {
	var all []promise
	if ia := answer.Options.OneIANA(); ia != nil {
		for _, a := range ia.Options.Addresses() {
			if ip, ok := netip.AddrFromSlice(a.IPv6Addr); ok && a.ValidLifetime > 0 {
				all = append(all, promise{netip.PrefixFrom(ip, 128), sent.Add(a.ValidLifetime), m.names})
			}
		}
	}
	if len(all) != 1 {
		return nil, errNotBoth
	}
	if ia := answer.Options.OneIAPD(); ia != nil {
		for _, p := range ia.Options.Prefixes() {
			bits, _ := p.Prefix.Mask.Size()
			if ip, ok := netip.AddrFromSlice(p.Prefix.IP); ok && p.ValidLifetime > 0 {
				all = append(all, promise{netip.PrefixFrom(ip, bits), sent.Add(p.ValidLifetime), m.names})
			}
		}
	}
	if len(all) != 2 {
		return nil, errNotBoth
	}
	return all, nil
}

func unitsOf(all []promise) (units []netip.Prefix) {
	for _, p := range all {
		units = append(units, p.unit)
	}
	return units
}

func (r *relay6) offered(m *machine) ([]netip.Prefix, error) {
	answer, err := r.exchange(m, dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeAdvertise, nil)
	if err != nil {
		return nil, err
	}
	all, err := promised(m, answer, time.Now())
	return unitsOf(all), err
}

func (r *relay6) takes(m *machine) ([]promise, error) {
	units, err := r.offered(m)
	if err != nil {
		return nil, err
	}
	return r.asks(m, dhcpv6.MessageTypeRequest, units)
}

func (r *relay6) renews(m *machine) ([]promise, error) {
	return r.asks(m, dhcpv6.MessageTypeRenew, unitsOf(m.has))
}

func (r *relay6) asks(m *machine, kind dhcpv6.MessageType, units []netip.Prefix) ([]promise, error) {
	sent := time.Now()
	answer, err := r.exchange(m, kind, dhcpv6.MessageTypeReply, units, dhcpv6.WithServerID(server6ID))
	if err != nil {
		return nil, err
	}
	return promised(m, answer, sent)
}

// gives is answered. A prefix cannot be declined, so the router keeps it for itself.
func (r *relay6) gives(m *machine, had []promise, declines bool) error {
	kind, units := dhcpv6.MessageTypeRelease, unitsOf(had)
	if declines {
		kind, units = dhcpv6.MessageTypeDecline, units[:1]
	}
	_, err := r.exchange(m, kind, dhcpv6.MessageTypeReply, units, dhcpv6.WithServerID(server6ID))
	return err
}
