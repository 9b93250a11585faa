package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// wayOut is a real socket that sends by bundles or without, and notes what the kernel took.
type wayOut struct {
	*rawSocket
	messages int
	refused  []error
}

func (w *wayOut) sendmmsg(messages []mmsghdr) (int, error) {
	n, err := w.rawSocket.sendmmsg(messages)
	w.messages += n
	if err != nil {
		w.refused = append(w.refused, err)
	}
	return n, err
}

// wired is an office whose replies leave by a real socket on loopback, and a relay that hears them.
type wired struct {
	*office
	way   *wayOut
	via   *conn
	relay *net.UDPConn
	to    netip.AddrPort
}

// lay opens a network of its own, where datagrams longer than mtu must be put in pieces.
func lay(t *testing.T, host string, mtu int) *wired {
	t.Helper()
	space, err := nettest.New(t).Space("bundles")
	check(t, err)
	w := &wired{office: open(t, Options{Workers: 1}, nil, pass())}
	ip := netip.MustParseAddr(host)
	check(t, space.IP("link", "set", "lo", "up", "mtu", fmt.Sprint(mtu)))
	check(t, space.Do(func() (err error) {
		if w.relay, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))); err != nil {
			return err
		}
		w.via, err = bind(net.UDPAddr{Port: 6767}, ip.Is6(), false)
		return err
	}))
	t.Cleanup(func() { check(t, errors.Join(w.relay.Close(), w.via.close())) })
	w.way = &wayOut{rawSocket: w.via.socket}
	w.via.sends = w.way
	w.paths = &paths{asked: make(chan path, 16)}
	w.to = w.relay.LocalAddr().(*net.UDPAddr).AddrPort()
	return w
}

// reply is what one client is sent.
type reply struct {
	client  uint64
	payload []byte
	route   route
}

// heard is a reply as the relay hears it.
type heard struct {
	from    netip.AddrPort
	payload string
}

// send sends replies as one batch, by bundles or without, and returns what the relay hears: by client, in its order.
func (w *wired) send(t *testing.T, plain bool, replies []reply) (all []heard) {
	t.Helper()
	w.way.messages, w.way.refused = 0, nil
	w.say(!plain, replies)
	o := newOutbox(w.Engine)
	for i := range replies {
		o.add(replies[i].client, w.via, &replies[i].route, replies[i].payload)
	}
	o.flush()
	check(t, w.relay.SetReadDeadline(time.Now().Add(20*time.Second)))
	b := make([]byte, 1<<16)
	for range replies {
		n, from, err := w.relay.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatalf("%d of %d replies: %v", len(all), len(replies), err)
		}
		all = append(all, heard{from, string(b[:n])})
	}
	slices.SortStableFunc(all, func(a, b heard) int { return int(a.payload[1]) - int(b.payload[1]) })
	return all
}

// say makes the paths of replies known: they are cut there, or not.
func (w *wired) say(cut bool, replies []reply) {
	known := map[path]bool{}
	for _, r := range replies {
		known[w.via.path(way{r.route.from, r.route.link, w.via.six}, r.route.to.Addr())] = cut
	}
	w.paths.known.Store(&known)
}

// storm are the replies to many machines, of a few kinds each with a length of its own; some machines have several.
func storm(to netip.AddrPort, sources ...string) (replies []reply) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range batchSize {
		r := reply{client: uint64(random.IntN(48)) << 8, payload: make([]byte, 700+random.IntN(3))}
		r.payload[0], r.payload[1] = byte(i), byte(r.client>>8)
		r.route = route{to: to, from: netip.MustParseAddr(sources[random.IntN(len(sources))])}
		replies = append(replies, r)
	}
	return replies
}

func TestARelayHearsTheSameRepliesWithBundlesAndWithout(t *testing.T) {
	for host, sources := range map[string][]string{"127.0.0.1": {"127.0.0.1", "127.0.0.2"}, "::1": {"::1"}} {
		t.Run(host, func(t *testing.T) {
			w := lay(t, host, 65536)
			replies := storm(w.to, sources...)
			plain := w.send(t, true, replies)
			if w.way.messages != batchSize {
				t.Errorf("without bundles the kernel took %d messages", w.way.messages)
			}
			bundled := w.send(t, false, replies)
			if w.way.messages > batchSize/2 || len(w.way.refused) > 0 {
				t.Errorf("with bundles the kernel took %d messages, and refused: %v", w.way.messages, w.way.refused)
			}
			if !slices.Equal(plain, bundled) {
				t.Error("by bundles the relay hears other replies, from elsewhere or in another order")
			}
		})
	}
}

