package subnets

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// environment6 is the request as expressions see it.
func environment6(req dhcpv6.DHCPv6, msg *dhcpv6.Message) *policy.Env {
	env := &policy.Env{Options: setOf(msg.Options.Options)}
	for relay, ok := req.(*dhcpv6.RelayMessage); ok && relay != nil; relay, ok = relay.Options.RelayMessage().(*dhcpv6.RelayMessage) {
		env.Relays = append([]*option.Set{setOf(relay.Options.Options)}, env.Relays...)
	}
	return env
}

func setOf(options dhcpv6.Options) *option.Set {
	s := new(option.Set)
	for _, o := range options {
		s.Add(uint32(o.Code()), o.ToBytes())
	}
	return s
}

// outcome evaluates what the client is told, with an address or a delegated prefix; invalid: it has none of us.
func (x *exchange6) outcome(a netip.Addr) *policy.Outcome {
	at := policy.Path{Network: x.network.scope, Classes: x.classes}
	x.env.Known, x.env.Address = x.known, a
	x.env.Static = a.IsValid() && (a == x.fixed || a == x.fixedPrefix.Addr())
	if s := x.network.six(); s != nil {
		at.Network = s.scope
	}
	if s := x.now.subnet(a); s != nil {
		at.Network = s.scope
	}
	if p := x.now.pool(a); p != nil && !x.env.Static {
		at.Network, at.Pool = p.subnet.scope, p.scope
	}
	if x.machine != nil {
		at.Host, x.env.HostName = x.machine.scope, x.machine.name
	}
	return x.now.rules.Evaluate(x.env, at)
}

// preferred is for how long what is lent may be used for new connections: as told, or 5/8 of the time, as dhcpd.
func preferred(told *policy.Outcome, valid time.Duration) time.Duration {
	if seconds, set := told.Seconds(policy.PreferredLifetime); set {
		return min(time.Duration(seconds)*time.Second, valid)
	}
	if valid == forever {
		return forever
	}
	return (valid * 5 / 8).Truncate(time.Second)
}

// times are T1 and T2 of all associations of a message, so that the client extends all of them at once (RFC 8415 section
// 21.4).
func times(told []given) (renewal, rebinding time.Duration) {
	shortest := forever
	for _, g := range told {
		if g.unit.IsValid() {
			shortest = min(shortest, g.preferred)
		}
	}
	if shortest == forever {
		return forever, forever
	}
	return (shortest / 2).Truncate(time.Second), (shortest * 4 / 5).Truncate(time.Second)
}

// write puts an association into the reply: what it gets, what of it ends, or why it gets nothing.
func (x *exchange6) write(f *fate, g given) {
	var inside dhcpv6.Options
	switch {
	case f.said != "":
		inside.Add(&dhcpv6.OptStatusCode{StatusCode: f.status, StatusMessage: f.said})
		g = given{}
	case g.unit.IsValid():
		inside.Add(lent(f.of, g.unit, g.preferred, g.valid))
	default:
		g = given{}
	}
	for _, w := range f.wants {
		if f.ended && f.said == "" && w != g.unit {
			inside.Add(lent(f.of, w, 0, 0))
		}
	}
	switch f.of {
	case addresses:
		x.resp.AddOption(&dhcpv6.OptIANA{IaId: f.iaid, T1: g.renewal, T2: g.rebinding, Options: dhcpv6.IdentityOptions{Options: inside}})
	case prefixes:
		x.resp.AddOption(&dhcpv6.OptIAPD{IaId: f.iaid, T1: g.renewal, T2: g.rebinding, Options: dhcpv6.PDOptions{Options: inside}})
	case temporary:
		x.resp.AddOption(&dhcpv6.OptIATA{IaId: f.iaid, Options: dhcpv6.IdentityOptions{Options: inside}})
	}
}

func lent(of resource, unit netip.Prefix, preferred, valid time.Duration) dhcpv6.Option {
	if of == prefixes {
		return &dhcpv6.OptIAPrefix{
			Prefix:            &net.IPNet{IP: unit.Addr().AsSlice(), Mask: net.CIDRMask(unit.Bits(), 128)},
			PreferredLifetime: preferred, ValidLifetime: valid,
		}
	}
	return &dhcpv6.OptIAAddress{IPv6Addr: unit.Addr().AsSlice(), PreferredLifetime: preferred, ValidLifetime: valid}
}

// options puts what the file gives into the reply: what the client asks for (RFC 8415 section 21.7), in its order, and the
// preference.
func (x *exchange6) options(told *policy.Outcome) {
	has := map[dhcpv6.OptionCode]bool{}
	for _, o := range x.resp.Options.Options {
		has[o.Code()] = true
	}
	for _, o := range told.Reply6() {
		if code := dhcpv6.OptionCode(o.Code); !has[code] {
			x.resp.AddOption(&dhcpv6.OptionGeneric{OptionCode: code, OptionData: o.Value})
		}
	}
}
