package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/server/request"
)

// interfaces are those of this host, as the kernel tells of them.
type interfaces struct {
	now    atomic.Pointer[snapshot]
	events *nl.NetlinkSocket
	log    *logrus.Entry
}

// snapshot is how the interfaces were at one moment. It does not change.
type snapshot struct {
	byIndex map[int]request.Interface
	byName  map[string]int
	ours    map[netip.Addr]bool // every address of this host
	// everybody are the IPv4 addresses by which all hosts of one of our links are reached.
	everybody map[netip.Addr]bool
	// multicast are the interfaces that can, by name.
	multicast map[string]bool
	next      chan struct{} // closed when a later snapshot is in place
}

// newInterfaces reads them once; follow keeps them current.
func newInterfaces(log *logrus.Entry) (*interfaces, error) {
	events, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("changes of this host's interfaces cannot be followed: %w", err)
	}
	s, err := takeSnapshot()
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("the interfaces of this host cannot be listed: %w", err)
	}
	i := &interfaces{events: events, log: log}
	i.now.Store(s)
	return i, nil
}

// listTries bounds the lists that the kernel is asked for while it changes them.
const listTries = 10

// whole asks for a list again that was interrupted by a change. The last try is taken as it is, since each change has an
// event of its own, after which all is listed again.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range listTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}

func takeSnapshot() (*snapshot, error) {
	s := &snapshot{
		byIndex: map[int]request.Interface{}, byName: map[string]int{}, ours: map[netip.Addr]bool{}, everybody: map[netip.Addr]bool{},
		multicast: map[string]bool{}, next: make(chan struct{}),
	}
	links, err := whole(netlink.LinkList)
	if err != nil {
		return nil, err
	}
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		a := l.Attrs()
		s.byName[a.Name] = a.Index
		s.multicast[a.Name] = a.Flags&net.FlagMulticast != 0
		s.byIndex[a.Index] = request.Interface{Index: a.Index, Name: a.Name}
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		ifi, known := s.byIndex[a.LinkIndex]
		if !ok || !known {
			continue // an address of an interface that came between the two lists: its own event follows
		}
		ip = ip.Unmap()
		bits, _ := a.Mask.Size()
		ifi.Addresses = append(ifi.Addresses, netip.PrefixFrom(ip, bits))
		s.byIndex[a.LinkIndex] = ifi
		s.ours[ip] = true
		if ip.Is4() && bits > 0 && bits < 31 {
			link := netip.PrefixFrom(ip, bits).Masked()
			s.everybody[lastOf(link)] = true
			s.everybody[link.Addr()] = true // older hosts take that so (RFC 1122 section 3.3.6)
		}
	}
	return s, nil
}

// HostInterface is this host's interface of that name, as requests tell of it; one of no index: there is none.
func HostInterface(name string) (request.Interface, error) {
	s, err := takeSnapshot()
	if err != nil {
		return request.Interface{}, fmt.Errorf("the interfaces of this host cannot be listed: %w", err)
	}
	return s.byIndex[s.byName[name]], nil
}

// reflects tells a request whose reply would go to all hosts of a link, at a port that the sender chooses: no relay and no
// client has such an address.
func (s *snapshot) reflects(req *dhcpv4.DHCPv4) bool {
	return s.everybody[addr4(req.GatewayIPAddr)] || s.everybody[addr4(req.ClientIPAddr)]
}

// follow takes a new snapshot after each change, until ctx ends. Changes that come together make one.
func (i *interfaces) follow(ctx context.Context) {
	changed := make(chan struct{}, 1)
	heard := make(chan struct{})
	go func() { // ends when the socket is closed
		defer close(heard)
		i.hear(ctx, changed)
	}()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-changed:
		}
		s, err := takeSnapshot()
		if err != nil {
			i.log.WithField("because", err.Error()).Warn("the interfaces cannot be listed; what was known of them is used on")
			continue
		}
		old := i.now.Swap(s)
		close(old.next)
	}
	i.events.Close()
	<-heard
}

// hear tells of each change by changed, which holds one.
func (i *interfaces) hear(ctx context.Context, changed chan<- struct{}) {
	for ctx.Err() == nil {
		// What a message says does not matter. After an overrun of the kernel's queue anything may have changed.
		_, _, err := i.events.Receive()
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			i.missed(ctx, err)
		}
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	}
}

// missed waits a while after an error that may last: until it is over the interfaces are looked at once in a while.
func (i *interfaces) missed(ctx context.Context, err error) {
	rest := time.NewTimer(retry)
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return
	case <-rest.C:
	}
	i.log.WithField("because", err.Error()).Warn("changes of the interfaces are not told; they are looked at once a second")
}
