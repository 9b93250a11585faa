package server

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// yard is a server with two ways out: a card that has the kernel cut bundles up, and a virtual one that does not.
type yard struct {
	server, card, virtual *nettest.Space
	paths                 *paths
	interfaces            *interfaces
}

func newYard(t *testing.T) *yard {
	t.Helper()
	n := nettest.New(t)
	y := new(yard)
	for name, s := range map[string]**nettest.Space{"server": &y.server, "card": &y.card, "virtual": &y.virtual} {
		var err error
		*s, err = n.Space(name)
		check(t, err)
	}
	check(t, y.server.Veth("card", y.card, "eth0"))
	check(t, y.server.IP("link", "add", "virtual", "type", "veth", "peer", "name", "eth0", "netns", y.virtual.Name()))
	check(t, y.server.IP("link", "set", "virtual", "up"))
	check(t, y.virtual.IP("link", "set", "eth0", "up"))
	for name, space := range map[string]*nettest.Space{"card": y.card, "virtual": y.virtual} {
		net := map[string]string{"card": "192.0.2.", "virtual": "198.51.100."}[name]
		check(t, y.server.Address(name, netip.MustParsePrefix(net+"1/24")))
		check(t, space.Address("eth0", netip.MustParsePrefix(net+"2/24")))
	}
	check(t, y.server.Address("card", netip.MustParsePrefix("2001:db8::1/64")))
	check(t, y.server.Do(func() (err error) {
		y.paths, err = openPaths()
		return err
	}))
	y.interfaces = new(interfaces)
	y.interfaces.now.Store(&snapshot{next: make(chan struct{})})
	ctx, stop := context.WithCancel(context.Background())
	var answering sync.WaitGroup
	answering.Add(1)
	go func() { // ends with ctx
		defer answering.Done()
		y.paths.answer(ctx, y.interfaces)
	}()
	t.Cleanup(func() {
		stop()
		answering.Wait()
		y.paths.close()
	})
	return y
}

// becomes waits until the paths say of one of them what is wanted.
func (y *yard) becomes(t *testing.T, on path, cut bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		got := y.paths.cut(on)
		known := y.paths.known.Load()
		if known != nil {
			if _, told := (*known)[on]; told && got == cut {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("bundles to %s are cut: %v", on.to, got)
		}
	}
}

func TestBundlesAreOnlyForPathsWhereTheKernelCutsThem(t *testing.T) {
	y := newYard(t)
	index := func(name string) (i int) {
		check(t, y.server.Do(func() error {
			ifi, err := net.InterfaceByName(name)
			i = ifi.Index
			return err
		}))
		return i
	}
	for _, c := range []struct {
		to, from string
		link     string
		cut      bool
	}{
		{to: "192.0.2.2", cut: true},
		{to: "192.0.2.2", from: "192.0.2.1", cut: true},
		{to: "2001:db8::2", from: "2001:db8::1", cut: true},
		{to: "198.51.100.2", from: "198.51.100.1"},
		{to: "192.0.2.1"},                      // this host: by loopback
		{to: "203.0.113.1"},                    // no route
		{to: "192.0.2.2", link: "virtual"},     // sent out by another interface
		{to: "198.51.100.2", from: "10.0.0.1"}, // not ours
	} {
		on := path{to: netip.MustParseAddr(c.to)}
		if c.from != "" {
			on.from = netip.MustParseAddr(c.from)
		}
		if c.link != "" {
			on.link = index(c.link)
		}
		if y.paths.cut(on) {
			t.Errorf("%+v: bundles before anything is known", c)
		}
		y.becomes(t, on, c.cut)
	}
}

