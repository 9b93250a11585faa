package firmware

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// XID tells an exchange of messages from others.
type XID [4]byte

// Discover is the DISCOVER that begins an exchange.
func (m Machine) Discover(xid XID) []byte { return m.follow4(xid, 1) }

// Select is the REQUEST for the address that a server offered; the server is named by its identifier. EDK2's PXE asks in
// it for replies of up to 65280 bytes, and drops those of more than 1472.
func (m Machine) Select(xid XID, server, address netip.Addr) []byte {
	b := m.follow4(xid, 3, set(54, server.AsSlice()...), set(50, address.AsSlice()...))
	if m.edk2() && m.Firmware == netboot.FirmwarePXE {
		b = edit4(b, set(57, 0xff, 0x00))
	}
	return b
}

// AskBootServer is the REQUEST to port 4011 for the boot file of a server that offered itself without one. The address
// is the machine's by now. iPXE names the server; EDK2 wants the answer by unicast.
func (m Machine) AskBootServer(xid XID, server, address netip.Addr) []byte {
	b := m.follow4(xid, 3)
	if m.Firmware == netboot.FirmwareIPXE {
		b = edit4(b, set(54, server.AsSlice()...))
	}
	if m.edk2() {
		binary.BigEndian.PutUint16(b[10:], 0)
	}
	copy(b[12:16], address.AsSlice())
	return b
}

// AskForItem is the request to a boot server for an item of a PXE menu, by its type (PXE 2.1, option 43.71).
func (m Machine) AskForItem(xid XID, server, address netip.Addr, kind uint16) []byte {
	return edit4(m.AskBootServer(xid, server, address), set(43, 71, 4, byte(kind>>8), byte(kind), 0, 0, 255))
}

// Release gives an address back to the server that leased it.
func (m Machine) Release(xid XID, server, address netip.Addr) []byte {
	first := m.follow4(xid, 7)
	b := slices.Clone(first[:240])
	copy(b[8:12], []byte{0, 0, 0, 0}) // neither seconds nor a wish to be answered
	copy(b[12:16], address.AsSlice())
	b = append(b, 53, 1, 7, 54, 4)
	b = append(b, server.AsSlice()...)
	for code, value := range options4(first) { // the lease may be known by it
		if code == 61 {
			b = append(append(b, 61, byte(len(value))), value...)
		}
	}
	return append(b, 255)
}

// edk2 tells UEFI's own firmware.
func (m *Machine) edk2() bool {
	return m.Firmware != netboot.FirmwareIPXE && !m.bios() && !m.pi() && !m.uBoot()
}

type setting struct {
	code  byte
	value []byte
}

func set(code byte, value ...byte) setting { return setting{code, value} }

func (m Machine) follow4(xid XID, kind byte, settings ...setting) []byte {
	m.V6 = false
	b := m.Request()
	copy(b[4:8], xid[:])
	return edit4(b, append([]setting{set(53, kind)}, settings...)...)
}

// edit4 sets options in a message of our own: in their places, or at the end where they are new.
func edit4(b []byte, settings ...setting) []byte {
	out := slices.Clone(b[:240])
	write := func(s setting) { out = append(append(out, s.code, byte(len(s.value))), s.value...) }
	for code, value := range options4(b) {
		s := setting{code, value}
		if i := slices.IndexFunc(settings, func(s setting) bool { return s.code == code }); i >= 0 {
			s = settings[i]
			settings = slices.Delete(slices.Clone(settings), i, i+1)
		}
		write(s)
	}
	for _, s := range settings {
		write(s)
	}
	return append(out, 255)
}

// options4 are the options of a message of our own.
func options4(b []byte) func(yield func(byte, []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		for b := b[240:]; len(b) > 2 && b[0] != 255; b = b[2+int(b[1]):] {
			if !yield(b[0], b[2:2+int(b[1])]) {
				return
			}
		}
	}
}
