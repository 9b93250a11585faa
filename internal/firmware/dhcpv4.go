package firmware

import (
	"bytes"
	"encoding/binary"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Parameter request lists.
var (
	vendors = []byte{128, 129, 130, 131, 132, 133, 134, 135} // of PXE
	// prlEDK2 is that of PxeBcDhcp4.c.
	prlEDK2 = append([]byte{1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97}, vendors...)
	// prlHTTP is that of HttpBootDhcp4.c, as captured from OVMF: the code before 67 is uninitialised memory.
	prlHTTP = append([]byte{}, 1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 0, 67, 97)
	// prlBIOS is that of Intel's Boot Agent.
	prlBIOS = append([]byte{1, 2, 3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67}, vendors...)
	// prlIPXE is that of dhcp.c since 2025.
	prlIPXE  = append([]byte{1, 3, 6, 7, 12, 15, 17, 26, 42, 43, 60, 66, 67, 119, 121}, append(vendors[:8:8], 175, 203)...)
	prlUBoot = append([]byte{}, 1, 3, 6, 12, 17)
	prlPi    = append([]byte{43, 60, 67}, append(vendors[:8:8], 66)...)
	prlOS    = append([]byte{}, 1, 3, 6, 15, 26, 28, 42, 119, 121)
)

// message4 is a DISCOVER in the making.
type message4 struct{ bytes.Buffer }

func (b *message4) option(code byte, value ...byte) {
	if len(value) > 0 {
		b.Write(append([]byte{code, byte(len(value))}, value...))
	}
}

func (m *Machine) discover() []byte {
	var b message4
	b.Write(m.header4())
	b.option(53, 1)
	switch {
	case m.Firmware == netboot.FirmwareNone:
		b.option(60, cut(m.class(), 255)...)
		b.option(55, prlOS...)
	case m.Firmware == netboot.FirmwareIPXE:
		b.asIPXE(m)
	case m.uBoot():
		b.option(57, 0x02, 0x40)
		b.machine(m)
		b.option(55, prlUBoot...)
		b.uuid(m)
	case m.pi():
		b.option(55, prlPi...)
		b.machine(m)
		if m.UUID.Known() {
			b.uuid(m)
		} else { // what the ROM of a Pi 3 sends
			b.option(97, append([]byte{0}, bytes.Repeat([]byte{0x44}, 16)...)...)
		}
	case m.bios():
		b.option(55, prlBIOS...)
		b.option(57, 0x04, 0xec)
		b.machine(m)
		b.uuid(m)
	case m.Firmware == netboot.FirmwareHTTP:
		b.option(57, 0x05, 0xc0)
		b.machine(m)
		b.option(97, append([]byte{0}, guid(m.UUID)...)...)
		b.option(55, prlHTTP...)
	default:
		b.option(57, 0x05, 0xc0)
		b.option(55, prlEDK2...)
		b.option(97, append([]byte{0}, guid(m.UUID)...)...) // all zero where the board has none
		b.machine(m)
	}
	if m.Firmware != netboot.FirmwareIPXE {
		b.option(77, cut(m.UserClass, 255)...)
	}
	b.option(12, cut(m.Hostname, 255)...)
	b.relay(m)
	b.WriteByte(255)
	return b.Bytes()
}

// asIPXE are the options of iPXE. Its user class is four bare bytes, without the length that RFC 3004 wants.
func (b *message4) asIPXE(m *Machine) {
	b.option(57, 0x05, 0xc0)
	b.machine(m)
	class := m.UserClass
	if class == "" {
		class = "iPXE"
	}
	b.option(77, cut(class, 255)...)
	b.option(55, prlIPXE...)
	b.option(175, m.features()...)
	b.option(61, append([]byte{1}, m.MAC.Bytes()...)...)
	b.uuid(m)
}

// machine are the options that tell what the machine can run and fetch.
func (b *message4) machine(m *Machine) {
	code := m.code()
	if m.Arch != netboot.ArchUnknown {
		b.option(93, byte(code>>8), byte(code))
	}
	b.option(94, m.undi()...)
	b.option(60, cut(m.class(), 255)...)
}

func (b *message4) uuid(m *Machine) {
	switch {
	case !m.UUID.Known():
	case m.uBoot() && m.Firmware == netboot.FirmwarePXE: // in the order of its text
		b.option(97, append([]byte{0}, m.UUID[:]...)...)
	default:
		b.option(97, append([]byte{0}, guid(m.UUID)...)...)
	}
}

// relay is what the relay adds; it comes last (RFC 3046 section 2.1).
func (b *message4) relay(m *Machine) {
	var ids message4
	ids.option(1, cut(m.CircuitID, 120)...)
	ids.option(2, cut(m.RemoteID, 120)...)
	b.option(82, ids.Bytes()...)
}

func (m *Machine) header4() []byte {
	b := make([]byte, 240)
	mac := m.MAC.Bytes()
	b[0], b[1], b[2] = 1, 1, byte(len(mac))
	if len(mac) >= 4 {
		copy(b[4:8], mac[len(mac)-4:])
	}
	if m.Firmware == netboot.FirmwareIPXE {
		b[9] = 4 // not seconds: four times the number of the packet
	} else if m.Firmware != netboot.FirmwareNone && !m.uBoot() && !m.pi() {
		binary.BigEndian.PutUint16(b[10:], 0x8000)
	}
	if m.Relay.Is4() {
		b[3] = 1
		copy(b[24:28], m.Relay.AsSlice())
	}
	copy(b[28:44], mac)
	copy(b[236:], []byte{99, 130, 83, 99})
	return b
}
