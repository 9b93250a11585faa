package firmware

import (
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// enterpriseIntel stands before the class of PXE and HTTP firmware.
const enterpriseIntel = 343

// message6 is a SOLICIT in the making.
type message6 []byte

func (b *message6) option(code uint16, value ...byte) {
	*b = binary.BigEndian.AppendUint16(*b, code)
	*b = binary.BigEndian.AppendUint16(*b, uint16(len(value)))
	*b = append(*b, value...)
}

// numbers is a list of 16-bit codes.
func numbers(list ...uint16) (b []byte) {
	for _, n := range list {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

func (m *Machine) solicit() []byte {
	mac := m.MAC.Bytes()
	b := message6{1, 0, 0, 0}
	if len(mac) >= 3 {
		copy(b[1:4], mac[len(mac)-3:])
	}
	b.option(1, m.duid()...)
	b.option(3, append(m.iaid(), make([]byte, 8)...)...)
	switch {
	case m.Firmware == netboot.FirmwareNone:
		b.option(6, numbers(23, 24)...)
	case m.Firmware == netboot.FirmwareIPXE:
		b.option(6, numbers(23, 24, 59, 60)...)
		b.option(8, 0, 0)
	case m.pi():
		b.option(6, numbers(59)...)
	case m.uBoot():
		b.option(6, numbers(59, 82, 60)...)
	default:
		b.option(6, numbers(59, 60, 23, 16)...)
		b.option(8, 0, 0)
	}
	b.class(m)
	if m.Firmware != netboot.FirmwareNone && m.Arch != netboot.ArchUnknown {
		b.option(61, numbers(uint16(m.code()))...)
		if !m.uBoot() && !m.pi() {
			b.option(62, m.undi()...)
		}
	}
	if m.Hostname != "" {
		label := cut(strings.ReplaceAll(m.Hostname, ".", "-"), 63)
		b.option(39, append([]byte{0, byte(len(label))}, label...)...)
	}
	return m.relayed6(b)
}

// class are options 15 and 16, with a length before each text.
func (b *message6) class(m *Machine) {
	user := m.UserClass
	if user == "" && m.Firmware == netboot.FirmwareIPXE {
		user = "iPXE"
	}
	if user != "" {
		b.option(15, append(numbers(uint16(len(cut(user, 255)))), cut(user, 255)...)...)
	}
	vendor := m.class()
	if vendor == "" || m.pi() && m.VendorClass == "" {
		return
	}
	enterprise := []byte{0, 0, enterpriseIntel >> 8, enterpriseIntel & 0xff}
	if m.uBoot() {
		enterprise = make([]byte, 4) // CONFIG_DHCP6_ENTERPRISE_ID is 0 unless a board sets it
	}
	b.option(16, append(append(enterprise, numbers(uint16(len(cut(vendor, 255))))...), cut(vendor, 255)...)...)
}

// duid is a DUID-UUID where the machine has a UUID: as it lies in memory from EDK2, in text order from iPXE. Raspberry
// Pis and U-Boot send their MAC address.
func (m *Machine) duid() []byte {
	switch {
	case !m.UUID.Known() || m.pi() || m.uBoot() && m.Firmware == netboot.FirmwarePXE:
		return append(numbers(3, 1), m.MAC.Bytes()...)
	case m.Firmware == netboot.FirmwareIPXE:
		return append(numbers(4), m.UUID[:]...)
	}
	return append(numbers(4), guid(m.UUID)...)
}

func (m *Machine) iaid() []byte {
	switch {
	case m.Firmware == netboot.FirmwareIPXE: // the CRC without its usual inversions
		return binary.BigEndian.AppendUint32(nil, ^crc32.Update(^uint32(0), crc32.IEEETable, m.MAC.Bytes()))
	case m.pi():
		return make([]byte, 4)
	}
	return []byte{0, 0, 0, 1}
}

// relayed6 wraps the message as the relay on the client's link does, if there is one.
func (m *Machine) relayed6(inner []byte) []byte {
	if !m.Relay.Is6() {
		return inner
	}
	b := message6{12, 0}
	b = append(b, m.Relay.AsSlice()...)
	peer := make([]byte, 16)
	if mac := m.MAC.Bytes(); len(mac) == 6 { // the link-local address that the MAC makes
		copy(peer, []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	}
	b = append(b, peer...)
	if m.CircuitID != "" {
		b.option(18, cut(m.CircuitID, 255)...)
	}
	if m.RemoteID != "" {
		b.option(37, append(make([]byte, 4), cut(m.RemoteID, 255)...)...)
	}
	b.option(9, inner...)
	return b
}
