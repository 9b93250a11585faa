package pool

import (
	"errors"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lend"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/server/request"
)

// chain lends the addresses of one pool.
type chain struct {
	settings
	book   *lease.Book
	pool   *lease.Pool
	log    *logrus.Entry
	counts *lend.Counts

	warned atomic.Int64 // when the log last had that the pool is exhausted, in Unix seconds
}

// ethernet is the hardware type of ARP (RFC 1700).
const ethernet = 1

// asker is who asks, and for what.
type asker struct {
	lease.Client
	req, resp *dhcpv4.DHCPv4
	under     *request.Request
	relay     netip.Addr   // invalid: none
	network   netip.Prefix // of the pool's addresses; invalid: not known
}

// Handle4 lends an address, takes it back, or refuses one that is asked for. It drops what it cannot serve.
func (h *chain) Handle4(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if resp == nil {
		return nil, false
	}
	var handle func(*asker) (*dhcpv4.DHCPv4, bool)
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		handle = h.discover
	case dhcpv4.MessageTypeRequest:
		handle = h.request
	case dhcpv4.MessageTypeRelease:
		handle = h.release
	case dhcpv4.MessageTypeDecline:
		handle = h.decline
	default:
		return resp, false // an INFORM has an address
	}
	if len(req.ClientHWAddr) == 0 {
		return h.drop(&asker{req: req}, "the client has no hardware address")
	}
	a := h.read(req, resp)
	if len(a.ID) > lend.MaxEcho {
		return h.drop(a, "its client identifier is too long to come back in a reply, as RFC 6842 demands")
	}
	if a.network.IsValid() && a.relay.IsValid() && !a.network.Contains(a.relay) {
		return h.drop(a, "its relay is in another network than the pool")
	}
	return handle(a)
}

// read tells who asks. A relay that names the client's network counts by that (RFC 3527), or by its own address.
func (h *chain) read(req, resp *dhcpv4.DHCPv4) *asker {
	a := &asker{req: req, resp: resp, under: request.Of(req), relay: lend.Addr(req.GatewayIPAddr)}
	a.Client = lease.Client{
		Owner: lend.Owner(uint8(req.HWType), req.ClientHWAddr), MAC: string(req.ClientHWAddr),
		ID: string(req.Options.Get(dhcpv4.OptionClientIdentifier)), Hostname: string(req.Options.Get(dhcpv4.OptionHostName)),
	}
	if agent := req.RelayAgentInfo(); agent != nil {
		a.CircuitID = string(agent.Get(dhcpv4.AgentCircuitIDSubOption))
		a.RemoteID = string(agent.Get(dhcpv4.AgentRemoteIDSubOption))
		if link := lend.Addr(agent.Get(dhcpv4.LinkSelectionSubOption)); link.IsValid() {
			a.relay = link
		}
	}
	if mask := resp.SubnetMask(); mask != nil {
		bits, _ := mask.Size()
		a.network = netip.PrefixFrom(h.addrs.First, bits).Masked()
		return a
	}
	for _, p := range a.under.Interface().Addresses {
		if p.Contains(h.addrs.First) && p.Contains(h.addrs.Last) {
			a.network = p.Masked()
		}
	}
	return a
}

func (a *asker) option(code dhcpv4.OptionCode) netip.Addr { return lend.Addr(a.req.Options.Get(code)) }

func (h *chain) discover(a *asker) (*dhcpv4.DHCPv4, bool) {
	got, err := h.book.Offer(a.Owner, a.option(dhcpv4.OptionRequestedIPAddress), h.pool)
	if err != nil {
		h.exhausted(a)
		return nil, true
	}
	if !netboot.IsPiROM4(a.req) {
		h.write(a, got, h.time)
		if h.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
			h.fields(a, got).Debug("offered")
		}
		return a.resp, false
	}
	return h.lend(a, got)
}

// request serves the four states that a client asks in (RFC 2131 section 4.3.2).
func (h *chain) request(a *asker) (*dhcpv4.DHCPv4, bool) {
	if !lend.MeansUs(a.req, a.resp) {
		h.book.Withdraw(a.Owner, h.pool)
		return h.drop(a, "it chose the server "+a.option(dhcpv4.OptionServerIdentifier).String())
	}
	want := lend.Addr(a.req.ClientIPAddr) // renewing or rebinding
	if !want.IsValid() {
		want = a.option(dhcpv4.OptionRequestedIPAddress)
	}
	switch {
	case !want.IsValid():
		return h.drop(a, "it asks for no address")
	case a.network.IsValid() && !a.network.Contains(want):
		return h.refuse(a, want, errors.New("the address is of another network"))
	}
	return h.lend(a, want)
}

