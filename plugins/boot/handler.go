package boot

import (
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/server/request"
)

// chain answers the requests of one plugin chain by one policy.
type chain struct {
	loaded *live.Value[loaded]
	log    *logrus.Entry
	counts *counts

	clients    sync.Pool // of *netboot.Client: who asked, which nobody keeps
	noServerID sync.Once
	decided    func(Decision) // nil: nobody wants to hear
	noPXEPort  sync.Once
	lends      sync.Once
}

// Handle4 adds the boot answer to a DHCPv4 reply. It never ends the chain, and drops only in mode proxy what the other
// server answers.
func (h *chain) Handle4(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if resp == nil {
		return nil, false
	}
	now := h.loaded.Load()
	if now.Mode == netboot.ModeProxy {
		return h.proxy4(now, req, resp)
	}
	switch netboot.Type4(resp) {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck:
	default:
		return resp, false // a NAK, or what stock CoreDHCP makes of a RELEASE
	}
	netboot.EchoUUID4(req, resp)
	c := h.newClient()
	defer h.clients.Put(c)
	var err error
	if *c, err = netboot.Client4(req); err != nil {
		h.pass(c, passedUnreadable, err.Error())
		return resp, false
	}
	r := request.Of(req)
	c.Local = local(r, netboot.Server4(resp))
	c.Place, _ = request.Left[netboot.Place](r)
	c.IP = addr(resp.YourIPAddr.To4())
	if !c.IP.IsValid() || c.IP.IsUnspecified() {
		c.IP = addr(req.ClientIPAddr.To4())
	}
	if !c.Local.IsValid() {
		h.noServerID.Do(func() {
			h.log.Error("no reply has a server identifier yet, so no machine is told where to boot from: put server_id before boot in the chain")
		})
		h.pass(c, passedNoServerID, "")
		return resp, false
	}
	a, mine := h.decide(now, c)
	if !mine {
		return resp, false
	}
	a.Write4(req, resp)
	if r == nil {
		keepOurSource(req, c, a)
	}
	h.answered(c, a, resp)
	return resp, false
}

// newClient is memory for who asks, until it is put back.
func (h *chain) newClient() *netboot.Client {
	if c, used := h.clients.Get().(*netboot.Client); used {
		return c
	}
	return new(netboot.Client)
}

// local is our address for a client: the server identifier, unless the server knows that the interface which the request
// came in on has other addresses.
func local(r *request.Request, id netip.Addr) netip.Addr {
	known := r.Source()
	ours := slices.ContainsFunc(r.Interface().Addresses, func(p netip.Prefix) bool { return p.Addr() == id })
	if !known.IsValid() || !id.IsValid() || ours {
		return id
	}
	return known
}

// keepOurSource makes CoreDHCP's own loop broadcast a reply whose next-server is another host. That loop sends a
// unicast with siaddr as its IP source (server/sendEthernet.go), which would speak in the other host's name. It decides
// by the flag of the request; the reply's flag was copied before and stays as the client sent it.
func keepOurSource(req *dhcpv4.DHCPv4, c *netboot.Client, a netboot.Answer) {
	if a.Server != c.Local && !c.Relay.Addr.IsValid() && addr(req.ClientIPAddr.To4()).IsUnspecified() {
		req.SetBroadcast()
	}
}

// Handle6 adds the boot answer to a DHCPv6 reply. It never ends the chain and never drops.
func (h *chain) Handle6(req, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) {
	msg, ok := resp.(*dhcpv6.Message)
	if !ok || msg == nil {
		return resp, false
	}
	now := h.loaded.Load()
	netboot.WritePreference6(msg, now.Preference)
	if !startsBoot(req) {
		return resp, false
	}
	c, err := netboot.Client6(req)
	if err != nil {
		h.pass(&c, passedUnreadable, err.Error())
		return resp, false
	}
	c.Local = now.local6
	c.Place, _ = request.Left[netboot.Place](request.Of(req))
	if source := request.Of(req).Source(); source.IsGlobalUnicast() {
		c.Local = source
	}
	if now.auto6 != "" && !now.fixed6 && c.Relay.Addr.IsGlobalUnicast() {
		c.Local, _ = sourceTowards(c.Relay.Addr) // without one the entries that need it say so
	}
	if ia := msg.Options.OneIANA(); ia != nil && ia.Options.OneAddress() != nil {
		c.IP = addr(ia.Options.OneAddress().IPv6Addr)
	}
	a, mine := h.decide(now, &c)
	if !mine {
		return resp, false
	}
	a.Write6(msg)
	h.answeredAs(&c, a, msg.MessageType.String())
	return resp, false
}

