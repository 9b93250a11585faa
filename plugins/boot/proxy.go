package boot

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/server/request"
)

// portPXE is where firmware asks a ProxyDHCP server for the boot file, once it has its address from the other server.
const portPXE = 4011

// proxy4 answers beside the server that gives the addresses. What is not for it is dropped: that server answers.
func (h *chain) proxy4(now *loaded, req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	r := request.Of(req)
	c, err := netboot.Client4(req)
	if err != nil {
		h.pass(&c, passedUnreadable, err.Error())
		return nil, true
	}
	c.Local, c.IP = proxyAddress(r, resp), addr(req.ClientIPAddr.To4())
	if why := h.notForProxy(r, req, &c); why != "" {
		h.pass(&c, why, "")
		return nil, true
	}
	a, mine := h.decide(now, &c)
	if !mine {
		return nil, true
	}
	if a.Item == (netboot.BootItem{}) && netboot.Type4(req) == dhcpv4.MessageTypeRequest && r.Local().Port() != portPXE {
		h.pass(&c, passedOtherServer, "")
		return nil, true
	}
	if given := addr(resp.YourIPAddr.To4()); given.IsValid() && !given.IsUnspecified() {
		h.lends.Do(func() {
			h.log.Warn("a plugin before boot gives addresses, but the map says mode: proxy, so they are left out of every reply: remove the plugin, or write mode: full")
		})
	}
	resp.UpdateOption(dhcpv4.OptServerIdentifier(net.IP(c.Local.AsSlice())))
	resp.ClientIPAddr = req.ClientIPAddr
	a.Write4(req, resp)
	if !r.Local().IsValid() {
		h.underStock(req, resp)
	}
	h.answered(&c, a, resp)
	return h.delayed(now.ReplyDelay, r, resp)
}

// proxyAddress is ours on the client's side: what server_id put into the reply, or else the address that was asked.
func proxyAddress(r *request.Request, resp *dhcpv4.DHCPv4) netip.Addr {
	if id := netboot.Server4(resp); id.IsValid() {
		return id
	}
	return r.Source()
}

// notForProxy is why a request is the other server's alone; empty: it may be ours too. A REQUEST on port 67 can still
// be one for a boot server of a menu, which the policy tells.
func (h *chain) notForProxy(r *request.Request, req *dhcpv4.DHCPv4, c *netboot.Client) string {
	onPXEPort := r.Local().Port() == portPXE
	switch kind := netboot.Type4(req); {
	case c.Firmware == netboot.FirmwareNone:
		return passedNotBoot
	case !c.Local.Is4():
		h.noServerID.Do(func() {
			h.log.Error("this host's address towards the machines is not known, so no machine is told where to boot from: give the interface an address, or put server_id before boot in the chain")
		})
		return passedNoServerID
	case kind == dhcpv4.MessageTypeDiscover && onPXEPort, // there is no address to offer there
		kind != dhcpv4.MessageTypeDiscover && kind != dhcpv4.MessageTypeRequest && kind != dhcpv4.MessageTypeInform:
		return passedOtherServer
	case kind == dhcpv4.MessageTypeRequest:
		other := addr(req.ServerIdentifier().To4())
		if other.IsValid() && other != c.Local || !onPXEPort && c.Item == (netboot.BootItem{}) {
			return passedOtherServer
		}
	}
	return ""
}

// underStock does what can be done where CoreDHCP's own loop delivers. That loop would put an offer without an address
// into a frame to 0.0.0.0 unless the request wants a broadcast, and it answers port 68 whoever asked, so that UEFI
// firmware, which asks from port 4011, never hears of its file.
func (h *chain) underStock(req, resp *dhcpv4.DHCPv4) {
	h.noPXEPort.Do(func() {
		h.log.Warn("mode proxy under a server that tells no port: UEFI PXE firmware asks port 4011, which only netboot-dhcpd answers, so it will not boot (BIOS, iPXE and HTTP boot will; profile: fast serves UEFI from 2017 on)")
	})
	if netboot.Type4(resp) == dhcpv4.MessageTypeOffer && addr(req.GatewayIPAddr.To4()).IsUnspecified() {
		req.SetBroadcast()
	}
}

// delayed holds an offer back for machines that are not ready for one at once. No worker waits meanwhile.
func (h *chain) delayed(delay time.Duration, r *request.Request, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if delay == 0 || netboot.Type4(resp) != dhcpv4.MessageTypeOffer {
		return resp, false
	}
	if err := r.Hold(func(done func(error)) { time.AfterFunc(delay, func() { done(nil) }) }); err != nil {
		return nil, true
	}
	return resp, false
}
