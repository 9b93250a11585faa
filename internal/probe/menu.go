package probe

import (
	"context"
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// item is an entry of a PXE menu: a type of boot server, and where one is (PXE 2.1, options 43.8 and 43.9).
type item struct {
	kind   uint16
	text   string
	server netip.Addr // invalid: none is listed
}

// itemOf is the entry that is booted where nobody touches a key: the first.
func itemOf(o *Offer) (i item, ok bool) {
	v := o.p4.get(optVendor)
	entries, servers := vendor(v, 9), vendor(v, 8)
	if len(entries) >= 3 {
		n := min(3+int(entries[2]), len(entries))
		i.kind, i.text = u16(entries), string(entries[3:n])
	} else if len(servers) >= 3 {
		i.kind = u16(servers)
	} else {
		return i, false
	}
	for len(servers) >= 3 {
		n := 3 + 4*int(servers[2])
		if u16(servers) == i.kind && servers[2] > 0 && len(servers) >= 7 {
			i.server = addr4(servers[3:7])
		}
		servers = servers[min(n, len(servers)):]
	}
	return i, true
}

func menu(o *Offer) *Stop {
	return stop("menu", "send 43 = 06 01 08 ff with the boot file to have it loaded at once, or list the boot server (43.8)",
		"the reply of %s has a PXE menu (option 43) whose first item names no boot server: it would be searched by broadcast, which the probe does not", o.name())
}

// askForItem asks the boot server of a menu's first item.
func (m *Machine) askForItem(ctx context.Context, c *Choice, ack *Offer, from *Offer) (*Offer, error) {
	i, ok := itemOf(from)
	switch {
	case !ok || !i.server.IsValid() && i.kind != 0:
		return nil, menu(from)
	case i.kind == 0:
		return nil, stop("local-boot", "put an item that boots from the network first", "the first item of the PXE menu of %s, %q, boots from the local disk", from.name(), i.text)
	}
	c.Item = &i
	m.tell("MENU", nil, "%q, type %d: the first item of %s, which boots if nobody touches a key", i.text, i.kind, from.name())
	id, port := xid(), uint16(portClient4)
	if m.uefi() {
		port = portPXE
	}
	return m.ask4011(ctx, question{
		id: id, from: port, to: i.server, ack: ack, waits: patient,
		payload: m.Firmware.AskForItem(id, i.server, ack.Address, i.kind),
		accepts: func(o *Offer) bool { return o.optionFirst() != "" },
		silence: stop("no-boot-server", "the boot server that the menu lists must answer on port 4011", "the boot server %s of the PXE menu does not answer on port 4011", i.server),
	})
}

// question is a request to port 4011.
type question struct {
	id      firmware.XID
	from    uint16
	to      netip.Addr
	ack     *Offer
	waits   []time.Duration
	payload []byte
	accepts func(*Offer) bool
	silence *Stop
}

// patient are EDK2's waits.
var patient = []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}

// ask4011 asks until the answer comes.
func (m *Machine) ask4011(ctx context.Context, q question) (answer *Offer, err error) {
	m.tell("REQUEST", nil, "to %s port 4011, from port %d", q.to, q.from)
	hw, err := m.station.resolve(ctx, q.ack.route(), q.to)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, stop("no-4011", "the boot server must be reachable from the machine's network", "the boot server cannot be reached: %s", err)
	}
	heard := 0
	for _, wait := range q.waits {
		d := &datagram{hwFrom: m.station.hw, hwTo: hw, from: netip.AddrPortFrom(q.ack.Address, q.from), to: netip.AddrPortFrom(q.to, portPXE), payload: q.payload}
		if err := m.station.emit(d); err != nil {
			return nil, err
		}
		err := m.hear(ctx, time.Now().Add(wait), func(d *datagram) bool {
			o := m.reply(d, q.id, q.from)
			if o == nil || m.Firmware.Firmware == netboot.FirmwareIPXE && d.from.Port() != portPXE || heard >= maxOffers {
				return false
			}
			heard++
			m.tellReply(o)
			if q.accepts(o) {
				answer = o
			}
			return answer != nil
		})
		if answer != nil || err != nil {
			return answer, err
		}
	}
	return nil, q.silence
}
