package server

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/coredhcp/coredhcp/config"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/server/request"
)

// office is an engine without sockets: what it sends is kept.
type office struct {
	*Engine
	hook *logtest.Hook
	sent *mailbag
	four *conn
	six  *conn
}

// mailbag takes what would go to the kernel.
type mailbag struct {
	mu      sync.Mutex
	letters []letter
	count   int
	calls   int
	keep    bool
}

type letter struct {
	to      string
	payload []byte
}

func (m *mailbag) sendmmsg(messages []mmsghdr) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count += len(messages)
	m.calls++
	for i := range messages {
		if !m.keep {
			break
		}
		l := &messages[i].msg
		// An inbox reads addresses as a letter has them.
		var in inbox
		in.names[0] = *(*unix.RawSockaddrInet6)(unsafe.Pointer(l.Name))
		to, _ := in.peer(0)
		m.letters = append(m.letters, letter{to.String(), bytes.Clone(unsafe.Slice(l.Iov.Base, l.Iov.Len))})
	}
	return len(messages), nil
}

func (m *mailbag) closed() bool { return false }

var (
	eth0     = request.Interface{Index: 7, Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("2001:db8::1/64")}}
	relay    = netip.MustParseAddrPort("10.9.0.1:67")
	asked    = netip.MustParseAddrPort("10.0.0.1:67")
	everyone = netip.MustParseAddrPort("255.255.255.255:67")
)

// open is an office whose plugins are, in this order, all and of the named kinds.
func open(t testing.TB, o Options, takes map[string]Messages, all ...*plugins.Plugin) *office {
	t.Helper()
	logger.GetLogger("test").Logger.SetOutput(io.Discard) // of the stock plugins
	log, hook := logtest.NewNullLogger()
	c := &Config{Path: "config.yml", Config: &config.Config{}}
	byName := map[string]*plugins.Plugin{}
	var list []config.PluginConfig
	for _, p := range all {
		byName[p.Name] = p
		list = append(list, config.PluginConfig{Name: p.Name})
	}
	c.Server4, c.Server6 = &config.ServerConfig{Plugins: list}, &config.ServerConfig{Plugins: list}
	chain, err := NewChain(c, byName)
	if err != nil {
		t.Fatal(err)
	}
	chain.Admit(takes)
	e := &Engine{
		chain: chain, options: o.withDefaults(), log: logrus.NewEntry(log), seed: maphash.MakeSeed(), interfaces: new(interfaces),
		ready: make(chan struct{}), paths: &paths{asked: make(chan path, 1)}, // which nobody answers
	}
	e.held = newHeld(e)
	e.count(prometheus.NewRegistry())
	e.packets.New = func() any { return new(packet) }
	e.interfaces.now.Store(&snapshot{
		byIndex: map[int]request.Interface{7: eth0}, byName: map[string]int{"eth0": 7},
		ours: map[netip.Addr]bool{asked.Addr(): true, netip.MustParseAddr("2001:db8::1"): true}, next: make(chan struct{}),
	})
	for range e.options.Workers {
		e.queues = append(e.queues, newQueue(e.options.Queue, *e.options.Rate))
	}
	held, ended := e.held, make(chan struct{})
	go func() { defer close(ended); held.run() }()
	t.Cleanup(func() { held.close(); <-ended })
	bag := &mailbag{keep: true}
	return &office{
		Engine: e, hook: hook, sent: bag,
		four: &conn{sends: bag, local: asked},
		six:  &conn{sends: bag, six: true, local: netip.MustParseAddrPort("[2001:db8::1]:547")},
	}
}

// Count registers an engine's metrics.
func Count(r prometheus.Registerer) { (&Engine{}).count(r) }

// work runs the office's workers until its queues are closed and empty.
func (o *office) work() {
	var workers sync.WaitGroup
	for _, q := range o.queues {
		workers.Add(1)
		go func() {
			defer workers.Done()
			newWorker(o.Engine, q).run()
		}()
	}
	for _, q := range o.queues {
		q.close()
	}
	workers.Wait()
}

// wake tells the workers of what no reader serves.
func (o *office) wake() {
	for _, q := range o.queues {
		q.work.Signal()
	}
}

// relayed is what is known of a request that a relay sent.
func relayed() *request.Facts {
	return &request.Facts{Interface: eth0, Peer: relay, Local: asked, Arrived: time.Now()}
}

// ListInterfaces lists this host's interfaces; has is an address that must be among theirs.
func ListInterfaces(has netip.Addr) error {
	s, err := takeSnapshot()
	if err == nil && !s.ours[has] {
		err = fmt.Errorf("%s is missing", has)
	}
	return err
}
