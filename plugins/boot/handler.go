package boot

import (
	"net/netip"
	"strconv"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// chain answers the requests of one plugin chain by one policy.
type chain struct {
	loaded *live.Value[loaded]
	log    *logrus.Entry
	counts *counts

	noServerID sync.Once
}

// loaded is a policy with what it needs of this host.
type loaded struct {
	*Policy
	local6 netip.Addr // ours, for DHCPv6 clients on our own links; invalid where the map does not need it
}

// Why a request was passed on without a boot answer: the values of the metric's label.
const (
	passedUnreadable = "unreadable"
	passedNotBoot    = "not-boot"
	passedNoRule     = "no-rule"
	passedNoServerID = "no-server-id"
)

// Handle4 adds the boot answer to a DHCPv4 reply. It never ends the chain and never drops.
func (h *chain) Handle4(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if resp == nil {
		return nil, false
	}
	switch resp.MessageType() {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck:
	default:
		return resp, false // a NAK, or a RELEASE that nobody answers
	}
	netboot.EchoUUID4(req, resp)
	c, err := netboot.Client4(req)
	if err != nil {
		h.pass(&c, passedUnreadable, err.Error())
		return resp, false
	}
	c.Local = addr(resp.ServerIdentifier().To4())
	c.IP = addr(resp.YourIPAddr.To4())
	if !c.IP.IsValid() || c.IP.IsUnspecified() {
		c.IP = addr(req.ClientIPAddr.To4())
	}
	if !c.Local.IsValid() {
		h.noServerID.Do(func() {
			h.log.Error("no reply has a server identifier yet, so no machine is told where to boot from: put server_id before boot in the chain")
		})
		h.pass(&c, passedNoServerID, "")
		return resp, false
	}
	a, mine := h.loaded.Load().DecideTraced(&c, h.suspect)
	if !mine {
		h.notMine(&c, a)
		return resp, false
	}
	a.Write4(req, resp)
	keepOurSource(req, &c, a)
	h.answered(&c, a, resp.MessageType().String())
	return resp, false
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
	c, err := netboot.Client6(req)
	if err != nil {
		h.pass(&c, passedUnreadable, err.Error())
		return resp, false
	}
	c.Local = now.local6
	if c.Relay.Addr.IsValid() {
		if source, err := sourceTowards(c.Relay.Addr); err == nil {
			c.Local = source
		}
	}
	if ia := msg.Options.OneIANA(); ia != nil && ia.Options.OneAddress() != nil {
		c.IP = addr(ia.Options.OneAddress().IPv6Addr)
	}
	a, mine := now.DecideTraced(&c, h.suspect)
	if !mine {
		h.notMine(&c, a)
		return resp, false
	}
	a.Write6(msg)
	h.answered(&c, a, msg.MessageType.String())
	return resp, false
}

func addr(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}

// suspect logs a client whose own words would have led it astray.
func (h *chain) suspect(c *netboot.Client, entry string, why Reason) {
	if why.suspicious() || why == ReasonNoServer {
		h.fields(c).WithFields(logrus.Fields{"because": entry, "hostname": strconv.QuoteToASCII(c.Hostname)}).Warn("boot refused: " + why.String())
	}
}

// notMine passes a client on: an operating system silently, a machine that wants to boot with a line.
func (h *chain) notMine(c *netboot.Client, a netboot.Answer) {
	if !c.Boots() {
		h.pass(c, passedNotBoot, "")
		return
	}
	because := "no rule matches"
	if a.Because != "" {
		because = a.Because + " says ignore"
	}
	h.counts.passed.WithLabelValues(passedNoRule).Inc()
	h.fields(c).WithField("because", because).Info("no boot answer")
}

func (h *chain) pass(c *netboot.Client, why, detail string) {
	h.counts.passed.WithLabelValues(why).Inc()
	if h.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		h.fields(c).WithFields(logrus.Fields{"because": why, "detail": detail, "class": strconv.QuoteToASCII(c.VendorClass)}).Debug("no boot answer")
	}
}

func (h *chain) answered(c *netboot.Client, a netboot.Answer, reply string) {
	h.counts.answers.WithLabelValues(c.Firmware.String()).Inc()
	if !h.log.Logger.IsLevelEnabled(logrus.InfoLevel) {
		return
	}
	h.fields(c).WithFields(logrus.Fields{
		"reply": reply, "file": a.File, "server": a.Server, "because": a.Because,
	}).Info("boot")
}

func (h *chain) fields(c *netboot.Client) *logrus.Entry {
	id := c.MAC.String()
	if id == "" {
		id = c.UUID.String()
	}
	return h.log.WithFields(logrus.Fields{"mac": id, "fw": c.Arch.String() + "/" + c.Firmware.String()})
}
