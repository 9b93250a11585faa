package script

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Machine is who asks for a script. All of it is a claim: nothing on this network proves who somebody is.
type Machine struct {
	MAC  netboot.MAC
	UUID netboot.UUID
	IP   netip.Addr
	Arch string // a name that netboot.ArchNames has; empty: not told

	Serial, Asset, Hostname, Manufacturer, Product Text
}

// Identified tells whether the machine told anything that machines.yml could know it by.
func (m *Machine) Identified() bool {
	return m.MAC.Known() || m.UUID.Known() || m.Serial != "" || m.Asset != ""
}

// String is what the machine is best known by, for logs and as a key; empty: nothing. It is escaped.
func (m *Machine) String() string {
	return cmp.Or(m.MAC.String(), m.UUID.String(), m.Serial.String(), m.Asset.String())
}

// Facts are the names of what a machine may tell, as they stand in a query and in templates.
func Facts() []string {
	return []string{"mac", "uuid", "serial", "asset", "arch", "ip", "hostname", "manufacturer", "product"}
}

// Ask reads a query, as the stock bootstrap script sends it. The first value of a fact counts. A plus sign is one and no
// space: iPXE before November 2021 decodes the query of a URL and encodes it anew, and leaves & and + as they are
// ("i440FX + PIIX" comes as i440FX%20+%20PIIX). What is wrong in it counts as not told; refused says what and why, one
// text each, in words that are safe to log.
func Ask(query string) (m Machine, refused []string) {
	told := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		fact, value, _ := strings.Cut(pair, "=")
		if told[fact] || value == "" || !slices.Contains(Facts(), fact) {
			continue
		}
		told[fact] = true
		value, err := url.PathUnescape(value)
		if err != nil {
			refused = append(refused, fact+" is not well encoded")
			continue
		}
		if err := m.Tell(fact, value); err != nil {
			refused = append(refused, fmt.Sprintf("%s %v", fact, err))
		}
	}
	return m, refused
}

// Tell sets one fact. The error does not repeat the value.
func (m *Machine) Tell(fact, value string) (err error) {
	text, err := claim(value)
	if err != nil {
		return err
	}
	if strings.Contains(value, "${") {
		err = fmt.Errorf("has ${, which is shown as %%24%%7B")
	}
	switch fact {
	case "mac":
		if m.MAC, err = netboot.ParseMAC(string(text)); err != nil {
			return fmt.Errorf("is not a MAC address")
		}
	case "uuid":
		if m.UUID, err = netboot.ParseUUID(strings.ToLower(string(text))); err != nil {
			return fmt.Errorf("is not a UUID")
		}
	case "ip":
		if m.IP, err = netip.ParseAddr(string(text)); err != nil || m.IP.Zone() != "" {
			m.IP = netip.Addr{}
			return fmt.Errorf("is not an IP address")
		}
	case "arch":
		if m.Arch, err = parseArch(string(text)); err != nil {
			return err
		}
	case "serial":
		m.Serial = text
	case "asset":
		m.Asset = text
	case "hostname":
		m.Hostname = text
	case "manufacturer":
		m.Manufacturer = text
	case "product":
		m.Product = text
	default:
		return fmt.Errorf("is unknown; use one of %s", strings.Join(Facts(), ", "))
	}
	return err
}

// parseArch knows our names, and what iPXE's ${platform}-${buildarch} makes. A BIOS build is for i386 on any machine.
func parseArch(s string) (string, error) {
	if slices.Contains(netboot.ArchNames(), s) {
		return s, nil
	}
	platform, cpu, _ := strings.Cut(s, "-")
	switch platform {
	case "pcbios":
		return "bios", nil
	case "efi":
		name := "uefi-" + strings.NewReplacer("i386", "ia32", "x86_64", "x64").Replace(cpu)
		if slices.Contains(netboot.ArchNames(), name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("is unknown; use one of %s", strings.Join(netboot.ArchNames(), ", "))
}
