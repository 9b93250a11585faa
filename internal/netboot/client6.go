package netboot

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// enterpriseIntel stands before the vendor class of PXE and HTTP firmware (RFC 5970 section 3.3; EDK2, iPXE).
const enterpriseIntel = 343

// Client6 reads a DHCPv6 request, relayed or not. It fails on a message without a client inside.
func Client6(req dhcpv6.DHCPv6) (Client, error) {
	msg, err := req.GetInnerMessage()
	if err != nil {
		return Client{}, fmt.Errorf("has no client message inside: %w", err)
	}
	c := Client{V6: true, VendorClass: vendorClass6(msg), Relay: relay6(req)}
	ipxe := false
	classes := msg.Options.UserClasses()
	for _, class := range classes[:min(len(classes), maxClasses)] {
		t := text(class)
		c.UserClasses = append(c.UserClasses, t)
		ipxe = ipxe || isIPXEClass(t)
	}
	if fqdn := msg.Options.FQDN(); fqdn != nil && fqdn.DomainName != nil && len(fqdn.DomainName.Labels) > 0 {
		c.Hostname = text([]byte(fqdn.DomainName.Labels[0]))
	}
	var arch []byte
	if opt := msg.GetOneOption(dhcpv6.OptionClientArchType); opt != nil {
		arch = opt.ToBytes()
	}
	c.classify(arch, len(arch) > 0, ipxe)
	c.identify(req, msg)
	if c.Firmware == FirmwareNone {
		c.Asks = msg.IsOptionRequested(dhcpv6.OptionBootfileURL)
	}
	return c, nil
}

// vendorClass6 is the text of option 16 that tells firmware, or else its first text.
func vendorClass6(msg *dhcpv6.Message) string {
	first := ""
	for _, vc := range msg.Options.VendorClasses() {
		for _, data := range vc.Data {
			t := text(data)
			if strings.HasPrefix(t, "PXEClient") || strings.HasPrefix(t, "HTTPClient") {
				return t
			}
			if first == "" {
				first = t
			}
		}
	}
	return first
}

// identify finds the MAC and the UUID. DHCPv6 has no chaddr: the MAC is in the DUID, or a relay tells it (RFC 6939), or
// it can be read off the link-local address that a relay saw. EDK2 and iPXE identify themselves by a DUID-UUID, which
// EDK2 sends as it lies in memory and iPXE in text order.
func (c *Client) identify(req dhcpv6.DHCPv6, msg *dhcpv6.Message) {
	switch duid := msg.Options.ClientID().(type) {
	case *dhcpv6.DUIDLL:
		c.MAC = MACFrom(duid.LinkLayerAddr)
	case *dhcpv6.DUIDLLT:
		c.MAC = MACFrom(duid.LinkLayerAddr)
	case *dhcpv6.DUIDUUID:
		if c.Firmware == FirmwareIPXE {
			c.UUID = UUID(duid.UUID)
		} else {
			c.UUID = uuidLittleEndian(duid.UUID[:])
		}
	}
	relay := innermostRelay(req)
	if relay == nil {
		return
	}
	if _, hw := relay.Options.ClientLinkLayerAddress(); len(hw) > 0 {
		c.MAC = MACFrom(hw)
	} else if !c.MAC.Known() {
		c.MAC = macFromEUI64(relay.PeerAddr)
	}
}

// MACFromEUI64 is the MAC that a link-local address was made of; unknown: it was not.
func MACFromEUI64(a netip.Addr) MAC {
	if !a.Is6() {
		return MAC{}
	}
	ip := a.As16()
	return macFromEUI64(ip[:])
}

func macFromEUI64(ip net.IP) MAC {
	if len(ip) != net.IPv6len || !ip.IsLinkLocalUnicast() || ip[11] != 0xff || ip[12] != 0xfe {
		return MAC{}
	}
	return MACFrom([]byte{ip[8] ^ 2, ip[9], ip[10], ip[13], ip[14], ip[15]})
}

// innermostRelay is the relay on the client's link; nil without one.
func innermostRelay(req dhcpv6.DHCPv6) *dhcpv6.RelayMessage {
	var last *dhcpv6.RelayMessage
	for {
		relay, ok := req.(*dhcpv6.RelayMessage)
		if !ok {
			return last
		}
		last = relay
		req = relay.Options.RelayMessage()
	}
}

func relay6(req dhcpv6.DHCPv6) (r Relay) {
	relay := innermostRelay(req)
	if relay == nil {
		return r
	}
	// A switch that relays on the link (LDRA, RFC 6221) has no address; the next relay tells the link.
	for m, ok := req.(*dhcpv6.RelayMessage); ok && m != nil; m, ok = m.Options.RelayMessage().(*dhcpv6.RelayMessage) {
		if link, ok := netip.AddrFromSlice(m.LinkAddr); ok && !link.IsUnspecified() {
			r.Addr = link
		}
	}
	r.CircuitID = string(relay.Options.InterfaceID())
	if id := relay.Options.RemoteID(); id != nil {
		r.RemoteID = string(id.RemoteID)
	}
	return r
}