// lend has the lease written; the reply leaves when it is.
func (h *chain) lend(a *asker, want netip.Addr) (*dhcpv4.DHCPv4, bool) {
	var granted time.Duration
	var refused error
	err := a.under.Hold(func(done func(error)) {
		if granted, refused = h.book.Commit(a.Client, want, h.time, done, h.pool); refused != nil {
			done(nil)
		}
	})
	switch {
	case err != nil: // only where the server does not hold replies; the journal has logged why
		return h.drop(a, "its lease is not written: "+err.Error())
	case errors.Is(refused, lease.ErrOutside) && !a.option(dhcpv4.OptionServerIdentifier).IsValid():
		return h.drop(a, "it asks for "+want.String()+", which is not of the pool") // perhaps another server's
	case refused != nil:
		return h.refuse(a, want, refused)
	}
	h.write(a, want, granted)
	a.resp.ClientIPAddr = a.req.ClientIPAddr
	level := logrus.InfoLevel
	if granted < h.time {
		level = logrus.DebugLevel // nothing has changed
	}
	if h.log.Logger.IsLevelEnabled(level) {
		h.fields(a, want).WithField("for", granted.String()).Log(level, "leased")
	}
	return a.resp, false
}

func (h *chain) write(a *asker, got netip.Addr, d time.Duration) {
	a.resp.YourIPAddr = got.AsSlice()
	a.resp.UpdateOption(dhcpv4.OptIPAddressLeaseTime(d))
}

// refuse tells the client to begin anew. The chain ends, since a NAK has nothing that a later plugin could add.
func (h *chain) refuse(a *asker, want netip.Addr, why error) (*dhcpv4.DHCPv4, bool) {
	lend.Refuse(a.resp)
	h.counts.NAKs.Inc()
	h.fields(a, want).WithField("because", why.Error()).Info("refused")
	return a.resp, true
}

// release and decline are never answered.
func (h *chain) release(a *asker) (*dhcpv4.DHCPv4, bool) {
	if ip := lend.Addr(a.req.ClientIPAddr); lend.MeansUs(a.req, a.resp) && h.book.Release(a.Owner, ip) {
		h.fields(a, ip).Info("released")
	}
	return nil, true
}

func (h *chain) decline(a *asker) (*dhcpv4.DHCPv4, bool) {
	if ip := a.option(dhcpv4.OptionRequestedIPAddress); lend.MeansUs(a.req, a.resp) && h.book.Decline(a.Owner, ip) {
		h.fields(a, ip).Warn("declined: somebody uses the address without a lease; nobody gets it for a day, as long as others are free")
	}
	return nil, true
}

// exhaustedEvery is the time between two warnings.
const exhaustedEvery = 10

func (h *chain) exhausted(a *asker) {
	h.counts.Exhausted.Inc()
	now, last := time.Now().Unix(), h.warned.Load()
	if now-last >= exhaustedEvery && h.warned.CompareAndSwap(last, now) {
		h.fields(a, netip.Addr{}).WithField("range", label(h.addrs)).Warn("no address is free; enlarge the range or shorten the lease time")
	}
}

// drop ends the request without a reply.
func (h *chain) drop(a *asker, because string) (*dhcpv4.DHCPv4, bool) {
	if h.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		h.fields(a, netip.Addr{}).WithField("because", because).Debug("no lease")
	}
	return nil, true
}

func (h *chain) fields(a *asker, ip netip.Addr) *logrus.Entry {
	fields := logrus.Fields{"mac": a.req.ClientHWAddr.String()}
	if ip.IsValid() {
		fields["ip"] = ip.String()
	}
	if a.Hostname != "" {
		fields["hostname"] = strconv.QuoteToASCII(a.Hostname[:min(len(a.Hostname), 64)])
	}
	if a.relay.IsValid() {
		fields["relay"] = a.relay.String()
	}
	return h.log.WithFields(fields)
}
