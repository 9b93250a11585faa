package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

const (
	portServer4 = 67
	portClient4 = 68
	portPXE     = 4011
)

// maxOffers is how many offers EDK2 keeps; the rest are not looked at.
const maxOffers = 16

// ask4 goes from DISCOVER to where the boot file is.
func (m *Machine) ask4(ctx context.Context) (Source, *stack, error) {
	id := xid()
	offers, err := m.discover(ctx, id)
	if err != nil {
		return Source{}, nil, err
	}
	rules := chooserOf(m.Firmware.Firmware, m.Firmware.Arch.String() == "bios")
	choice, end := rules.choose(offers)
	if end != nil {
		return Source{}, nil, end
	}
	m.tell("CHOICE", nil, "%s: %s", chosen(choice), choice.Why)
	ack, answer := choice.Lease, (*Offer)(nil)
	switch {
	case m.OfferOnly && choice.Ask && !choice.MayFail:
		return Source{}, nil, fmt.Errorf("%s must be asked on port 4011, which needs an address of its own: run without --offer-only", choice.Boot.name())
	case !m.OfferOnly:
		if ack, err = m.request(ctx, id, choice.Lease); err != nil {
			return Source{}, nil, err
		}
		if choice.Ask {
			if answer, err = m.askBootServer(ctx, id, choice, ack); err != nil {
				return Source{}, nil, err
			}
		}
	}
	s, end := rules.source(choice, ack, answer)
	if end != nil && end.Code == "menu" && !m.OfferOnly {
		if answer, err = m.askForItem(ctx, &choice, ack, s.From); err != nil {
			return s, nil, err
		}
		s, end = rules.source(choice, ack, answer)
	}
	if end != nil {
		return s, nil, end
	}
	m.tell("SOURCE", nil, "boot file %q of %s, server %s", s.File, s.From.name(), s.Server)
	st, err := m.stack(ack)
	return s, st, err
}

func chosen(c Choice) string {
	if c.Boot != c.Lease {
		return "address of " + c.Lease.name() + ", boot file of " + c.Boot.name()
	}
	return c.Lease.name()
}

// discover collects the offers.
func (m *Machine) discover(ctx context.Context, id firmware.XID) (offers []*Offer, err error) {
	leases := false
	for began := time.Now(); !leases && time.Since(began) < m.Timeout; {
		m.tell("DISCOVER", nil, "as %s from %s, for up to %s", m.class(), m.Firmware.MAC, m.Collect)
		if err := m.broadcast4(m.Firmware.Discover(id)); err != nil {
			return nil, err
		}
		err := m.hear(ctx, time.Now().Add(m.Collect), func(d *datagram) bool {
			o := m.reply(d, id, portClient4)
			if o == nil || o.Kind != "OFFER" && o.Kind != "BOOTP" || len(offers) >= maxOffers || repeated(offers, o) {
				return false
			}
			offers = append(offers, o)
			leases = leases || o.leases()
			m.tellReply(o)
			return false
		})
		if err != nil {
			return nil, err
		}
	}
	m.remark(serversNote(offers)...)
	if len(offers) == 0 {
		return nil, stopNoOffer(m.Timeout)
	}
	return offers, nil
}

// repeated tells an answer to a repeated DISCOVER.
func repeated(offers []*Offer, o *Offer) bool {
	return first(offers, func(p *Offer) bool { return p.identity() == o.identity() && p.From == o.From && p.Address == o.Address }) != nil
}

// class is what the machine asks as.
func (m *Machine) class() string {
	switch m.Firmware.Firmware {
	case netboot.FirmwareHTTP:
		return fmt.Sprintf("HTTPClient arch %d", m.Firmware.Arch)
	case netboot.FirmwareIPXE:
		return fmt.Sprintf("iPXE arch %d", m.Firmware.Arch)
	}
	return fmt.Sprintf("PXEClient arch %d", m.Firmware.Arch)
}

func (m *Machine) broadcast4(payload []byte) error {
	return m.station.broadcast(netip.AddrPortFrom(netip.IPv4Unspecified(), portClient4), netip.AddrPortFrom(addr4([]byte{255, 255, 255, 255}), portServer4), payload)
}

// reply is a datagram as an answer to this exchange; nil for anything else.
func (m *Machine) reply(d *datagram, id firmware.XID, port uint16) *Offer {
	if !d.from.Addr().Is4() || d.to.Port() != port {
		return nil
	}
	o, err := newOffer4(d, time.Since(m.start))
	if err != nil || o.p4.xid != id || !bytes.HasPrefix(o.p4.chaddr, m.Firmware.MAC.Bytes()) {
		return nil
	}
	return o
}