// decide asks the policy, counts what it decides, and records who gets no answer.
func (h *chain) decide(now *loaded, c *netboot.Client) (netboot.Answer, bool) {
	var passed passedOver
	var a netboot.Answer
	var mine bool
	if h.decided == nil {
		a, mine = now.DecideTraced(c, passed.hear)
	} else {
		a, mine = h.decideAloud(now.Policy, c, &passed)
	}
	if a.Because != "" {
		h.tally(now, c, a.Because)
	}
	h.suspect(c, passed)
	if !mine {
		h.notMine(c, a, passed)
	}
	return a, mine
}

// decideAloud asks the policy, and tells who wants to hear all that it considered.
func (h *chain) decideAloud(p *Policy, c *netboot.Client, passed *passedOver) (netboot.Answer, bool) {
	d := Decision{Policy: p}
	d.Answer, d.Answered = p.DecideTraced(c, func(c *netboot.Client, r Refusal) {
		passed.hear(c, r)
		d.Refused = append(d.Refused, r)
	})
	d.Client = *c
	h.decided(d)
	return d.Answer, d.Answered
}

// startsBoot tells the messages that a client learns its boot file from; firmware does not look at others.
func startsBoot(req dhcpv6.DHCPv6) bool {
	msg, err := req.GetInnerMessage()
	return err != nil || msg.MessageType == dhcpv6.MessageTypeSolicit || msg.MessageType == dhcpv6.MessageTypeRequest ||
		msg.MessageType == dhcpv6.MessageTypeInformationRequest
}

func addr(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}

// passedOver is the entry that matched a client and could not answer it: the first suspicious one, or else the first.
type passedOver struct {
	entry string
	why   Reason
}

func (p *passedOver) hear(_ *netboot.Client, r Refusal) {
	entry, why := r.Entry, r.Why
	if why.matched() && (p.why == ReasonNone || why.suspicious() && !p.why.suspicious()) {
		p.entry, p.why = entry, why
	}
}

// suspect logs, once for a request, a client whose own words would have led it astray.
func (h *chain) suspect(c *netboot.Client, p passedOver) {
	if p.why.suspicious() || p.why == ReasonNoServer {
		h.line(c, logrus.Fields{"because": p.entry, "hostname": strconv.QuoteToASCII(c.Hostname[:min(len(c.Hostname), 64)])}).Warn("boot refused: " + p.why.String())
	}
}

// notMine passes a client on: an operating system silently, a machine that wants to boot with a line.
func (h *chain) notMine(c *netboot.Client, a netboot.Answer, p passedOver) {
	if !c.Boots() {
		h.pass(c, passedNotBoot, "")
		return
	}
	because, why := "no rule matches", passedNoRule
	switch {
	case a.Because != "":
		because, why = a.Because+" says ignore", passedIgnored
	case p.why != ReasonNone:
		because = p.entry + ": " + p.why.String()
	}
	h.counts.passed.WithLabelValues(why).Inc()
	h.line(c, logrus.Fields{"because": because}).Info("no boot answer")
}

func (h *chain) pass(c *netboot.Client, why, detail string) {
	h.counts.passed.WithLabelValues(why).Inc()
	if h.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		h.line(c, logrus.Fields{"because": why, "detail": detail, "class": strconv.QuoteToASCII(c.VendorClass)}).Debug("no boot answer")
	}
}

func (h *chain) answered(c *netboot.Client, a netboot.Answer, resp *dhcpv4.DHCPv4) {
	reply := netboot.Type4(resp).String()
	if a.AskedAgain(resp) {
		reply += ", file on port 4011"
	}
	h.answeredAs(c, a, reply)
}

func (h *chain) answeredAs(c *netboot.Client, a netboot.Answer, reply string) {
	if !h.log.Logger.IsLevelEnabled(logrus.InfoLevel) {
		return
	}
	fields := logrus.Fields{"reply": reply, "file": a.File, "server": a.Server, "because": a.Because}
	if a.Menu != nil {
		fields["menu"] = len(a.Menu.Items)
	}
	h.line(c, fields).Info("boot")
}

// line is a log line about a client. It takes fields over.
func (h *chain) line(c *netboot.Client, fields logrus.Fields) *logrus.Entry {
	fields["fw"], fields["by"] = c.Arch.String()+"/"+c.Firmware.String(), c.ArchBy.String()
	if c.MAC.Known() || !c.UUID.Known() {
		fields["mac"] = c.MAC.String()
	} else {
		fields["uuid"] = c.UUID.String()
	}
	return h.log.WithFields(fields)
}
