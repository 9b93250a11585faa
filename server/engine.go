package server

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/server/request"
)

// Options are what an engine can be told. The zero value serves.
type Options struct {
	Workers int   // 0: enough for the processors
	Queue   int   // requests that may wait for each worker; 0: 256
	Rate    *Rate // of one client; nil: 100 in a second for long, 200 at once
	// Beside hears port 67 by packet sockets, beside another DHCP server of this host that has the port.
	Beside bool
}

// Engine receives requests, has them answered by a chain of plugins, and sends the replies. It is a task of the daemon.
type Engine struct {
	path       string // of the configuration, for messages
	chain      *Chain
	options    Options
	log        *logrus.Entry
	drops      *drops
	received   [2]prometheus.Counter // DHCPv4, DHCPv6
	seed       maphash.Seed
	interfaces *interfaces
	link       *rawSocket
	paths      *paths
	listeners  []*listener
	opening    sync.Mutex
	queues     []*queue
	held       *held
	packets    sync.Pool
	working    sync.WaitGroup // workers and readers
	ready      chan struct{}
}

// Open opens a socket for each entry of the configuration's listen. Requests are answered by chain from Run on. The error
// tells of every entry that cannot be opened.
func Open(c *Config, chain *Chain, o Options, log *logrus.Entry, r prometheus.Registerer) (*Engine, error) {
	e := &Engine{path: c.Path, chain: chain, options: o.withDefaults(), log: log, seed: maphash.MakeSeed(), ready: make(chan struct{})}
	e.held = newHeld(e)
	e.count(r)
	e.packets.New = func() any { return new(packet) }
	for range e.options.Workers {
		e.queues = append(e.queues, newQueue(e.options.Queue, *e.options.Rate))
	}
	var err error
	if e.interfaces, err = newInterfaces(log); err != nil {
		return nil, err
	}
	if e.paths, err = openPaths(); err != nil {
		e.close()
		return nil, err
	}
	e.listeners = e.newListeners(c)
	var errs []error
	for i, l := range e.listeners {
		if slices.ContainsFunc(e.listeners[:i], l.equals) {
			errs = append(errs, fmt.Errorf("%s: %s stands there twice; leave one of them out", l.at, l))
		}
		errs = append(errs, l.try())
	}
	if err := errors.Join(errs...); err != nil {
		e.close()
		return nil, err
	}
	if e.link, err = openLink(); err != nil {
		e.close()
		return nil, err
	}
	for _, l := range e.listeners {
		if err := l.open(); err != nil {
			e.close()
			return nil, err
		}
	}
	return e, nil
}

func (o Options) withDefaults() Options {
	if o.Workers == 0 {
		o.Workers = max(4, runtime.GOMAXPROCS(0))
	}
	if o.Queue == 0 {
		// Four queues take what a building sends when its power comes back, and are served within the time that a
		// client waits.
		o.Queue = 256
	}
	if o.Rate == nil {
		o.Rate = &Rate{PerSecond: 100, Burst: 200}
	}
	return o
}

func (e *Engine) count(r prometheus.Registerer) {
	e.drops = newDrops(e.log, r)
	received := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: MetricReceived, Help: "Datagrams that came in, by family.",
	}, []string{"family"})
	r.MustRegister(received)
	e.received = [2]prometheus.Counter{received.WithLabelValues("4"), received.WithLabelValues("6")}
}

// String names the task.
func (e *Engine) String() string { return "dhcp " + e.path }

// Ready is closed when requests are answered.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// grace bounds the end of what is under way.
const grace = 5 * time.Second

// Run serves until ctx ends, answers what it has received by then, and closes the sockets.
func (e *Engine) Run(ctx context.Context) error {
	var listeners sync.WaitGroup
	listeners.Add(1)
	go func() { // ends with ctx
		defer listeners.Done()
		e.interfaces.follow(ctx)
	}()
	listeners.Add(1)
	go func() { // ends with ctx
		defer listeners.Done()
		e.paths.answer(ctx, e.interfaces)
	}()
	var leaving sync.WaitGroup
	leaving.Add(1)
	go func() { // ends when no worker waits for what is held
		defer leaving.Done()
		e.held.run()
	}()
	for _, q := range e.queues {
		e.working.Add(1)
		go func() { // ends when its queue is closed and empty
			defer e.working.Done()
			newWorker(e, q).run()
		}()
	}
	listeners.Add(1)
	go func() { // ends with ctx
		defer listeners.Done()
		e.listen(ctx)
	}()
	close(e.ready)
	<-ctx.Done()
	listeners.Wait() // nothing comes in any more
	for _, q := range e.queues {
		q.close()
	}
	late := time.AfterFunc(grace, func() {
		for _, q := range e.queues {
			q.abort()
		}
	})
	e.working.Wait()
	late.Stop()
	e.held.close()
	leaving.Wait()
	e.close()
	return nil
}

// accept puts a datagram into the queue of its client. Its bytes are copied.
func (e *Engine) accept(data []byte, via *conn, f *request.Facts) {
	var g glance
	var why reason
	if via.six {
		e.received[1].Inc()
		g, why = glance6(data, e.seed)
	} else {
		e.received[0].Inc()
		g, why = glance4(data, e.seed)
	}
	if why != "" {
		e.drops.count(why)
		return
	}
	p := e.packets.Get().(*packet)
	p.glance, p.via, p.facts = g, via, *f
	p.data = append(p.data[:0], data...)
	if gone, why := e.queues[g.client%uint64(len(e.queues))].push(p); gone != nil {
		e.drops.count(why)
		e.recycle(gone)
	}
}

// recycle gives back a packet that is served. A long one's memory is not kept.
func (e *Engine) recycle(p *packet) {
	if cap(p.data) > maxSize4*2 {
		p.data = nil
	}
	p.facts = request.Facts{}
	e.packets.Put(p)
}

// shareAll lets the sockets of this process overlap, or no others any more.
func (e *Engine) shareAll(on bool) {
	for _, l := range e.listeners {
		if l.conn == nil || l.conn.link != nil {
			continue
		}
		if err := l.conn.share(on); err != nil && !errors.Is(err, net.ErrClosed) {
			e.log.WithField("because", fmt.Sprint(err)).Warn("socket option")
		}
	}
}

func (e *Engine) close() {
	for _, l := range e.listeners {
		if l.conn != nil {
			_ = l.conn.close()
		}
	}
	if e.link != nil {
		_ = e.link.close()
	}
	if e.paths != nil {
		e.paths.close()
	}
	e.interfaces.events.Close()
}
