package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// machineFlags describe a machine.
type machineFlags struct {
	arch, mac, uuid, firmware, userClass, vendorClass string
	hostname, relay, circuitID, remoteID              string
	features                                          []string
	ipxe, v6                                          bool

	featuresGiven bool
}

var machineFlagNames = []string{"arch", "mac", "firmware", "ipxe", "features", "user-class", "vendor-class", "uuid", "hostname",
	"relay", "circuit-id", "remote-id", "v6"}

// add are the flags of a machine anywhere.
func (m *machineFlags) add(fs *flag.FlagSet) {
	fs.StringVar(&m.arch, "arch", "", "what it can run: "+strings.Join(netboot.ArchNames(), ", ")+", or a number")
	fs.StringVar(&m.mac, "mac", "52:54:00:00:00:01", "its hardware address")
	fs.StringVar(&m.firmware, "firmware", "", "what it fetches with: pxe, http, ipxe, or none for an operating system (default: pxe, or http where --arch is a number that means it)")
	m.addClasses(fs)
	fs.StringVar(&m.hostname, "hostname", "", "its host name")
	fs.StringVar(&m.relay, "relay", "", "address of the relay agent that it is behind")
	fs.StringVar(&m.circuitID, "circuit-id", "", "what the relay agent tells of its port; 0x and hex digits for bytes")
	fs.StringVar(&m.remoteID, "remote-id", "", "what the relay agent tells of itself; 0x and hex digits for bytes")
}

// addHere are the flags of a machine on this host's network.
func (m *machineFlags) addHere(fs *flag.FlagSet) {
	fs.StringVar(&m.arch, "arch", "", "what it can run: "+strings.Join(played(), ", ")+", or a number")
	fs.StringVar(&m.mac, "mac", "", "its hardware address (default: one of its own, always the same on this interface)")
	fs.StringVar(&m.firmware, "firmware", "", "what it fetches with: pxe, http or ipxe (default: pxe, or http where --arch is a number that means it)")
	m.addClasses(fs)
}

// addClasses are the flags by which servers tell machines apart.
func (m *machineFlags) addClasses(fs *flag.FlagSet) {
	fs.BoolVar(&m.ipxe, "ipxe", false, "the same as --firmware ipxe")
	fs.StringSliceVar(&m.features, "features", nil, "of its iPXE: "+strings.Join(netboot.FeatureNames(), ", ")+" (default: those of a usual build)")
	fs.StringVar(&m.userClass, "user-class", "", "its user class")
	fs.StringVar(&m.vendorClass, "vendor-class", "", "its vendor class (default: what such firmware sends)")
	fs.StringVar(&m.uuid, "uuid", "", "its UUID, as dmidecode -s system-uuid prints it")
	fs.BoolVar(&m.v6, "v6", false, "it asks by DHCPv6 (default: DHCPv4)")
}

// given names the flags of a machine that are set; empty: none.
func (m *machineFlags) given(fs *flag.FlagSet) string {
	var names []string
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains(machineFlagNames, f.Name) {
			names = append(names, "--"+f.Name)
		}
		m.featuresGiven = m.featuresGiven || f.Name == "features"
	})
	return strings.Join(names, " ")
}

// machine is the machine that the flags describe. Every wrong one is told.
func (m *machineFlags) machine() (firmware.Machine, error) {
	out := firmware.Machine{V6: m.v6, UserClass: m.userClass, VendorClass: m.vendorClass, Hostname: m.hostname, Arch: netboot.ArchUnknown}
	var errs []error
	check := func(flag string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	var err error
	if m.mac != "" {
		out.MAC, err = netboot.ParseMAC(m.mac)
		check("mac", err)
	}
	if m.uuid != "" {
		out.UUID, err = netboot.ParseUUID(m.uuid)
		check("uuid", err)
	}
	out.CircuitID, err = rawText(m.circuitID)
	check("circuit-id", err)
	out.RemoteID, err = rawText(m.remoteID)
	check("remote-id", err)
	if m.relay != "" {
		out.Relay, err = netip.ParseAddr(m.relay)
		check("relay", err)
		if err == nil && out.Relay.Is6() != m.v6 {
			check("relay", fmt.Errorf("%s is of the other family; DHCPv6 has --v6", out.Relay))
		}
	} else if m.v6 && (m.circuitID != "" || m.remoteID != "") {
		check("relay", errors.New("circuit-id and remote-id come from a relay; name one"))
	}
	var codes []netboot.Arch
	if m.arch != "" {
		codes, err = netboot.ParseArch(m.arch)
		check("arch", err)
	}
	check("firmware", m.fetches(&out, codes))
	for _, name := range m.features {
		bit, err := netboot.ParseFeature(strings.TrimSpace(name))
		check("features", err)
		out.Features |= bit
	}
	if len(codes) > 0 {
		out.Arch = firmware.CodeFor(codes, out.Firmware)
	}
	if out.Firmware == netboot.FirmwareIPXE && !m.featuresGiven {
		out.Features = netboot.UsualFeatures(out.Arch)
	}
	return out, errors.Join(errs...)
}

// fetches finds what the machine fetches with.
func (m *machineFlags) fetches(out *firmware.Machine, codes []netboot.Arch) error {
	ipxe := m.ipxe || m.featuresGiven
	switch {
	case m.firmware == "none":
		out.Firmware = netboot.FirmwareNone
	case m.firmware != "":
		kind, ok := netboot.ParseFirmware(m.firmware)
		if !ok {
			return fmt.Errorf("%q is unknown; use pxe, http, ipxe or none", m.firmware)
		}
		out.Firmware = kind
	case ipxe:
		out.Firmware = netboot.FirmwareIPXE
	case len(codes) == 1 && codes[0].HTTP():
		out.Firmware = netboot.FirmwareHTTP
	case len(codes) > 0:
		out.Firmware = netboot.FirmwarePXE
	}
	switch {
	case ipxe && out.Firmware != netboot.FirmwareIPXE:
		return errors.New("--ipxe and --features are of firmware ipxe")
	case out.Firmware != netboot.FirmwareNone && len(codes) == 0 && m.arch == "":
		return errors.New("boot firmware has an architecture; give --arch")
	}
	return nil
}

// rawText is a text, or the bytes that 0x and hex digits stand for.
func rawText(s string) (string, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return s, nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return "", fmt.Errorf("%q begins like hex bytes but is none; write an even number of hex digits behind 0x", s)
	}
	return string(b), nil
}

// maxPacket is the most that a UDP datagram holds.
const maxPacket = 65507

// readPacket is a request: hex digits, or what a file or standard input has, as hex digits or as bytes.
func readPacket(s string, in io.Reader) ([]byte, error) {
	if b, ok := fromHex(s); ok {
		return b, nil
	}
	if s != "-" {
		f, err := os.Open(s)
		if err != nil {
			return nil, fmt.Errorf("--hex: neither hex digits nor a file: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 4*maxPacket))
	if err != nil {
		return nil, fmt.Errorf("--hex: %w", err)
	}
	if decoded, ok := fromHex(string(b)); ok {
		b = decoded
	}
	switch {
	case len(b) == 0:
		return nil, errors.New("--hex: is empty; give the UDP payload of a request")
	case len(b) > maxPacket:
		return nil, fmt.Errorf("--hex: has more than %d bytes, the most that a UDP datagram holds", maxPacket)
	}
	return b, nil
}

// fromHex reads hex digits with spaces, colons and ends of lines between them.
func fromHex(s string) ([]byte, bool) {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "", "\n", "", "\r", "", "\t", "").Replace(s))
	return b, err == nil && len(b) > 0
}
