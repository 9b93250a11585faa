package server

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// path is what the interface depends on that a reply leaves by: its way and where it goes.
type path struct {
	way
	to netip.Addr
}

// path is that of a reply which leaves by the socket.
func (c *conn) path(w way, to netip.Addr) path {
	if w.link == 0 {
		w.link = c.device
	}
	return path{w, to}
}

const (
	// maxPaths bounds what is remembered, and what the kernel is asked for in a second: spoofed relays are many.
	maxPaths = 256
	// pathTime is how long an answer holds. A change of routes is not told.
	pathTime = time.Second
)

// paths knows on which paths the kernel cuts bundles up (UDP_SEGMENT) before the interface gets them. An interface that
// takes them whole, as a virtual one does, hands them on whole: to another container or virtual machine, where a packet
// socket, as the ISC relay has, reads one long datagram and loses all but the first. The kernel is asked beside the
// replies, because an answer may wait for its one lock of interfaces.
type paths struct {
	routes *netlink.Handle
	cards  *ethtool.Ethtool
	asked  chan path
	known  atomic.Pointer[map[path]bool] // not changed any more
}

func openPaths() (*paths, error) {
	routes, err := netlink.NewHandle()
	if err != nil {
		return nil, fmt.Errorf("this host's routes cannot be asked for: %w", err)
	}
	cards, err := ethtool.NewEthtool()
	if err != nil {
		routes.Close()
		return nil, fmt.Errorf("the features of this host's interfaces cannot be asked for: %w", err)
	}
	return &paths{routes: routes, cards: cards, asked: make(chan path, 16)}, nil
}

// cut tells whether bundles on a path are surely cut. Of a path that is not known yet the next ones may be.
func (p *paths) cut(on path) bool {
	if known := p.known.Load(); known != nil {
		if cut, ok := (*known)[on]; ok {
			return cut
		}
	}
	select {
	case p.asked <- on:
	default: // it is busy, and asked again with the next replies
	}
	return false
}

// answer learns of the paths that were asked for, until ctx ends, and forgets them when anything may have changed.
func (p *paths) answer(ctx context.Context, i *interfaces) {
	var forget <-chan time.Time
	known := map[path]bool{}
	now := i.now.Load()
	for {
		select {
		case <-ctx.Done():
			return
		case <-now.next: // also if that was while the kernel was asked
			now, known = i.now.Load(), map[path]bool{}
		case <-forget:
			known = map[path]bool{}
		case on := <-p.asked:
			if _, ok := known[on]; ok || len(known) >= maxPaths {
				continue
			}
			if len(known) == 0 {
				forget = time.After(pathTime)
			}
			known = maps.Clone(known)
			known[on] = p.ask(on)
		}
		told := known
		p.known.Store(&told)
	}
}

// ask tells whether the interface of a path takes no bundles, so that the kernel cuts them up for it.
func (p *paths) ask(on path) bool {
	options := &netlink.RouteGetOptions{OifIndex: on.link}
	if on.from.IsValid() {
		options.SrcAddr = on.from.AsSlice()
	}
	routes, err := p.routes.RouteGetWithOptions(on.to.AsSlice(), options)
	if err != nil || len(routes) != 1 {
		return false // the replies will say why
	}
	link, err := p.routes.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return false
	}
	features, err := p.cards.Features(link.Attrs().Name)
	takes, told := features["tx-udp-segmentation"]
	return err == nil && told && !takes
}

func (p *paths) close() {
	p.routes.Close()
	p.cards.Close()
}
