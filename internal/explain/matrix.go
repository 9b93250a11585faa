package explain

import (
	"strings"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// CompareAll compares what every kind of machine is answered: every architecture with every firmware, iPXE as it is
// usually built and without HTTP; and each of them with every value that one of the maps names.
func CompareAll(path, old string) (Changes, error) {
	return compare(path, old, func(c *comparison) error {
		variations, err := c.variations(old)
		if err != nil {
			return err
		}
		asked := map[string]bool{}
		once := func(m firmware.Machine, plain, who string) {
			request := m.Request()
			if asked[string(request)] {
				return
			}
			asked[string(request)] = true
			c.ask(request, 67, plain, who)
			if !m.V6 && m.Firmware == netboot.FirmwarePXE && m.Arch.UEFI() && c.now.hears(PortPXE) { // others are told in the offer
				c.ask(c.now.AskPXE(m), PortPXE, plain, who)
			}
		}
		for _, v6 := range []bool{false, true} {
			if v6 && c.now.config.Server6 == nil || !v6 && c.now.config.Server4 == nil {
				continue
			}
			for _, k := range kinds(v6) { // first, so that they go by their plain names
				once(k.machine, k.name, k.name)
			}
			for _, k := range kinds(v6) {
				for _, v := range variations {
					if v.IsHost && !k.common {
						continue // an entry of its own does not ask for the architecture
					}
					if m, name, differs := k.vary(v); differs {
						once(m, k.name, name)
					}
				}
			}
		}
		return nil
	})
}

// variations are those of both maps.
func (c *comparison) variations(old string) (all []boot.Variation, err error) {
	seen := map[boot.Variation]bool{}
	for _, path := range append(c.now.maps(), old) {
		list, err := boot.Variations(path)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			if !seen[v] {
				seen[v] = true
				all = append(all, v)
			}
		}
	}
	return all, nil
}

// kind is one kind of machine.
type kind struct {
	name    string
	common  bool // one that most sites have
	machine firmware.Machine
}

func kinds(v6 bool) (list []kind) {
	suffix := ""
	if v6 {
		suffix = " by DHCPv6"
	}
	mac := netboot.MACFrom([]byte{0x52, 0x54, 0, 0, 0, 1})
	for _, name := range netboot.ArchNames() {
		codes, err := netboot.ParseArch(name)
		if err != nil {
			panic(err) // ParseArch does not know its own names
		}
		for _, f := range []netboot.Firmware{netboot.FirmwarePXE, netboot.FirmwareHTTP} {
			code := firmware.CodeFor(codes, f)
			if code.HTTP() != (f == netboot.FirmwareHTTP) {
				continue // such a machine has no HTTP firmware
			}
			list = append(list, kind{name + "/" + f.String() + suffix, name == "uefi-x64" || name == "bios" && f == netboot.FirmwarePXE,
				firmware.Machine{V6: v6, Arch: code, Firmware: f, MAC: mac}})
		}
		usual := firmware.Machine{V6: v6, Arch: codes[0], Firmware: netboot.FirmwareIPXE, MAC: mac, Features: netboot.UsualFeatures(codes[0])}
		list = append(list, kind{name + "/ipxe" + suffix, name == "uefi-x64", usual})
		if !v6 { // DHCPv6 does not tell features
			usual.Features &^= netboot.FeatureHTTP | netboot.FeatureHTTPS
			list = append(list, kind{name + "/ipxe without http", name == "bios", usual})
		}
	}
	return list
}

// vary is a machine of the kind that differs so, and its name. False: such a machine cannot differ so.
func (k kind) vary(v boot.Variation) (m firmware.Machine, name string, ok bool) {
	m, name = k.machine, k.name
	with := func(what, value string) { name += ", " + what + " " + printable(value) }
	if v.HasArch {
		if v.Arch.HTTP() != (m.Firmware == netboot.FirmwareHTTP) || v.Arch == m.Arch {
			return m, "", false
		}
		m.Arch = v.Arch
		name = boot.ArchText(v.Arch) + name[strings.Index(name, "/"):]
	}
	if v.HasFeatures {
		if m.Firmware != netboot.FirmwareIPXE || m.V6 {
			return m, "", false
		}
		m.Features = v.Features
		with("features", strings.Join(v.Features.Names(), " "))
	}
	if v.MAC.Known() {
		m.MAC = v.MAC
		with("mac", v.MAC.String())
	}
	if v.UUID.Known() {
		m.UUID = v.UUID
		with("uuid", v.UUID.String())
	}
	for _, t := range []struct {
		what, value string
		of          *string
	}{
		{"user-class", v.UserClass, &m.UserClass}, {"vendor-class", v.VendorClass, &m.VendorClass}, {"hostname", v.Hostname, &m.Hostname},
		{"circuit-id", v.CircuitID, &m.CircuitID}, {"remote-id", v.RemoteID, &m.RemoteID},
	} {
		if t.value != "" {
			*t.of = t.value
			with(t.what, t.value)
		}
	}
	if v.Relay.IsValid() {
		if v.Relay.Is6() != m.V6 {
			return m, "", false
		}
		m.Relay = v.Relay
		with("relay", v.Relay.String())
	}
	return m, name, true
}
