package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/packet"
)

const (
	portClient6 = 546
	portServer6 = 547
)

// servers6 is where every server of a link listens.
func servers6() netip.Addr { return netip.AddrFrom16([16]byte{0xff, 0x02, 13: 1, 15: 2}) }

// Options of DHCPv6.
const (
	opt6Client     = 1
	opt6Server     = 2
	opt6IANA       = 3
	opt6Address    = 5
	opt6Preference = 7
	opt6Class      = 16
	opt6DNS        = 23
	opt6URL        = 59
)

const (
	advertise6 = 2
	reply6     = 7
)

// advert6 is what an offer by DHCPv6 has that one by DHCPv4 has not.
type advert6 struct {
	xid        [3]byte
	duid       []byte
	preference byte
	class      []byte // option 16 as it is
}

// option6 is the first of an option; nil without one.
func option6(b []byte, code uint16) []byte {
	for len(b) >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return nil
		}
		if binary.BigEndian.Uint16(b) == code {
			return b[4:n:n]
		}
		b = b[n:]
	}
	return nil
}

// newOffer6 reads a reply of DHCPv6; nil for anything else.
func newOffer6(d *datagram, at time.Duration) *Offer {
	b := d.payload
	if len(b) < 4 || b[0] != advertise6 && b[0] != reply6 {
		return nil
	}
	options := b[4:]
	o := &Offer{At: at, Kind: packet.Type(b), From: d.from, MAC: d.hwFrom.String(), hw: d.hwFrom, URL: string(option6(options, opt6URL)),
		v6: &advert6{xid: [3]byte(b[1:4]), duid: option6(options, opt6Server), class: option6(options, opt6Class)}}
	if p := option6(options, opt6Preference); len(p) == 1 {
		o.v6.preference = p[0]
	}
	if ia := option6(options, opt6IANA); len(ia) > 12 {
		if a := option6(ia[12:], opt6Address); len(a) >= 24 {
			o.Address, o.Bits = netip.AddrFrom16([16]byte(a[:16])), 128
		}
	}
	for v := option6(options, opt6DNS); len(v) >= 16; v = v[16:] {
		o.DNS = append(o.DNS, netip.AddrFrom16([16]byte(v[:16])))
	}
	if len(o.v6.class) > 6 {
		o.Class = string(o.v6.class[6:])
	}
	o.Fields, _ = packet.Fields(b)
	return o
}

// ask6 goes from SOLICIT to where the boot file is.
func (m *Machine) ask6(ctx context.Context) (Source, *stack, error) {
	id := xid()
	offers, err := m.solicit(ctx, [3]byte(id[:3]))
	if err != nil {
		return Source{}, nil, err
	}
	best := choose6(offers)
	if end := m.judge6(best); end != nil {
		return Source{}, nil, end
	}
	m.tell("CHOICE", nil, "%s: the highest preference, the first of equals", best.name())
	if !m.OfferOnly {
		id = xid()
		if best, err = m.request6(ctx, [3]byte(id[:3]), best); err != nil {
			return Source{}, nil, err
		}
		if best.URL == "" {
			return Source{}, nil, stop("ack-without-file", "the server must send the same boot fields in ADVERTISE and REPLY", "the ADVERTISE of %s names a boot file, its REPLY does not", best.name())
		}
	}
	m.tell("SOURCE", nil, "boot file %q of %s", best.URL, best.name())
	st, err := m.stack(best)
	return Source{File: best.URL, From: best}, st, err
}

func (m *Machine) solicit(ctx context.Context, id [3]byte) (offers []*Offer, err error) {
	for began := time.Now(); len(offers) == 0 && time.Since(began) < m.Timeout; {
		m.tell("SOLICIT", nil, "as %s from %s, for up to %s", m.class(), m.station.linkLocal, m.Collect)
		if err := m.multicast6(m.Firmware.Solicit(id)); err != nil {
			return nil, err
		}
		err := m.hear(ctx, time.Now().Add(m.Collect), func(d *datagram) bool {
			o := m.reply6(d, id)
			if o == nil || o.Kind != "ADVERTISE" || len(offers) >= maxOffers || first(offers, func(p *Offer) bool { return bytes.Equal(p.v6.duid, o.v6.duid) }) != nil {
				return false
			}
			offers = append(offers, o)
			m.tell(o.Kind, o, "from %s: %s", o.name(), o.summary())
			return o.v6.preference == 255 // RFC 8415 section 18.2.1: taken at once
		})
		if err != nil {
			return nil, err
		}
	}
	if len(offers) == 0 {
		return nil, stop("no-offer", causeNoOffer, "nobody answered SOLICIT within %s", m.Timeout)
	}
	if len(offers) > 1 {
		m.remark(serversNote(offers)...)
	}
	return offers, nil
}

