package server

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"
)

// listen has every entry of the configuration received from, until ctx ends. For groups that are heard on every interface,
// those that come get a socket, and lose it when they go.
func (e *Engine) listen(ctx context.Context) {
	var running sync.WaitGroup
	start := func(l *listener) {
		running.Add(1)
		go func() { // ends with ctx, or with its interface
			defer running.Done()
			l.run(ctx)
			if ctx.Err() == nil {
				e.forget(l)
			}
		}()
	}
	groups := e.groups()
	for _, l := range e.listeners {
		start(l)
	}
	for ctx.Err() == nil {
		now := e.interfaces.now.Load()
		for _, l := range e.missing(groups, now) {
			if err := l.open(); err != nil {
				e.log.WithFields(logrus.Fields{"listen": l.String(), "because": err.Error()}).Debug("multicast")
				continue // such as one without IPv6; it is tried again when something changes
			}
			e.opening.Lock()
			e.listeners = append(e.listeners, l)
			e.opening.Unlock()
			e.log.WithField("listen", l.String()).Info("listening on a new interface")
			start(l)
		}
		select {
		case <-ctx.Done():
		case <-now.next:
		}
	}
	running.Wait()
}

// groups are listeners of each group that is heard everywhere, on no interface.
func (e *Engine) groups() (all []listener) {
	for _, l := range e.listeners {
		if !l.group {
			continue
		}
		g := listener{engine: e, addr: net.UDPAddr{IP: l.addr.IP, Port: l.addr.Port}, six: l.six, at: l.at, group: true}
		if !slices.ContainsFunc(all, func(o listener) bool { return g.equals(&o) }) {
			all = append(all, g)
		}
	}
	return all
}

// missing are listeners for the interfaces on which a group is not heard yet.
func (e *Engine) missing(groups []listener, now *snapshot) (all []*listener) {
	e.opening.Lock()
	defer e.opening.Unlock()
	for _, g := range groups {
		for _, name := range now.sorted() {
			l := g
			l.addr.Zone = name
			if now.multicast[name] && !slices.ContainsFunc(e.listeners, l.equals) {
				all = append(all, &l)
			}
		}
	}
	return all
}

// forget closes a listener whose interface has gone.
func (e *Engine) forget(l *listener) {
	e.opening.Lock()
	defer e.opening.Unlock()
	e.listeners = slices.DeleteFunc(e.listeners, func(o *listener) bool { return o == l })
	if err := l.conn.close(); err != nil && !errors.Is(err, net.ErrClosed) {
		e.log.WithFields(logrus.Fields{"listen": l.String(), "because": err.Error()}).Warn("a socket cannot be closed")
	}
}
