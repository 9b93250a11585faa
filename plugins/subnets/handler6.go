package subnets

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/server/request"
)

// exchange6 is one DHCPv6 request on its way through the plugin.
type exchange6 struct {
	*site
	*client6
	now       *Policy
	req, resp *dhcpv6.Message
	under     *request.Request
	env       *policy.Env
}

// Handle6 lends addresses and prefixes, takes them back, or tells that a client may not use them. It drops what it cannot
// serve.
func (s *site) Handle6(req, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) {
	reply, ok := resp.(*dhcpv6.Message)
	msg, err := req.GetInnerMessage()
	if !ok || reply == nil || err != nil {
		return resp, false
	}
	x := &exchange6{site: s, now: s.policy.Load(), req: msg, resp: reply, under: request.Of(req)}
	if x.client6, err = read6(req, msg, reply, x.under); err != nil {
		return nil, true // and the engine has read it before
	}
	if x.network = x.now.locate6(x.client6); x.network != nil {
		x.machine, x.fixed, x.fixedPrefix = x.now.reserved6(x.network, x.client6)
	}
	x.known = x.machine != nil
	x.env = environment6(req, msg)
	x.classes = policy.Match(nil, x.env, x.now.classes6)
	if s.idle {
		x.leave(x.under, x.now, netip.Addr{})
		return resp, false
	}
	if x.us == "" {
		x.noServerID.Do(func() {
			s.log.Error("no DHCPv6 reply has a server identifier, so no machine gets an address: put server_id before subnets in server6")
		})
		return nil, true
	}
	plan := x.now.decide6(x.client6, s.book)
	if plan.because != "" {
		return x.drop(plan)
	}
	return x.answer(plan)
}

// answer does what was decided, and says so in the reply.
func (x *exchange6) answer(plan plan6) (dhcpv6.DHCPv6, bool) {
	if x.kind == dhcpv6.MessageTypeSolicit && !plan.lends {
		x.resp.MessageType = dhcpv6.MessageTypeAdvertise
		x.resp.Options.Del(dhcpv6.OptionRapidCommit)
	}
	if plan.said != "" {
		x.resp.AddOption(&dhcpv6.OptStatusCode{StatusCode: plan.status, StatusMessage: plan.said})
	}
	var told []given
	for i := range plan.fates {
		f := &plan.fates[i]
		for _, l := range f.over {
			x.end(f, l)
		}
		if plan.bare {
			if f.said != "" {
				x.write(f, given{})
			}
			continue
		}
		g, err := x.give(f, plan.lends)
		if err != nil {
			return x.drop(silent6(err.Error()))
		}
		told = append(told, g)
	}
	if plan.bare {
		return x.resp, false
	}
	renewal, rebinding := times(told)
	first := netip.Addr{}
	for i := range plan.fates {
		told[i].renewal, told[i].rebinding = renewal, rebinding
		if a := told[i].unit.Addr(); plan.fates[i].of == addresses && !first.IsValid() {
			first = a
		}
		x.write(&plan.fates[i], told[i])
	}
	x.leave(x.under, x.now, first)
	x.options(x.outcome(first))
	return x.resp, false
}

// given is what an association gets, and for how long.
type given struct {
	unit               netip.Prefix // invalid: nothing
	preferred, valid   time.Duration
	renewal, rebinding time.Duration // T1 and T2
}

var errChanged = errors.New("the file has just changed") // and it is asked again

