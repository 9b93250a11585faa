package server

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// counter is an office with a real socket, and a relay agent that talks to it.
type counter struct {
	*office
	t       *testing.T
	lookout *lookout
	conn    *conn
	relay   *net.UDPConn
	closed  chan error // says how reading ended
	workers sync.WaitGroup
}

func openCounter(t *testing.T, all ...*plugins.Plugin) *counter {
	t.Helper()
	k := layCounter(t, all...)
	k.opens()
	return k
}

// layCounter is a counter that nobody reads at before it opens.
func layCounter(t *testing.T, all ...*plugins.Plugin) *counter {
	t.Helper()
	o := open(t, Options{Workers: 4, Queue: 4096, Rate: &Rate{}}, nil, all...)
	c, err := bind(net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := relay.SetReadBuffer(kernelQueue); err != nil {
		t.Fatal(err)
	}
	k := &counter{office: o, t: t, lookout: newLookout(o.Engine, c), conn: c, relay: relay, closed: make(chan error, 1)}
	return k
}

func (k *counter) opens() {
	for _, q := range k.queues {
		k.workers.Add(1)
		go func() { defer k.workers.Done(); newWorker(k.Engine, q).run() }()
	}
	go func() { k.closed <- k.lookout.run() }()
	k.t.Cleanup(func() {
		k.stops()
		for _, q := range k.queues {
			q.close()
		}
		k.workers.Wait()
		k.working.Wait()
		_ = k.conn.close()
		_ = k.relay.Close()
	})
}

// stops ends reading, and returns when nobody reads any more.
func (k *counter) stops() {
	_ = k.conn.stop()
	select {
	case err := <-k.closed:
		if !errors.Is(err, net.ErrClosed) {
			k.t.Error(err)
		}
		k.closed <- err
	case <-time.After(4 * time.Second):
		k.t.Fatal("somebody reads on")
	}
}

// says sends the n-th DISCOVER of a machine, whose reply comes back to the relay's port.
func (k *counter) says(machine, n int) {
	k.t.Helper()
	req := parse(k.t, message(k.t, dhcpv4.MessageTypeDiscover, machine))
	req.GatewayIPAddr = net.IPv4(127, 0, 0, 1).To4()
	req.TransactionID = dhcpv4.TransactionID{0, 0, byte(n >> 8), byte(n)}
	req.Options.Update(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, []byte{agentSourcePort, 0}))
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: k.port()}
	if _, err := k.relay.WriteToUDP(req.ToBytes(), to); err != nil {
		k.t.Fatal(err)
	}
}

// port is the one that the kernel chose for the socket.
func (k *counter) port() (port int) {
	k.t.Helper()
	if err := k.conn.socket.control(func(fd int) error {
		sa, err := unix.Getsockname(fd)
		if four, ok := sa.(*unix.SockaddrInet4); ok {
			port = four.Port
		}
		return err
	}); err != nil {
		k.t.Fatal(err)
	}
	return port
}

// hears is the machine and the number of the next reply.
func (k *counter) hears() (machine, n int) {
	k.t.Helper()
	if err := k.relay.SetReadDeadline(time.Now().Add(4 * time.Second)); err != nil {
		k.t.Fatal(err)
	}
	b := make([]byte, 1500)
	size, err := k.relay.Read(b)
	if err != nil {
		k.t.Fatal("no reply: ", err)
	}
	resp := parse(k.t, b[:size])
	mac, id := resp.ClientHWAddr, resp.TransactionID
	return int(mac[3])<<16 | int(mac[4])<<8 | int(mac[5]), int(id[2])<<8 | int(id[3])
}

// sharing are machines by the queue that they share.
func (k *counter) sharing(machines int) (byQueue map[uint64][]int) {
	byQueue = map[uint64][]int{}
	for i := range machines {
		g, why := glance4(message(k.t, dhcpv4.MessageTypeDiscover, i), k.seed)
		if why != "" {
			k.t.Fatal(why)
		}
		q := g.client % uint64(len(k.queues))
		byQueue[q] = append(byQueue[q], i)
	}
	return byQueue
}

// blocker is a plugin that keeps some machines waiting at their first word until it is let go.
type blocker struct {
	mu    sync.Mutex
	keeps map[int]bool
	begun chan int // machines, as they begin to wait
	let   chan struct{}
}

func newBlocker() *blocker {
	return &blocker{keeps: map[int]bool{}, begun: make(chan int, 8), let: make(chan struct{})}
}