func (m *Machine) tellReply(o *Offer) {
	m.tell(o.Kind, o, "from %s: %s", o.name(), o.summary())
	m.remark(flaws(o, m.Firmware.Firmware)...)
}

// request takes the lease.
func (m *Machine) request(ctx context.Context, id firmware.XID, offer *Offer) (ack *Offer, err error) {
	if offer.Kind == "BOOTP" { // the reply is all there is
		return offer, nil
	}
	server := offer.identity()
	m.tell("REQUEST", nil, "%s of %s", offer.Address, offer.name())
	for began, wait := time.Now(), time.Second; ack == nil && time.Since(began) < m.Timeout; wait *= 2 {
		if err := m.broadcast4(m.Firmware.Select(id, server, offer.Address)); err != nil {
			return nil, err
		}
		// A lease may be there from here on, whatever comes back.
		m.hold(lease{who: m.Firmware, server: server, address: offer.Address, hw: offer.hw})
		err := m.hear(ctx, time.Now().Add(wait), func(d *datagram) bool {
			if o := m.reply(d, id, portClient4); o != nil && (o.Kind == "ACK" || o.Kind == "NAK") && o.identity() == server {
				ack = o
			}
			return ack != nil
		})
		if err != nil {
			return nil, err
		}
	}
	if ack == nil {
		return nil, stop("no-ack", "the server forgot its offer, is out of addresses, or its answer is lost on the way", "%s offered %s and does not answer the REQUEST for it", offer.name(), offer.Address)
	}
	m.tellReply(ack)
	switch {
	case ack.Kind == "NAK":
		m.forget(offer.Address)
		return nil, stop("nak", "look at the server's log: "+fmt.Sprintf("%q", text(ack.p4.get(56))), "%s refuses the address that it offered (NAK)", offer.name())
	case ack.Address != offer.Address:
		return nil, stop("other-address", "the server must acknowledge what it offered", "%s offered %s and acknowledges %s: UEFI and iPXE drop that", offer.name(), offer.Address, ack.Address)
	case m.uefi() && ack.Bits == 0:
		return nil, stop("no-mask", "send the subnet mask (option 1)", "the ACK of %s has no subnet mask: UEFI does not take the lease", ack.name())
	case m.uefi() && dropsEDK2(ack) != "":
		return nil, stop("malformed", "mend the server", "UEFI drops the ACK of %s: it %s", ack.name(), dropsEDK2(ack))
	}
	return ack, nil
}

// uefi tells UEFI's own DHCP client.
func (m *Machine) uefi() bool {
	return m.Firmware.Firmware != netboot.FirmwareIPXE && m.Firmware.Arch.String() != "bios"
}

// askBootServer asks the server that offered itself without a boot file.
func (m *Machine) askBootServer(ctx context.Context, id firmware.XID, c Choice, ack *Offer) (*Offer, error) {
	server := serverOf(c.Boot)
	q := question{id: xid(), from: portClient4, ack: ack, waits: patient,
		accepts: func(o *Offer) bool { return o.optionFirst() != "" || o.p4.get(optVendor) != nil }}
	switch {
	case m.Firmware.Firmware == netboot.FirmwareIPXE:
		server, q.id, q.waits = c.Boot.identity(), id, patient[:2:2]
		q.accepts = m.acceptsIPXE
	case m.uefi():
		q.from = portPXE
	}
	q.to, q.payload = server, m.Firmware.AskBootServer(q.id, c.Boot.identity(), ack.Address)
	q.silence = stop("no-4011", causeBINL, "60=PXEClient without 43 and nobody on 4011: UEFI stops at PXE-E16, a BIOS at PXE-E55 (%s was asked)", server)
	answer, err := m.ask4011(ctx, q)
	if end := (*Stop)(nil); c.MayFail && errors.As(err, &end) {
		m.tell("SILENCE", nil, "nobody answers on port 4011; iPXE goes on without")
		return nil, nil
	}
	return answer, err
}

// acceptsIPXE tells an answer that iPXE's dhcp_has_pxeopts lets through.
func (m *Machine) acceptsIPXE(o *Offer) bool {
	if o.optionFirst() != "" && !known(o.NextServer) {
		m.remark(note("proxy-without-siaddr", "iPXE ignores the answer of %s on port 4011, since its siaddr is 0; name the server (dnsmasq: dhcp-boot=tag:ipxe,NAME,,ADDRESS)", o.name()))
	}
	return o.fileFirst() != "" && known(o.NextServer) || vendor(o.p4.get(optVendor), 9) != nil
}

// lease is an address that the machine took.
type lease struct {
	who             firmware.Machine
	server, address netip.Addr
	duid            []byte // the server's, for DHCPv6
	hw              net.HardwareAddr
}
