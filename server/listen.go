package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// listener is one entry of the configuration's listen, and the socket that it has at present.
type listener struct {
	engine *Engine
	addr   net.UDPAddr // Zone is an interface, or empty
	six    bool
	at     conf.Pos
	group  bool // made for an interface that is there, for a group that is heard on all
	index  int  // of the interface that the socket is bound to; 0: any
	conn   *conn
}

// String is the entry as CoreDHCP writes it.
func (l *listener) String() string {
	host := l.addr.IP.String()
	if l.addr.IP.IsUnspecified() {
		host = ""
	}
	if l.addr.Zone != "" {
		host += "%" + l.addr.Zone
	}
	return net.JoinHostPort(host, strconv.Itoa(l.addr.Port))
}

func (l *listener) equals(o *listener) bool { return l.six == o.six && l.String() == o.String() }

// hostPort is the address without the interface, as the kernel's tables have it.
func (l *listener) hostPort() string {
	return net.JoinHostPort(l.addr.IP.String(), strconv.Itoa(l.addr.Port))
}

// beside tells an entry that is heard by a packet socket, because another server has its port.
func (l *listener) beside() bool {
	return l.engine.options.Beside && !l.six && l.addr.Port == dhcpv4.ServerPort
}

// try opens the entry alone and closes it: another server that has the address is noticed, even one that would share.
func (l *listener) try() error {
	setting, network := "server4.listen", "udp4"
	if l.six {
		setting, network = "server6.listen", "udp6"
	}
	now := l.engine.interfaces.now.Load()
	if _, known := now.byName[l.addr.Zone]; !known && l.addr.Zone != "" {
		return fmt.Errorf("%s: %s: there is no interface %q; this host has %s", l.at, setting, l.addr.Zone, now.names())
	}
	if l.beside() {
		return nil
	}
	c, err := bind(l.addr, l.six, false)
	if err != nil {
		err = daemon.ListenError(err, network, l.hostPort(), setting)
		if l.addr.Port == dhcpv4.ServerPort && errors.Is(err, unix.EADDRINUSE) {
			return fmt.Errorf("%s: %w; to boot machines beside it, use --beside", l.at, err)
		}
		return fmt.Errorf("%s: %w", l.at, err)
	}
	return c.close()
}

// open opens the entry beside those of this process that overlap with it.
func (l *listener) open() error {
	e := l.engine
	e.opening.Lock()
	defer e.opening.Unlock()
	now := e.interfaces.now.Load()
	var c *conn
	var err error
	if l.beside() {
		c, err = hearLink(l.addr, now.byName[l.addr.Zone])
	} else {
		e.shareAll(true)
		c, err = bind(l.addr, l.six, true)
	}
	if err == nil && l.addr.IP.IsMulticast() {
		if err = c.join(l.addr.IP, l.groups(now)); err != nil {
			err = errors.Join(err, c.close())
		}
	}
	if err == nil {
		l.conn, l.index = c, now.byName[l.addr.Zone]
	}
	e.shareAll(false)
	if err != nil {
		return fmt.Errorf("%s: listen %s: %w", l.at, l, err)
	}
	return nil
}

// groups are the interfaces on which the entry's multicast group is joined.
func (l *listener) groups(now *snapshot) []string {
	if l.addr.Zone != "" {
		return []string{l.addr.Zone}
	}
	return now.sorted()
}

// run receives until ctx ends. It follows the interface of the entry: one that was removed and has come back is another
// one to the kernel, and a group is joined on new ones.
func (l *listener) run(ctx context.Context) {
	for {
		ended := make(chan error, 1)
		go func(c *conn) { ended <- newLookout(l.engine, c).run() }(l.conn) // ends when the socket is closed
		if again := l.wait(ctx, ended); !again {
			return
		}
		_ = l.conn.close()
		for ctx.Err() == nil {
			err := l.open()
			if err == nil {
				l.engine.log.WithField("listen", l.String()).Info("listening again")
				break
			}
			l.engine.log.WithFields(logrus.Fields{"listen": l.String(), "because": err.Error()}).Warn("cannot listen; tried again when an interface changes")
			l.await(ctx)
		}
	}
}

// wait returns when the socket is of no more use: ctx has ended or a group's interface has gone (false), or it must be
// opened again.
func (l *listener) wait(ctx context.Context, ended <-chan error) (again bool) {
	for {
		now := l.engine.interfaces.now.Load()
		index, present := now.byName[l.addr.Zone]
		switch {
		case l.group && !present:
			l.stop(ended)
			return false
		case l.addr.Zone != "" && present && index != l.index:
			l.stop(ended)
			return true
		case l.addr.Zone == "" && l.addr.IP.IsMulticast():
			if err := l.conn.join(l.addr.IP, l.groups(now)); err != nil {
				l.engine.log.WithField("because", err.Error()).Debug("multicast")
			}
		}
		select {
		case <-ctx.Done():
			l.stop(ended)
			return false
		case err := <-ended:
			l.engine.log.WithFields(logrus.Fields{"listen": l.String(), "because": err.Error()}).Warn("receiving failed")
			l.await(ctx)
			return ctx.Err() == nil
		case <-now.next:
		}
	}
}

// stop ends receiving; replies may still leave.
func (l *listener) stop(ended <-chan error) {
	_ = l.conn.stop()
	<-ended //nolint:errcheck // the end was asked for
}

// retry is how long a socket that failed rests.
const retry = time.Second

// await returns when the interfaces have changed, or after a while.
func (l *listener) await(ctx context.Context) {
	rest := time.NewTimer(retry)
	defer rest.Stop()
	select {
	case <-ctx.Done():
	case <-rest.C:
	case <-l.engine.interfaces.now.Load().next:
	}
}

// sorted are the names of the interfaces, in the order that the kernel made them.
func (s *snapshot) sorted() []string {
	names := slices.Collect(maps.Keys(s.byName))
	slices.SortFunc(names, func(a, b string) int { return s.byName[a] - s.byName[b] })
	return names
}

func (s *snapshot) names() string { return strings.Join(s.sorted(), ", ") }

// newListeners are the entries of a configuration, in its order.
func (e *Engine) newListeners(c *Config) (all []*listener) {
	for _, s := range c.Sections() {
		for _, a := range s.Addresses {
			if a.IP == nil { // CoreDHCP's default
				a.IP = net.IPv4zero
			}
			l := &listener{engine: e, addr: a, six: s.Name == "server6", at: c.Listen(s.Name)}
			l.group = l.six && l.addr.Zone != "" && slices.ContainsFunc(c.groups, a.IP.Equal)
			all = append(all, l)
		}
	}
	return all
}