func (b *blocker) plugin() *plugins.Plugin {
	return plugin("blocking", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		m := int(req.ClientHWAddr[5])
		if b.kept(m) && req.TransactionID[3] == 0 {
			b.begun <- m
			<-b.let
		}
		return resp, false
	})
}

func (b *blocker) kept(machine int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keeps[machine]
}

// keep makes a machine wait that says its first word.
func (b *blocker) keep(k *counter, machine int) {
	k.t.Helper()
	b.mu.Lock()
	b.keeps[machine] = true
	b.mu.Unlock()
	k.says(machine, 0)
	select {
	case <-b.begun:
	case <-time.After(4 * time.Second):
		k.t.Fatalf("nobody serves machine %d", machine)
	}
}

func TestAPluginThatBlocksStopsOnlyTheMachinesOfItsQueue(t *testing.T) {
	b := newBlocker()
	k := openCounter(t, b.plugin())
	queues := k.sharing(64)
	free := queues[0]
	delete(queues, 0)
	for _, machines := range queues { // each blocks another reader
		b.keep(k, machines[0])
	}
	for n := range 3 {
		for _, m := range free {
			k.says(m, n)
			if got, number := k.hears(); got != m || number != n {
				t.Fatalf("%d of machine %d, want %d of %d", number, got, n, m)
			}
		}
	}
	for _, machines := range queues { // what they say meanwhile is not lost, and comes behind
		for n := 1; n <= 100; n++ {
			k.says(machines[0], n)
		}
	}
	k.says(free[0], 9) // read behind all of these
	if got, _ := k.hears(); got != free[0] {
		t.Fatalf("machine %d, want %d", got, free[0])
	}
	close(b.let)
	next := map[int]int{}
	for range 101 * len(queues) {
		m, n := k.hears()
		if n != next[m] {
			t.Fatalf("machine %d hears %d, want %d", m, n, next[m])
		}
		next[m]++
	}
}

func TestWhoIsReadWithAMachineWhosePluginBlocksIsServed(t *testing.T) {
	b := newBlocker()
	k := layCounter(t, b.plugin())
	queues := k.sharing(64)
	b.keeps[queues[2][0]] = true
	for q := range uint64(len(k.queues)) { // one batch
		k.says(queues[q][0], 0)
	}
	k.opens()
	goOn := sync.OnceFunc(func() { close(b.let) })
	t.Cleanup(goOn)
	heard := map[int]bool{}
	for range 3 {
		m, _ := k.hears()
		heard[m] = true
	}
	for _, q := range []uint64{0, 1, 3} {
		m := queues[q][0]
		if k.says(m, 1); !heard[m] {
			t.Errorf("machine %d is not served", m)
		}
		if again, n := k.hears(); again != m || n != 1 {
			t.Errorf("%d of machine %d, want 1 of %d", n, again, m)
		}
	}
	goOn()
	if m, _ := k.hears(); m != queues[2][0] {
		t.Fatalf("machine %d", m)
	}
}

func TestABlockedReaderIsRelievedAfterARestToo(t *testing.T) {
	b := newBlocker()
	k := openCounter(t, b.plugin())
	queues := k.sharing(64)
	slow, other := queues[0][0], queues[1][0]
	for deadline := time.Now().Add(4 * time.Second); !k.lookout.asleep.Load(); {
		if time.Now().After(deadline) {
			t.Fatal("it looks on although nothing comes in")
		}
		<-time.After(time.Millisecond)
	}
	b.keep(k, slow)
	k.says(other, 1)
	if m, _ := k.hears(); m != other {
		t.Fatalf("machine %d", m)
	}
	close(b.let)
	if m, _ := k.hears(); m != slow {
		t.Fatalf("machine %d", m)
	}
}

func TestReadingEndsAlthoughAHandlerBlocks(t *testing.T) {
	b := newBlocker()
	k := openCounter(t, b.plugin())
	b.keep(k, 7)
	k.stops()
	close(b.let)
	if m, _ := k.hears(); m != 7 { // replies still leave
		t.Fatalf("machine %d", m)
	}
}

func TestRepliesOfAClientStayInOrderWhoeverServesIt(t *testing.T) {
	k := openCounter(t, pass())
	const machines, rounds = 20, 150
	var wrong error
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		next := map[int]int{}
		for range machines * rounds {
			m, n := k.hears()
			if n != next[m] && wrong == nil {
				wrong = fmt.Errorf("machine %d hears %d, want %d", m, n, next[m])
			}
			next[m] = n + 1
		}
	}()
	for n := range rounds {
		for m := range machines {
			k.says(m, n)
		}
	}
	<-heard
	if wrong != nil {
		t.Error(wrong)
	}
}
