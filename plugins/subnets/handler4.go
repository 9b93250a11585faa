package subnets

import (
	"errors"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lend"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/server/request"
)

// exchange is one request on its way through the plugin.
type exchange struct {
	*site
	client4
	now       *Policy
	req, resp *dhcpv4.DHCPv4
	under     *request.Request
	env       policy.Env
}

// Handle4 lends an address, takes it back, or refuses one that is asked for. It drops what it cannot serve.
func (s *site) Handle4(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if resp == nil {
		return nil, false
	}
	x := &exchange{site: s, now: s.policy.Load(), req: req, resp: resp, under: request.Of(req)}
	if req.Options.Has(dhcpv4.OptionDHCPMessageType) && !netboot.Server4(resp).IsValid() && x.under.Source().Is4() {
		resp.UpdateOption(dhcpv4.OptServerIdentifier(x.under.Source().AsSlice()))
	}
	x.read()
	if s.idle {
		x.leave(x.under, x.now, netip.Addr{})
		return resp, false
	}
	plan := x.now.decide(&x.client4, s.book)
	switch plan.verb {
	case offer, lendNow:
		return x.offer(plan)
	case grant:
		return x.lend(x.asks, plan)
	case refuse:
		return x.refuse(x.asks, plan.because)
	case inform:
		return x.inform()
	case release:
		return x.release()
	case decline:
		return x.decline()
	}
	if !x.meansUs && x.network != nil {
		s.book.Withdraw(x.Owner, x.anyPool()...)
	}
	return x.drop(plan)
}

// read finds out who asks.
func (x *exchange) read() {
	c := &x.client4
	x.now.read4(c, x.req, x.resp, x.under)
	c.remember(x.book)
	if c.network = x.now.locate(c); c.network != nil {
		c.machine, c.fixed = x.now.reserved(c.network, &c.Client, true)
	}
	c.known, c.bootp = c.machine != nil, c.kind == dhcpv4.MessageTypeNone
	x.env = environment4(x.req, c)
	c.classes = policy.Match(nil, &x.env, x.now.classes)
}

// anyPool is a pool of the client's network: offers are taken back by the network.
func (x *exchange) anyPool() []*lease.Pool {
	if x.fixed.IsValid() {
		return []*lease.Pool{lease.Fixed(x.fixed)}
	}
	for _, p := range x.network.pools {
		return []*lease.Pool{p.lent}
	}
	return nil
}

// offer answers a DISCOVER, or lends at once where no REQUEST follows.
func (x *exchange) offer(p plan) (*dhcpv4.DHCPv4, bool) {
	got, own, err := x.choose(p)
	if err != nil {
		return x.exhausted()
	}
	if !own {
		x.notItsOwn(p, got)
		p.own = nil
	}
	if err := x.pingFirst(got); err != nil {
		return x.drop(plan{because: err.Error(), quiet: errors.Is(err, errAsked)})
	}
	if p.verb == lendNow || netboot.IsPiROM4(x.req) {
		return x.lend(got, p)
	}
	x.leave(x.under, x.now, got)
	told := x.outcome(got)
	x.write(told, got, leaseTime(told, &x.client4, x.req))
	if x.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		x.fields(got).Debug("offered")
	}
	return x.resp, false
}

// choose reserves an address, the client's own if nobody else was offered it.
func (x *exchange) choose(p plan) (got netip.Addr, own bool, err error) {
	if p.same != "" {
		return x.fixed, true, nil // nobody else may be offered it; it changes hands with the REQUEST
	}
	if p.own != nil {
		if got, err = x.book.Offer(x.Owner, x.fixed, p.own); err == nil {
			return got, true, nil
		}
	}
	got, err = x.book.Offer(x.Owner, x.asks, p.from...)
	return got, !x.fixed.IsValid(), err
}

// lend has the lease written; the reply leaves when it is.
func (x *exchange) lend(want netip.Addr, p plan) (*dhcpv4.DHCPv4, bool) {
	from := p.from
	if p.own != nil {
		from = []*lease.Pool{p.own}
	}
	told := x.outcome(want)
	asked := leaseTime(told, &x.client4, x.req)
	var granted time.Duration
	var refused error
	err := x.under.Hold(func(done func(error)) {
		if p.same != "" {
			x.book.Release(p.same, want)
		}
		if granted, refused = x.book.Commit(x.Client, want, asked, done, from...); refused != nil {
			done(nil)
		}
	})
	switch {
	case err != nil: // only where the server does not hold replies; the journal has logged why
		return x.drop(silent("its lease is not written: " + err.Error()))
	case refused != nil && x.policy.Load() != x.now:
		return x.drop(silent("the file has just changed")) // and it is asked again
	case errors.Is(refused, lease.ErrOutside):
		return x.drop(silent("the address is in no pool of its"))
	case refused != nil:
		return x.refuse(want, refused.Error())
	}
	if asked == forever {
		granted = forever
	}
	x.leave(x.under, x.now, want)
	x.write(told, want, granted)
	x.resp.ClientIPAddr = x.req.ClientIPAddr
	level := logrus.InfoLevel
	if granted < asked {
		level = logrus.DebugLevel // nothing has changed
	}
	if x.log.Logger.IsLevelEnabled(level) {
		x.fields(want).WithField("for", granted.String()).Log(level, "leased")
	}
	return x.resp, false
}

// inform tells the rest to a client that has an address, without a lease (RFC 2131 section 4.3.5).
func (x *exchange) inform() (*dhcpv4.DHCPv4, bool) {
	x.leave(x.under, x.now, x.ciaddr)
	x.write(x.outcome(netip.Addr{}), netip.Addr{}, 0)
	x.resp.ClientIPAddr = x.req.ClientIPAddr
	x.under.Deliver(request.Delivery{To: netip.AddrPortFrom(x.ciaddr, dhcpv4.ClientPort)})
	x.fields(x.ciaddr).Debug("informed")
	return x.resp, false
}

// refuse ends the chain, since a NAK has nothing that a later plugin could add.
func (x *exchange) refuse(want netip.Addr, because string) (*dhcpv4.DHCPv4, bool) {
	lend.Refuse(x.resp)
	x.counts.NAKs.Inc()
	x.line(logrus.InfoLevel, because, want, "refused", logrus.Fields{"because": because})
	return x.resp, true
}

// release and decline are never answered.
func (x *exchange) release() (*dhcpv4.DHCPv4, bool) {
	if x.meansUs && x.book.Release(x.Owner, x.ciaddr) {
		x.fields(x.ciaddr).Info("released")
	}
	return nil, true
}

func (x *exchange) decline() (*dhcpv4.DHCPv4, bool) {
	if x.meansUs && x.book.Decline(x.Owner, x.asks) {
		x.fields(x.asks).Warn("declined: somebody uses the address without a lease; nobody gets it for a day, as long as others are free")
	}
	return nil, true
}
