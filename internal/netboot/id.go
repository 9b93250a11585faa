package netboot

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// MAC is a hardware address of up to 16 bytes, the size of chaddr. It is comparable, so it can be a map's key; its
// zero value is "not known".
type MAC struct {
	len  uint8
	addr [16]byte
}

// MACFrom takes a hardware address from the wire. What does not fit chaddr is not known.
func MACFrom(b []byte) (m MAC) {
	if len(b) <= len(m.addr) {
		m.len = uint8(copy(m.addr[:], b))
	}
	return m
}

// ParseMAC reads the forms 52:54:00:aa:bb:cc, 52-54-00-AA-BB-CC and 5254.00aa.bbcc.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) > 16 {
		return MAC{}, fmt.Errorf("%q is not a MAC address; write it like 52:54:00:aa:bb:cc", s)
	}
	return MACFrom(hw), nil
}

// UnmarshalText is ParseMAC for files.
func (m *MAC) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMAC(string(b))
	return err
}

// Known tells an address from none. Firmware without one sends zeros.
func (m MAC) Known() bool { return m.len > 0 && m.addr != [16]byte{} }

// Bytes is the address, sharing memory with m.
func (m *MAC) Bytes() []byte { return m.addr[:m.len] }

// HasPrefix tells whether the address begins with these bytes: its vendor's prefix, for example.
func (m *MAC) HasPrefix(prefix []byte) bool { return bytes.HasPrefix(m.Bytes(), prefix) }

// String is lower-case hex pairs with colons; empty if not known.
func (m MAC) String() string { return net.HardwareAddr(m.Bytes()).String() }

// Hyphenated is lower-case hex pairs with hyphens, as pxelinux.cfg names have it, without their "01-".
func (m MAC) Hyphenated() string { return strings.ReplaceAll(m.String(), ":", "-") }

// UUID is the machine's SMBIOS UUID in the byte order of its text form. The zero value is "not known": EDK2 sends
// zeros where the board has none.
type UUID [16]byte

// ParseUUID reads the form that dmidecode prints.
func ParseUUID(s string) (u UUID, err error) {
	digits := strings.ReplaceAll(s, "-", "")
	if len(s) == 36 && len(digits) == 32 {
		if _, err = hex.Decode(u[:], []byte(digits)); err == nil {
			return u, nil
		}
	}
	return UUID{}, fmt.Errorf("%q is not a UUID; write it as dmidecode -s system-uuid prints it", s)
}

// UnmarshalText is ParseUUID for files.
func (u *UUID) UnmarshalText(b []byte) (err error) {
	*u, err = ParseUUID(string(b))
	return err
}

// Known tells a UUID from none.
func (u UUID) Known() bool { return u != UUID{} }

// String is the usual lower-case form; empty if not known.
func (u UUID) String() string {
	if !u.Known() {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// uuidLittleEndian reads 16 bytes as they lie in memory: SMBIOS 2.6 stores the first three fields little-endian, and
// EDK2 and iPXE send them so in option 97.
func uuidLittleEndian(b []byte) UUID {
	u := UUID(b[:16])
	u[0], u[1], u[2], u[3] = b[3], b[2], b[1], b[0]
	u[4], u[5] = b[5], b[4]
	u[6], u[7] = b[7], b[6]
	return u
}
