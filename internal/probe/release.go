package probe

import (
	"errors"
	"net/netip"
	"slices"
)

// hold remembers a lease that must be given back.
func (m *Machine) hold(l lease) {
	if slices.ContainsFunc(m.leases, func(h lease) bool { return h.address == l.address && h.who.Firmware == l.who.Firmware }) {
		return
	}
	m.leases = append(m.leases, l)
	m.station.holds[l.address] = true
}

func (m *Machine) forget(address netip.Addr) {
	m.leases = slices.DeleteFunc(m.leases, func(l lease) bool { return l.address == address && l.who.Firmware == m.Firmware.Firmware })
	delete(m.station.holds, address)
}

// Close releases what the machine leased, whether or not an ACK was seen. An address that the host itself has was the
// host's before, and stays.
func (m *Machine) Close() (err error) {
	own, _ := m.link.Addresses()
	done := map[netip.Addr]bool{}
	for _, l := range slices.Backward(m.leases) {
		delete(m.station.holds, l.address)
		if done[l.address] {
			continue // firmware and iPXE have had the same: the server knows it as that of the latter
		}
		done[l.address] = true
		if slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr() == l.address }) {
			m.tell("KEPT", nil, "%s is this host's own address; it is not released", l.address)
			continue
		}
		if e := m.release(l); e != nil {
			err = errors.Join(err, e)
			continue
		}
		m.tell("RELEASE", nil, "%s to %s", l.address, l.server)
	}
	m.leases = nil
	if m.space != nil {
		err = errors.Join(err, m.space.close())
		m.space = nil
	}
	return err
}

func (m *Machine) release(l lease) error {
	id := xid()
	if l.address.Is6() {
		return m.station.broadcast(netip.AddrPortFrom(m.station.linkLocal, portClient6), netip.AddrPortFrom(servers6(), portServer6),
			l.who.Release6([3]byte(id[:3]), l.duid, l.address))
	}
	return m.station.emit(&datagram{hwFrom: m.station.hw, hwTo: l.hw, from: netip.AddrPortFrom(l.address, portClient4),
		to: netip.AddrPortFrom(l.server, portServer4), payload: l.who.Release(id, l.server, l.address)})
}
