package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stack is the network stack that files are fetched by: the host's own, or that of a namespace in which the machine has
// its address.
type stack struct {
	do    func(func() error) error // runs a function where sockets belong to the stack
	local netip.Addr               // to send from
	dns   []netip.Addr             // as the machine was told
}

// errNoAddress is a network that the host cannot fetch from.
var errNoAddress = errors.New("no address there")

// stack is how to fetch as who got this reply: from the host's own address on the same network, or as the machine.
func (m *Machine) stack(ack *Offer) (*stack, error) {
	if m.AsMachine {
		return m.machineStack(ack)
	}
	own, err := m.link.Addresses()
	if err != nil {
		return nil, err
	}
	net := netip.PrefixFrom(ack.Address, ack.Bits)
	i := slices.IndexFunc(own, func(p netip.Prefix) bool {
		return p.Addr().Is4() == ack.Address.Is4() && (p.Contains(ack.Address) || net.Contains(p.Addr()) || ack.Address.Is6() && p.Addr().IsGlobalUnicast())
	})
	if i < 0 {
		return nil, fmt.Errorf("%s has no address in %s, so this host cannot fetch the file: %w; add --as-machine to fetch with the machine's own address, or give %s an address",
			m.link.Interface.Name, net.Masked(), errNoAddress, m.link.Interface.Name)
	}
	return &stack{do: func(fn func() error) error { return fn() }, local: own[i].Addr(), dns: ack.DNS}, nil
}

// listenUDP opens a socket to ask a server from.
func (s *stack) listenUDP(ctx context.Context, server netip.Addr) (conn *net.UDPConn, err error) {
	network, local := "udp4", ""
	if server.Is6() {
		network = "udp6"
	}
	if s.local.IsValid() && s.local.Is4() == server.Is4() && !server.IsLinkLocalUnicast() {
		local = s.local.String()
	}
	l := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error { return tellRefusals(network, c) }}
	err = s.do(func() error {
		p, err := l.ListenPacket(ctx, network, net.JoinHostPort(local, "0"))
		if err == nil {
			conn = p.(*net.UDPConn)
		}
		return err
	})
	return conn, err
}

// dial connects by TCP, or by UDP for DNS. A host's name is asked from the servers that the machine was told, as it
// would.
func (s *stack) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		if ip, err = s.lookup(ctx, host); err != nil {
			return nil, err
		}
	}
	d := net.Dialer{Timeout: dialTimeout, FallbackDelay: -1} // one after another: a goroutine would be outside the namespace
	if s.local.IsValid() && s.local.Is4() == ip.Is4() && !ip.IsLinkLocalUnicast() {
		switch {
		case strings.HasPrefix(network, "udp"):
			d.LocalAddr = &net.UDPAddr{IP: s.local.AsSlice()}
		default:
			d.LocalAddr = &net.TCPAddr{IP: s.local.AsSlice()}
		}
	}
	err = s.do(func() (err error) {
		conn, err = d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		return err
	})
	return conn, err
}

// dialTimeout is EDK2's for a step of HTTP.
const dialTimeout = 5 * time.Second

func (s *stack) lookup(ctx context.Context, host string) (netip.Addr, error) {
	if len(s.dns) == 0 {
		return netip.Addr{}, stop("no-dns", "send option 6 with the URL, or a numeric address in it", "the URL names the host %q, and the machine was told no DNS server (option 6)", host)
	}
	server := netip.AddrPortFrom(s.dns[0], 53).String()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) { return s.dial(ctx, network, server) }}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	found, err := r.LookupNetIP(ctx, "ip", host+".")
	if err != nil || len(found) == 0 {
		return netip.Addr{}, stop("dns-failed", "add the name to the DNS server that DHCP names, or give the address in the URL", "the DNS server %s does not know the host %q", s.dns[0], host)
	}
	if i := slices.IndexFunc(found, func(a netip.Addr) bool { return !s.local.IsValid() || a.Unmap().Is4() == s.local.Is4() }); i >= 0 {
		return found[i].Unmap(), nil
	}
	return found[0].Unmap(), nil
}