func TestAPathThatTakesNoBundleGetsTheRepliesOneByOne(t *testing.T) {
	w := lay(t, "127.0.0.1", 600) // below the length of a reply
	replies := storm(w.to, "127.0.0.1", "127.0.0.2")
	plain, bundled := w.send(t, true, replies), w.send(t, false, replies)
	if len(w.way.refused) == 0 || w.way.messages != batchSize {
		t.Errorf("the kernel took %d messages and refused %v", w.way.messages, w.way.refused)
	}
	if !slices.Equal(plain, bundled) {
		t.Error("by bundles the relay hears other replies, from elsewhere or in another order")
	}
	w.say(true, replies)
	l := w.boxOf(t, replies)
	for range 2 { // once with bundles that are refused, then without
		if lost, err := l.send(w.way); lost > 0 {
			t.Fatal(lost, err)
		}
		l.size = batchSize // the same letters again
	}
	if got := len(l.bundler.bundle(l)); got != batchSize {
		t.Errorf("%d messages for %d replies to who takes no bundles", got, batchSize)
	}
}

// boxOf are replies that have not left yet.
func (w *wired) boxOf(t *testing.T, replies []reply) *letters {
	t.Helper()
	o := newOutbox(w.Engine)
	for i := range replies {
		o.add(replies[i].client, w.via, &replies[i].route, replies[i].payload)
	}
	return o.boxes[w.way]
}

func TestEachReplyOfABundleThatGoesNowhereIsCounted(t *testing.T) {
	w := lay(t, "127.0.0.1", 65536)
	nowhere := netip.MustParseAddrPort("192.0.2.1:67") // without a route
	var replies []reply
	for i := range 20 {
		to := nowhere
		if i%2 == 1 {
			to = w.to
		}
		replies = append(replies, reply{client: uint64(i) << 8, payload: make([]byte, 300), route: route{to: to}})
	}
	w.say(true, replies)
	l := w.boxOf(t, replies)
	lost, err := l.send(w.way)
	if lost != 10 || !errors.Is(err, unix.ENETUNREACH) || w.way.messages != 1 {
		t.Errorf("%d lost, %v; %d messages left", lost, err, w.way.messages)
	}
}

// crammed is a kernel without the memory for a bundle.
type crammed struct{ *wayOut }

func (c crammed) sendmmsg(messages []mmsghdr) (int, error) {
	for i := range messages {
		if messages[i].msg.Iovlen > 1 {
			if i > 0 {
				return c.wayOut.sendmmsg(messages[:i])
			}
			c.refused = append(c.refused, unix.ENOBUFS)
			return 0, unix.ENOBUFS
		}
	}
	return c.wayOut.sendmmsg(messages)
}

func TestABundleThatTheKernelHasNoMemoryForLeavesOneByOne(t *testing.T) {
	w := lay(t, "127.0.0.1", 65536)
	replies := storm(w.to, "127.0.0.1")
	plain := w.send(t, true, replies)
	w.via.sends = crammed{w.way}
	if bundled := w.send(t, false, replies); !slices.Equal(plain, bundled) {
		t.Error("the relay hears other replies, or in another order")
	}
	if len(w.way.refused) == 0 || w.way.messages != batchSize {
		t.Errorf("the kernel took %d messages and refused %v", w.way.messages, w.way.refused)
	}
	w.via.sends = w.way
	if w.send(t, false, replies); w.way.messages > batchSize/2 {
		t.Errorf("with memory again the kernel took %d messages", w.way.messages)
	}
}

func BenchmarkBundle(b *testing.B) {
	for name, cut := range map[string]bool{"cut": true, "whole": false} {
		b.Run(name, func(b *testing.B) {
			o := open(b, Options{Workers: 1}, nil, pass())
			via := &conn{sends: o.sent, bundles: true, local: asked}
			on := via.path(way{}, relay.Addr())
			o.paths.known.Store(&map[path]bool{on: cut})
			out := newOutbox(o.Engine)
			for i := range batchSize {
				out.add(uint64(i)<<8, via, &route{to: relay}, make([]byte, 300))
			}
			l := out.boxes[o.sent]
			for b.Loop() {
				l.bundler.bundle(l)
			}
		})
	}
}

func TestABundleIsNoLongerThanADatagramMayBe(t *testing.T) {
	w := lay(t, "127.0.0.1", 65536)
	var replies []reply
	for i := range batchSize {
		replies = append(replies, reply{client: uint64(i) << 8, payload: make([]byte, maxSize4), route: route{to: w.to}})
		replies[i].payload[1] = byte(i)
	}
	arrived := w.send(t, false, replies)
	if w.way.messages != 2 || len(w.way.refused) > 0 || len(arrived) != batchSize { // 44 and 20
		t.Errorf("%d messages, refused %v", w.way.messages, w.way.refused)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
