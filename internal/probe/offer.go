package probe

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/packet"
)

// Offer is a server's reply, decoded: an OFFER, an ACK, a NAK or an answer on port 4011, and for DHCPv6 an ADVERTISE or a
// REPLY. Its texts are the server's, and may be any bytes.
type Offer struct {
	At   time.Duration  `json:"-"`
	Kind string         `json:"kind"` // OFFER, ACK, NAK, BOOTP; ADVERTISE, REPLY
	From netip.AddrPort `json:"from"`
	MAC  string         `json:"mac"` // of the sender, which may be a router

	Server     string       `json:"server,omitempty"` // its identifier: option 54, or a DUID
	Address    netip.Addr   `json:"address,omitzero"` // yiaddr, or that of the IA
	Bits       int          `json:"bits,omitempty"`   // of the net's prefix
	Router     netip.Addr   `json:"router,omitzero"`  // option 3
	DNS        []netip.Addr `json:"dns,omitempty"`    // option 6, or 23
	Class      string       `json:"class,omitempty"`  // option 60, or 16
	NextServer netip.Addr   `json:"next_server,omitzero"`
	Header     string       `json:"file,omitempty"`      // the header's file field
	Option67   string       `json:"option_67,omitempty"` // without NULs at its end
	Option66   string       `json:"option_66,omitempty"`
	URL        string       `json:"url,omitempty"` // option 59 of DHCPv6

	// Fields are the header and every option, in order; what they quote is escaped.
	Fields []packet.Field `json:"fields"`

	hw net.HardwareAddr
	p4 packet4
	v6 *advert6
}

// newOffer4 reads a reply of DHCPv4.
func newOffer4(d *datagram, at time.Duration) (*Offer, error) {
	p, err := parse4(d.payload)
	if err != nil {
		return nil, err
	}
	o := &Offer{
		At: at, Kind: packet.Type(d.payload), From: d.from, MAC: d.hwFrom.String(), hw: d.hwFrom, p4: p,
		Address: p.yiaddr, Router: p.addr(optRouter), DNS: p.addrs(optDNS), Class: text(p.get(optClass)), NextServer: p.siaddr,
		Option67: text(p.get(optFile)), Option66: text(p.get(optTFTPServer)),
	}
	if !packet.IsV4(d.payload) {
		o.Kind = "BOOTP"
	}
	if id := p.addr(optServer); id.IsValid() {
		o.Server = id.String()
	}
	if mask := p.get(optMask); len(mask) == 4 {
		o.Bits, _ = net.IPMask(mask).Size()
	}
	if !o.overloaded() {
		o.Header = text(p.file)
	}
	o.Fields, _ = packet.Fields(d.payload) // as far as they go: p tells what is wrong with it
	return o, nil
}

// overloaded tells that the header's file field holds options (52, bit 0).
func (o *Offer) overloaded() bool {
	v := o.p4.get(optOverload)
	return len(v) == 1 && v[0]&1 != 0
}

// leases tells an offer of an address from a proxy's, which has none.
func (o *Offer) leases() bool { return o.Address.IsValid() && !o.Address.IsUnspecified() }

// identity is how a client tells servers apart: the identifier, or else the addresses.
func (o *Offer) identity() netip.Addr {
	for _, a := range []netip.Addr{o.p4.addr(optServer), o.NextServer} {
		if a.IsValid() && !a.IsUnspecified() {
			return a
		}
	}
	return o.From.Addr()
}

// name is how a person tells servers apart.
func (o *Offer) name() string {
	if o.v6 != nil {
		return o.From.Addr().String()
	}
	if id := o.identity(); id != o.From.Addr() {
		return id.String() + " (from " + o.From.Addr().String() + ")"
	}
	return o.From.Addr().String()
}

func (o *Offer) pxeClient() bool  { return strings.HasPrefix(o.Class, "PXEClient") }
func (o *Offer) httpClient() bool { return strings.HasPrefix(o.Class, "HTTPClient") }

// optionFirst is the boot file as EDK2 and GRUB read it, fileFirst as iPXE, PXELINUX, U-Boot and card ROMs do.
func (o *Offer) optionFirst() string {
	if o.Option67 != "" {
		return o.Option67
	}
	return o.Header
}

func (o *Offer) fileFirst() string {
	if o.overloaded() { // iPXE does not know of overloading, and reads the options as a name
		return text(o.p4.file)
	}
	if o.Header != "" {
		return o.Header
	}
	return o.Option67
}

// route is the way off the net that the offer's address is in.
func (o *Offer) route() route {
	return route{local: netip.PrefixFrom(o.Address, o.Bits), router: o.Router}
}

// summary is the offer in a line. Texts in it are quoted.
func (o *Offer) summary() string {
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch {
	case o.leases() && o.Bits > 0:
		say("%s/%d", o.Address, o.Bits)
	case o.leases():
		say("%s", o.Address)
	default:
		say("no address")
	}
	switch {
	case o.URL != "":
		say("file %q", o.URL)
	case o.Header != "" && o.Option67 != "" && o.Header != o.Option67:
		say("file %q, option 67 %q", o.Header, o.Option67)
	case o.optionFirst() != "":
		say("file %q", o.optionFirst())
	default:
		say("no file")
	}
	if o.NextServer.IsValid() {
		say("next-server %s", o.NextServer)
	}
	if o.Class != "" {
		say("class %q", o.Class)
	}
	if v := o.p4.get(optVendor); v != nil {
		say("43 = % x", v[:min(len(v), 32)])
	}
	return strings.Join(words, ", ")
}