func TestAPathThatMovesToAVirtualInterfaceGetsNoBundles(t *testing.T) {
	y := newYard(t)
	relay := path{to: netip.MustParseAddr("203.0.113.9")}
	check(t, y.server.IP("route", "add", "203.0.113.0/24", "via", "192.0.2.2"))
	y.becomes(t, relay, true)
	check(t, y.server.IP("route", "change", "203.0.113.0/24", "via", "198.51.100.2"))
	y.becomes(t, relay, false) // nobody tells of a route
	check(t, y.server.IP("route", "change", "203.0.113.0/24", "via", "192.0.2.2"))
	old := y.interfaces.now.Swap(&snapshot{next: make(chan struct{})})
	close(old.next)
	y.becomes(t, relay, true)
}

func TestSpoofedRelaysAreRememberedUpToABound(t *testing.T) {
	y := newYard(t)
	for i := range 4 * maxPaths {
		y.paths.cut(path{to: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
		for len(y.paths.asked) > 0 {
			runtime.Gosched()
		}
		if known := y.paths.known.Load(); known != nil && len(*known) > maxPaths {
			t.Fatalf("%d paths are remembered", len(*known))
		}
	}
}

// frames counts the frames of an interface that hold UDP for port 67, by their length, as a packet socket reads them.
func frames(t *testing.T, space *nettest.Space, name string) (read func() []int) {
	t.Helper()
	var s *rawSocket
	check(t, space.Do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		if s, err = openPacket(unix.AF_PACKET, unix.SOCK_DGRAM, 0); err != nil {
			return err
		}
		return unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: ifi.Index})
	}))
	t.Cleanup(func() { check(t, s.close()) })
	in := newInbox()
	return func() (all []int) {
		for {
			n, err := s.receive(in, false)
			if err != nil || n == 0 {
				return all
			}
			for i := range n {
				if _, to, payload, ok := datagram(in.bytes(i)); ok && to.Port() == 67 {
					all = append(all, len(payload))
				} else if !ok {
					all = append(all, -1) // no whole datagram: longer than an inbox has room for
				}
			}
		}
	}
}

func TestAPacketSocketBehindAVirtualInterfaceReadsEachReplyAlone(t *testing.T) {
	y := newYard(t)
	o := open(t, Options{Workers: 1}, nil, pass())
	o.paths = y.paths
	var via *conn
	check(t, y.server.Do(func() (err error) {
		via, err = bind(net.UDPAddr{Port: 67}, false, false)
		return err
	}))
	t.Cleanup(func() { check(t, via.close()) })
	door := &wayOut{rawSocket: via.socket}
	via.sends = door
	for name, bundled := range map[string]bool{"card": true, "virtual": false} {
		t.Run(name, func(t *testing.T) {
			space, to := y.card, netip.MustParseAddrPort("192.0.2.2:67")
			if !bundled {
				space, to = y.virtual, netip.MustParseAddrPort("198.51.100.2:67")
			}
			read := frames(t, space, "eth0")
			var relay *net.UDPConn
			check(t, space.Do(func() (err error) {
				relay, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(to))
				return err
			}))
			defer relay.Close()
			y.becomes(t, via.path(way{}, to.Addr()), bundled)
			door.messages = 0
			out := newOutbox(o.Engine)
			for i := range batchSize {
				out.add(uint64(i)<<8, via, &route{to: to}, make([]byte, 300))
			}
			out.flush()
			check(t, relay.SetReadDeadline(time.Now().Add(20*time.Second)))
			b := make([]byte, 1<<16)
			for i := range batchSize { // a UDP socket reads single datagrams in any case
				if n, err := relay.Read(b); err != nil || n != 300 {
					t.Fatalf("the %dth has %d bytes, %v", i, n, err)
				}
			}
			all := read()
			whole := 0
			for _, n := range all {
				if n == 300 {
					whole++
				}
			}
			if whole != batchSize || len(all) != batchSize {
				t.Errorf("a packet socket reads %d replies: %d", whole, all)
			}
			if got := door.messages < batchSize; got != bundled {
				t.Errorf("%d messages were sent", door.messages)
			}
		})
	}
}