// give finds something for an association, and has it lent if lends is set; the reply leaves when that is written. What
// cannot be given changes the fate. An error ends the request.
func (x *exchange6) give(f *fate, lends bool) (g given, err error) {
	if f.said != "" || f.own == nil && len(f.from) == 0 {
		return g, nil
	}
	got, from, err := x.choose(f)
	if err != nil {
		if x.policy.Load() != x.now {
			return g, errChanged
		}
		x.exhausted(f)
		return g, nil
	}
	g.unit = x.now.unit(f.of, got, x.fixedPrefix)
	told := x.outcome(got)
	g.valid = told.LeaseTime(0)
	g.preferred = preferred(told, g.valid)
	if !lends {
		x.fields(f, g.unit).Debug("offered")
		return g, nil
	}
	c, asked := x.Client, g.valid
	c.Owner, c.ID = f.owner, x.id(f.association)
	var refused error
	err = x.under.Hold(func(done func(error)) {
		if g.valid, refused = x.book.Commit(c, got, asked, done, from...); refused != nil {
			done(nil)
		}
	})
	switch {
	case err != nil: // only where the server does not hold replies; the journal has logged why
		return g, errors.New("its lease is not written: " + err.Error())
	case refused != nil && x.policy.Load() != x.now:
		return g, errChanged
	case refused != nil: // somebody else was faster
		x.line(logrus.InfoLevel, refused.Error(), f, g.unit, "refused", logrus.Fields{"because": refused.Error()})
		x.none(f)
		return given{}, nil
	}
	level := logrus.InfoLevel
	if g.valid < asked {
		level = logrus.DebugLevel // nothing has changed
	} else if asked == forever {
		g.valid = forever
	}
	g.preferred = min(g.preferred, g.valid)
	x.fields(f, g.unit).WithField("for", g.valid.String()).Log(level, "leased")
	return g, nil
}

// choose reserves what an association gets: what is reserved for the machine if nobody else was offered it.
func (x *exchange6) choose(f *fate) (got netip.Addr, from []*lease.Pool, err error) {
	if f.own != nil {
		fixed := x.fixed
		if f.of == prefixes {
			fixed = x.fixedPrefix.Addr()
		}
		from = []*lease.Pool{f.own}
		if got, err = x.book.Offer(f.owner, fixed, from...); err == nil {
			return got, from, nil
		}
	}
	got, err = x.book.Offer(f.owner, f.want, f.from...)
	return got, f.from, err
}

// none tells that there is nothing for an association.
func (x *exchange6) none(f *fate) {
	*f = f.refused(iana.StatusNoAddrsAvail, saidNoAddrs)
	if f.of == prefixes {
		*f = f.refused(iana.StatusNoPrefixAvail, saidNoPrefix)
	}
}

func (x *exchange6) exhausted(f *fate) {
	x.none(f)
	x.counts.Exhausted.Inc()
	what := "no address is free; enlarge the pools of the network or shorten the lease time"
	if f.of == prefixes {
		what = "no prefix is free; enlarge what the network delegates or shorten the lease time"
	}
	x.line(logrus.WarnLevel, what, f, netip.Prefix{}, what, nil)
}

// end ends a lease that the client gives back or found in use.
func (x *exchange6) end(f *fate, l lease.Lease) {
	switch {
	case x.kind == dhcpv6.MessageTypeRelease && x.book.Release(l.Owner, l.Addr):
		x.fields(f, l.Prefix).Info("released")
	case x.kind == dhcpv6.MessageTypeDecline && x.book.Decline(l.Owner, l.Addr):
		x.fields(f, l.Prefix).Warn("declined: somebody uses the address without a lease; nobody gets it for a day, as long as others are free")
	}
}

// drop ends the request without a reply.
func (x *exchange6) drop(p plan6) (dhcpv6.DHCPv6, bool) {
	level := logrus.InfoLevel
	if p.quiet {
		level = logrus.DebugLevel
	}
	x.line(level, p.because, nil, netip.Prefix{}, "no lease", logrus.Fields{"because": p.because})
	return nil, true
}

// line logs what can be asked for without end; see seldom.
func (x *exchange6) line(level logrus.Level, cause string, f *fate, unit netip.Prefix, message string, more logrus.Fields) {
	x.lines.log(x.log, level, cause, message, func() *logrus.Entry { return x.fields(f, unit).WithFields(more) })
}

// fields are those of a line about the client and what it has.
func (x *exchange6) fields(f *fate, unit netip.Prefix) *logrus.Entry {
	fields := logrus.Fields{"duid": hex.EncodeToString([]byte(x.duid[:min(len(x.duid), maxDUID)]))}
	if x.mac.Known() {
		fields["mac"] = x.mac.String()
	}
	switch {
	case unit.IsValid() && unit.IsSingleIP():
		fields["ip"] = unit.Addr().String()
	case unit.IsValid():
		fields["delegated"] = unit.String() // prefix is a key of CoreDHCP's
	}
	if f != nil {
		fields["iaid"] = hex.EncodeToString(f.iaid[:])
	}
	x.whereabouts(fields, x.Hostname, x.link)
	return x.log.WithFields(fields)
}
