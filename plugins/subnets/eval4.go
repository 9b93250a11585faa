package subnets

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// environment4 is the request as expressions see it.
func environment4(req *dhcpv4.DHCPv4, c *client4) policy.Env {
	env := policy.Env{
		Options: option.FromMap(req.Options), Hardware: append([]byte{byte(req.HWType)}, req.ClientHWAddr...),
		File: []byte(req.BootFileName), ServerName: []byte(req.ServerHostName),
	}
	if !c.fromPort && (c.CircuitID != "" || c.RemoteID != "") {
		env.Options.Add(optAgent, agentInfo(c.CircuitID, c.RemoteID)) // as the relay told it once
	}
	return env
}

const optAgent = 82

// agentInfo is option 82 with these parts.
func agentInfo(circuit, remote string) (b []byte) {
	for i, part := range []string{circuit, remote} {
		if part != "" {
			b = append(append(b, byte(i+1), byte(len(part))), part...)
		}
	}
	return b
}

// outcome evaluates what the client is told, with an address; invalid: it has none of us.
func (x *exchange) outcome(a netip.Addr) *policy.Outcome {
	at := policy.Path{Network: x.now.scope, Classes: x.classes}
	x.env.Known, x.env.Static, x.env.Address = x.known, a.IsValid() && a == x.fixed, a
	near := a
	if !near.IsValid() {
		near = x.ciaddr
	}
	if s := x.now.subnet(near); s != nil {
		at.Network = s.scope
	}
	if p := x.now.pool(near); p != nil && !x.env.Static {
		at.Pool = p.scope
	}
	if x.machine != nil {
		at.Host, x.env.HostName = x.machine.scope, x.machine.name
	}
	return x.now.rules.Evaluate(&x.env, at)
}

// leaseTime is for how long an address is lent.
func leaseTime(o *policy.Outcome, c *client4, req *dhcpv4.DHCPv4) time.Duration {
	if c.bootp {
		return forever
	}
	var asked uint32
	if v := req.Options[dhcpv4.OptionIPAddressLeaseTime.Code()]; len(v) == 4 {
		asked = binary.BigEndian.Uint32(v)
	}
	return o.LeaseTime(asked)
}

// write puts the address and what else the client is told into the reply, and is done with the outcome.
func (x *exchange) write(o *policy.Outcome, a netip.Addr, lent time.Duration) {
	resp := x.resp
	if v, selected := x.req.Options[optSubnetSelection]; selected {
		resp.Options[optSubnetSelection] = v // RFC 3011 section 3
	}
	for _, set := range o.Reply4() {
		resp.Options[uint8(set.Code)] = set.Value
	}
	if a.IsValid() {
		resp.YourIPAddr = a.AsSlice()
		if !x.bootp {
			resp.Options[dhcpv4.OptionIPAddressLeaseTime.Code()] = binary.BigEndian.AppendUint32(nil, uint32(lent/time.Second))
		}
	}
	if next := o.Address(policy.NextServer); next.Is4() {
		resp.ServerIPAddr = next.AsSlice()
	}
	if file := o.Text(policy.Filename); file != "" {
		resp.BootFileName = file
	}
	if name := o.Text(policy.ServerName); name != "" {
		resp.ServerHostName = name
	}
	o.Done()
}
