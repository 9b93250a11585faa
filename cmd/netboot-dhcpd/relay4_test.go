package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// patience is how long an answer is waited for. It never comes where the test ends the waiting by closing the socket.
const patience = 30 * time.Second

// server4 is where the daemon is.
var server4 = net.IPv4(10, 0, 0, 1)

// relay4 is one that machines ask by DHCPv4 through.
type relay4 struct {
	relay
	space *nettest.Space
	wait  time.Duration
	more  []dhcpv4.Modifier // for each message
}

func newRelay4(space *nettest.Space, n int) *relay4 {
	return &relay4{relay: relay{addr: net.IPv4(10, 0, 0, byte(10+n))}, space: space, wait: patience}
}

func (r *relay4) open() error {
	return r.space.Do(func() (err error) {
		r.conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: r.addr, Port: 67}, &net.UDPAddr{IP: server4, Port: 67})
		return err
	})
}

func (r *relay4) close() { r.conn.Close() }

func (r *relay4) waits(d time.Duration) { r.wait = d }

// send sends a machine's message, and tells its transaction.
func (r *relay4) send(m *machine, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) (dhcpv4.TransactionID, error) {
	req, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(m.mac), dhcpv4.WithRelay(r.addr), dhcpv4.WithOption(dhcpv4.OptHostName(m.name())),
	}, append(more, r.more...)...)...)
	if err != nil {
		return dhcpv4.TransactionID{}, err
	}
	_, err = r.conn.Write(req.ToBytes())
	return req.TransactionID, err
}

// exchange is send and the answer.
func (r *relay4) exchange(m *machine, kind, want dhcpv4.MessageType, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	id, err := r.send(m, kind, more...)
	if err == nil {
		err = r.conn.SetReadDeadline(time.Now().Add(r.wait))
	}
	for b := make([]byte, 2000); err == nil; {
		var n int
		if n, err = r.conn.Read(b); err != nil {
			break
		}
		resp, unreadable := dhcpv4.FromBytes(b[:n])
		switch {
		case unreadable != nil || resp.TransactionID != id:
		case resp.MessageType() != want:
			return nil, fmt.Errorf("%s is answered with %s", kind, resp.MessageType())
		default:
			return resp, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", kind, err)
}

func (r *relay4) discovers(m *machine, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	return r.exchange(m, dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeOffer, more...)
}

func (r *relay4) takes(m *machine) ([]promise, error) {
	offer, err := r.discovers(m)
	if err != nil {
		return nil, err
	}
	return r.requests(m, offer.YourIPAddr, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server4)))
}

func (r *relay4) renews(m *machine) ([]promise, error) {
	ip := m.has[0].unit.Addr().AsSlice()
	return r.requests(m, ip, dhcpv4.WithClientIP(ip))
}

func (r *relay4) requests(m *machine, ip net.IP, more ...dhcpv4.Modifier) ([]promise, error) {
	sent := time.Now()
	ack, err := r.exchange(m, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeAck, more...)
	switch {
	case err != nil:
		return nil, err
	case !ack.YourIPAddr.Equal(ip):
		return nil, fmt.Errorf("asks for %s and gets %s", ip, ack.YourIPAddr)
	}
	return []promise{{unit4(ack.YourIPAddr), sent.Add(ack.IPAddressLeaseTime(0)), m.names}}, nil
}

// gives is not answered.
func (r *relay4) gives(m *machine, had []promise, declines bool) error {
	ip := had[0].unit.Addr().AsSlice()
	kind, of := dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(ip)
	if declines {
		kind, of = dhcpv4.MessageTypeDecline, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip))
	}
	_, err := r.send(m, kind, of, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server4)))
	return err
}

func (r *relay4) offered(m *machine) ([]netip.Prefix, error) {
	offer, err := r.discovers(m)
	if err != nil {
		return nil, err
	}
	return []netip.Prefix{unit4(offer.YourIPAddr)}, nil
}

func unit4(ip net.IP) netip.Prefix {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok {
		panic(errors.New("no address"))
	}
	return netip.PrefixFrom(a, 32)
}
