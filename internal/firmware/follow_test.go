package firmware_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

var (
	server  = netip.MustParseAddr("192.0.2.1")
	address = netip.MustParseAddr("192.0.2.100")
	xid     = firmware.XID{1, 2, 3, 4}
)

func machine(t *testing.T, arch netboot.Arch, kind netboot.Firmware) firmware.Machine {
	t.Helper()
	mac, err := netboot.ParseMAC("52:54:00:6c:61:62")
	if err != nil {
		t.Fatal(err)
	}
	uuid, err := netboot.ParseUUID("00112233-4455-6677-8899-aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	return firmware.Machine{MAC: mac, UUID: uuid, Arch: arch, Firmware: kind, Features: netboot.UsualFeatures(arch)}
}

// The captures are of OVMF, of SeaBIOS with QEMU's iPXE ROM, and of a ROM modelled on Intel's.
func TestTheMessagesAfterADiscoverAreThoseOfCaptures(t *testing.T) {
	edk2, bios, ipxe := machine(t, 7, netboot.FirmwarePXE), machine(t, 0, netboot.FirmwarePXE), machine(t, 0, netboot.FirmwareIPXE)
	for _, c := range []struct {
		name    string
		message []byte
		kind    dhcpv4.MessageType
		flags   uint16
		ciaddr  string
		options string // code=hex of those that tell the messages apart
		absent  []uint8
	}{
		{"EDK2 DISCOVER", edk2.Discover(xid), dhcpv4.MessageTypeDiscover, 0x8000, "0.0.0.0", "57=05c0 93=0007 97=0033221100554477668899aabbccddeeff", []uint8{50, 54, 61, 77}},
		{"EDK2 REQUEST", edk2.Select(xid, server, address), dhcpv4.MessageTypeRequest, 0x8000, "0.0.0.0", "50=c0000264 54=c0000201 57=ff00 93=0007", []uint8{61, 77}},
		{"EDK2 to port 4011", edk2.AskBootServer(xid, server, address), dhcpv4.MessageTypeRequest, 0, "192.0.2.100", "57=05c0 93=0007", []uint8{50, 54, 43}},
		{"BIOS REQUEST", bios.Select(xid, server, address), dhcpv4.MessageTypeRequest, 0x8000, "0.0.0.0", "50=c0000264 54=c0000201 57=04ec 93=0000", []uint8{61, 77}},
		{"BIOS for a menu's item", bios.AskForItem(xid, server, address, 0x8000), dhcpv4.MessageTypeRequest, 0x8000, "192.0.2.100", "43=470480000000ff 57=04ec", []uint8{50, 54}},
		{"iPXE REQUEST", ipxe.Select(xid, server, address), dhcpv4.MessageTypeRequest, 0, "0.0.0.0", "50=c0000264 54=c0000201 57=05c0 77=69505845 61=015254006c6162", nil},
		{"iPXE to port 4011", ipxe.AskBootServer(xid, server, address), dhcpv4.MessageTypeRequest, 0, "192.0.2.100", "54=c0000201 77=69505845", []uint8{50, 43}},
		{"EDK2 RELEASE", edk2.Release(xid, server, address), dhcpv4.MessageTypeRelease, 0, "192.0.2.100", "54=c0000201", []uint8{50, 55, 61, 93}},
		{"iPXE RELEASE", ipxe.Release(xid, server, address), dhcpv4.MessageTypeRelease, 0, "192.0.2.100", "54=c0000201 61=015254006c6162", []uint8{50, 55, 93}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := dhcpv4.FromBytes(c.message)
			if err != nil {
				t.Fatal(err)
			}
			if m.MessageType() != c.kind || m.Flags != c.flags || m.ClientIPAddr.String() != c.ciaddr || m.TransactionID != dhcpv4.TransactionID(xid) {
				t.Errorf("%s", m.Summary())
			}
			for _, word := range strings.Fields(c.options) {
				var code uint8
				digits := ""
				if _, err := fmt.Sscanf(strings.Replace(word, "=", " ", 1), "%d %s", &code, &digits); err != nil {
					t.Fatal(err)
				}
				if got := hex.EncodeToString(m.Options[code]); got != digits {
					t.Errorf("option %d is %s, want %s", code, got, digits)
				}
			}
			for _, code := range c.absent {
				if m.Options[code] != nil {
					t.Errorf("option %d is there", code)
				}
			}
		})
	}
}

func TestTheDHCPv6MessagesAfterASolicitNameServerAndAddress(t *testing.T) {
	edk2 := machine(t, 7, netboot.FirmwarePXE)
	duid := []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}
	address := netip.MustParseAddr("2001:db8::100")
	for kind, b := range map[dhcpv6.MessageType][]byte{
		dhcpv6.MessageTypeSolicit: edk2.Solicit([3]byte{1, 2, 3}), dhcpv6.MessageTypeRequest: edk2.Select6([3]byte{1, 2, 3}, duid, address), dhcpv6.MessageTypeRelease: edk2.Release6([3]byte{1, 2, 3}, duid, address),
	} {
		m, err := dhcpv6.MessageFromBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if m.MessageType != kind || m.TransactionID != [3]byte{1, 2, 3} || m.Options.ClientID() == nil {
			t.Errorf("%s", m.Summary())
		}
		if kind == dhcpv6.MessageTypeSolicit {
			continue
		}
		if got := m.Options.ServerID(); got == nil || hex.EncodeToString(got.ToBytes()) != hex.EncodeToString(duid) || !m.Options.OneIANA().Options.OneAddress().IPv6Addr.Equal(address.AsSlice()) {
			t.Errorf("%s", m.Summary())
		}
		if boots := m.GetOneOption(dhcpv6.OptionClientArchType) != nil; boots != (kind == dhcpv6.MessageTypeRequest) {
			t.Errorf("%s", m.Summary())
		}
	}
}
