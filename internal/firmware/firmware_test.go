package firmware_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/capture"
	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/packet"
)

// captured are the first requests of real firmware, by what it is: OVMF, AAVMF, QEMU's iPXE ROM, iPXE of 2025.
func captured(t *testing.T) map[string][]byte {
	t.Helper()
	f, err := os.Open("../../cmd/netbootctl/testdata/explain/real-clients.pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first := map[string][]byte{}
	err = capture.Read(f, func(d capture.Datagram) error {
		var c netboot.Client
		var err error
		if packet.IsV4(d.Payload) {
			req, perr := dhcpv4.FromBytes(d.Payload)
			if perr != nil || req.MessageType() != dhcpv4.MessageTypeDiscover || !req.GatewayIPAddr.IsUnspecified() {
				return perr
			}
			c, err = netboot.Client4(req)
		} else {
			req, perr := dhcpv6.FromBytes(d.Payload)
			if perr != nil || req.Type() != dhcpv6.MessageTypeSolicit {
				return perr
			}
			c, err = netboot.Client6(req)
		}
		name := c.Arch.String() + "/" + c.Firmware.String()
		if c.V6 {
			name += " by DHCPv6"
		}
		if c.Firmware == netboot.FirmwareIPXE && !slices.Contains(c.UserClasses, "iPXE") {
			return err // its script says that it is something else
		}
		if first[name] == nil && c.Firmware != netboot.FirmwareNone {
			first[name] = d.Payload
		}
		return err
	})
	if err != nil && !errors.Is(err, capture.ErrCut) {
		t.Fatal(err)
	}
	return first
}

// mayDiffer tells fields that are a machine's own, or a build's: of iPXE its features, and since 2025 the codes 42 and 121
// of its parameter list and the broadcast flag; of EDK2 the IAID, which is random.
func mayDiffer(f packet.Field, ipxe bool) bool {
	switch f.Label() {
	case "xid", "secs":
		return true
	case "175 iPXE", "55 parameter list", "flags":
		return ipxe
	case "3 address (IA_NA)":
		return !ipxe
	}
	return false
}

func TestARequestIsWhatRealFirmwareSends(t *testing.T) {
	real := captured(t)
	uuid, err := netboot.ParseUUID("00112233-4455-6677-8899-aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	for name, wire := range real {
		t.Run(name, func(t *testing.T) {
			plain, v6 := strings.CutSuffix(name, " by DHCPv6")
			arch, kind, _ := strings.Cut(plain, "/")
			codes, err := netboot.ParseArch(arch)
			if err != nil {
				t.Fatal(err)
			}
			f, _ := netboot.ParseFirmware(kind)
			m := firmware.Machine{V6: v6, Arch: firmware.CodeFor(codes, f), Firmware: f, UUID: uuid, MAC: netboot.MACFrom([]byte{0x52, 0x54, 0, 0x6c, 0x61, 0x62})}
			want, err := packet.Fields(wire)
			if err != nil {
				t.Fatal(err)
			}
			got, err := packet.Fields(m.Request())
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want, got, f == netboot.FirmwareIPXE)
		})
	}
	for _, name := range []string{"bios/pxe", "bios/ipxe", "uefi-x64/pxe", "uefi-x64/http", "uefi-x64/ipxe", "uefi-arm64/pxe", "uefi-x64/pxe by DHCPv6", "uefi-x64/http by DHCPv6", "uefi-x64/ipxe by DHCPv6"} {
		if real[name] == nil {
			t.Errorf("the capture has no %s", name)
		}
	}
}

func compare(t *testing.T, want, got []packet.Field, ipxe bool) {
	t.Helper()
	values := map[string]string{}
	for _, f := range got {
		values[f.Label()] = f.Value
	}
	for _, f := range want {
		v, there := values[f.Label()]
		delete(values, f.Label())
		if !there {
			t.Errorf("has no %s = %s", f.Label(), f.Value)
		} else if v != f.Value && !mayDiffer(f, ipxe) {
			t.Errorf("%s is %s, the real one's %s", f.Label(), v, f.Value)
		}
	}
	for label, v := range values {
		t.Errorf("has %s = %s, which the real one has not", label, v)
	}
}

func TestEveryMachineIsRecognisedForWhatItIs(t *testing.T) {
	for _, name := range netboot.ArchNames() {
		codes, err := netboot.ParseArch(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []netboot.Firmware{netboot.FirmwarePXE, netboot.FirmwareHTTP, netboot.FirmwareIPXE} {
			code := firmware.CodeFor(codes, f)
			if code.HTTP() != (f == netboot.FirmwareHTTP) {
				continue
			}
			m := firmware.Machine{Arch: code, Firmware: f, MAC: netboot.MACFrom([]byte{0x52, 0x54, 0, 0, 0, 1}), Features: netboot.UsualFeatures(code)}
			req, err := dhcpv4.FromBytes(m.Request())
			if err != nil {
				t.Fatal(err)
			}
			c, err := netboot.Client4(req)
			if err != nil || c.Arch.String() != name || c.Firmware != f || f == netboot.FirmwareIPXE && c.Features != m.Features || c.MAC != m.MAC {
				t.Errorf("%s/%s is taken for %s/%s, %v", name, f, c.Arch, c.Firmware, err)
			}
			m.V6 = true
			six, err := dhcpv6.FromBytes(m.Request())
			if err != nil {
				t.Fatal(err)
			}
			c, err = netboot.Client6(six)
			if err != nil || c.Arch.String() != name || c.Firmware != f && name[:4] != "uboo" && name != "rpi" || !c.Boots() {
				t.Errorf("%s/%s by DHCPv6 is taken for %s/%s, %v", name, f, c.Arch, c.Firmware, err)
			}
		}
	}
}

func FuzzNoMachineMakesAMessageThatCannotBeRead(f *testing.F) {
	f.Add(uint16(7), uint8(1), false, "host", "class", "vendor", []byte{1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, arch uint16, kind uint8, v6 bool, host, user, vendor string, mac []byte) {
		m := firmware.Machine{V6: v6, Arch: netboot.Arch(arch), Firmware: netboot.Firmware(kind % 4), Hostname: host, UserClass: user,
			VendorClass: vendor, CircuitID: user, RemoteID: vendor, MAC: netboot.MACFrom(mac), Features: netboot.Features(arch)}
		b := m.Request()
		if _, err := packet.Fields(b); err != nil || packet.IsV4(b) == v6 || bytes.Equal(b, nil) {
			t.Errorf("%+v makes %x: %v", m, b, err)
		}
	})
}