func (m *Machine) multicast6(payload []byte) error {
	return m.station.broadcast(netip.AddrPortFrom(m.station.linkLocal, portClient6), netip.AddrPortFrom(servers6(), portServer6), payload)
}

func (m *Machine) reply6(d *datagram, id [3]byte) *Offer {
	if !d.from.Addr().Is6() || d.to.Port() != portClient6 {
		return nil
	}
	o := newOffer6(d, time.Since(m.start))
	own := option6(m.Firmware.Solicit(id)[4:], opt6Client)
	if o == nil || o.v6.xid != id || len(o.v6.duid) == 0 || !bytes.Equal(option6(d.payload[4:], opt6Client), own) {
		return nil
	}
	return o
}

func choose6(offers []*Offer) *Offer {
	best := offers[0]
	for _, o := range offers[1:] {
		if o.leases() && (!best.leases() || o.v6.preference > best.v6.preference) {
			best = o
		}
	}
	return best
}

// judge6 looks at the chosen offer as the firmware would.
func (m *Machine) judge6(o *Offer) *Stop {
	http := m.Firmware.Firmware == netboot.FirmwareHTTP
	u, err := url.Parse(o.URL)
	switch {
	case !o.leases():
		return stop("no-address", "give the server a range for this network (a machine that nobody leases an address cannot fetch anything)", "%s advertises no address", o.name())
	case o.URL == "" && o.Class != "" && o.pxeClient():
		return stop("no-4011", "leave option 16 out of replies to PXE clients, and send option 59", "%s sends option 16 PXEClient without a URL: UEFI asks port 4011, which the probe does not over IPv6", o.name())
	case o.URL == "":
		return stop("no-boot-file", "send option 59 (the boot file's URL) for this architecture (option 61)", "%s answered, and names no boot file (option 59)", o.name())
	case err != nil || u.Host == "":
		return stop("bad-url", "write it like tftp://[2001:db8::1]/ipxe.efi", "option 59 of %s is %q, which is no URL", o.name(), o.URL)
	case http && !strings.HasPrefix(o.Class, "HTTPClient"):
		return stop("no-http-class", "send option 16 with enterprise 343 and HTTPClient behind a two-byte length", "the reply of %s has the URL %q without option 16 HTTPClient: HTTP boot ignores it", o.name(), o.URL)
	case !http && o.pxeClient() && m.Firmware.Firmware == netboot.FirmwarePXE:
		return stop("no-4011", "leave option 16 out of replies to PXE clients", "%s sends option 16 PXEClient: UEFI asks port 4011, which the probe does not over IPv6, before it takes the URL", o.name())
	case m.Firmware.Firmware == netboot.FirmwarePXE && !strings.EqualFold(u.Scheme, "tftp"):
		return stop("url-for-pxe", "give PXE firmware a tftp URL, and an http URL only to HTTP boot and iPXE", "PXE firmware is given the URL %q", o.URL)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && len(o.DNS) == 0 {
		return stop("no-dns", "send option 23 with the URL, or a numeric address in it", "the URL %q of %s names a host, and the reply no DNS server (option 23)", o.URL, o.name())
	}
	return nil
}

func (m *Machine) request6(ctx context.Context, id [3]byte, offer *Offer) (reply *Offer, err error) {
	m.tell("REQUEST", nil, "%s of %s", offer.Address, offer.name())
	for began, wait := time.Now(), time.Second; reply == nil && time.Since(began) < m.Timeout; wait *= 2 {
		if err := m.multicast6(m.Firmware.Select6(id, offer.v6.duid, offer.Address)); err != nil {
			return nil, err
		}
		m.hold(lease{who: m.Firmware, server: offer.From.Addr(), address: offer.Address, duid: offer.v6.duid, hw: offer.hw})
		err := m.hear(ctx, time.Now().Add(wait), func(d *datagram) bool {
			if o := m.reply6(d, id); o != nil && o.Kind == "REPLY" && bytes.Equal(o.v6.duid, offer.v6.duid) {
				reply = o
			}
			return reply != nil
		})
		if err != nil {
			return nil, err
		}
	}
	if reply == nil {
		return nil, stop("no-ack", "look at the server's log", "%s advertised %s and does not answer the REQUEST for it", offer.name(), offer.Address)
	}
	m.tell(reply.Kind, reply, "from %s: %s", reply.name(), reply.summary())
	if reply.Address != offer.Address {
		return nil, stop("other-address", "the server must grant what it advertised", "%s advertised %s and grants %s", offer.name(), offer.Address, reply.Address)
	}
	return reply, nil
}
