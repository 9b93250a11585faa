package boot_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/msdhcp/powershell"
	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// exported is the script for a map, and what is left out of it.
func exported(t *testing.T, path string) (script, leftOut string) {
	t.Helper()
	s, left, err := boot.MSDHCP(path, ip("192.0.2.1"))
	must(t, err)
	s.Source = filepath.Base(path)
	var b strings.Builder
	must(t, s.Write(&b))
	return b.String(), left.Error()
}

func TestMicrosoftDHCPIsToldWhatItCanFollow(t *testing.T) {
	maps, err := filepath.Glob("testdata/msdhcp/*.yml")
	must(t, err)
	for _, path := range maps {
		t.Run(filepath.Base(path), func(t *testing.T) {
			script, leftOut := exported(t, path)
			text := strings.ReplaceAll(strings.ReplaceAll(script, "\r\n", "\n"), "testdata/msdhcp/", "")
			isGolden(t, path, text+strings.ReplaceAll(leftOut, "testdata/msdhcp/", "")+"\n")
			if _, err := powershell.Parse(script); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAMapWithMistakesIsNotExported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.yml")
	must(t, os.WriteFile(path, []byte("rules: [{arch: x86, file: x}]\n"), 0o600))
	if _, _, err := boot.MSDHCP(path, netip.Addr{}); err == nil || !strings.Contains(err.Error(), "x86") {
		t.Errorf("says %v", err)
	}
}

func TestAServerThatIsNotNamedIsAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.yml")
	must(t, os.WriteFile(path, []byte("rules: [{arch: bios, file: x}]\n"), 0o600))
	s, left, err := boot.MSDHCP(path, netip.Addr{})
	must(t, err)
	if len(s.Policies) > 0 || !strings.Contains(left.Error(), "--server") {
		t.Errorf("%d policies, %v", len(s.Policies), left)
	}
}

// microsoft follows a script as Microsoft's DHCP server does: of the policies that match, the first that has an option
// gives it.
type microsoft struct {
	class    map[string]string // data by name
	policies []powershell.Command
	options  map[string]map[string]string // by policy and code
}

func newMicrosoft(t *testing.T, script string) *microsoft {
	t.Helper()
	statements, err := powershell.Parse(script)
	must(t, err)
	m := &microsoft{map[string]string{}, nil, map[string]map[string]string{}}
	for _, s := range statements {
		if len(s.Pipeline) != 1 {
			continue
		}
		c := s.Pipeline[0]
		one := func(name string) string { return strings.Join(c.Values(name), ",") }
		switch c.Name {
		case "Add-DhcpServerv4Class":
			m.class[one("Name")] = one("Data")
		case "Add-DhcpServerv4Policy":
			m.policies = append(m.policies, c)
			m.options[one("Name")] = map[string]string{}
		case "Set-DhcpServerv4OptionValue":
			m.options[one("PolicyName")][one("OptionId")] = one("Value")
		}
	}
	return m
}

// given are the options for a request.
func (m *microsoft) given(t *testing.T, req *dhcpv4.DHCPv4) map[string]string {
	t.Helper()
	given := map[string]string{}
	sent := map[string]string{
		"VendorClass": string(req.Options.Get(dhcpv4.OptionClassIdentifier)),
		"UserClass":   string(req.Options.Get(dhcpv4.OptionUserClassInformation)),
		"MacAddress":  strings.ToUpper(strings.ReplaceAll(req.ClientHWAddr.String(), ":", "")),
	}
	for _, p := range m.policies {
		matches := true
		for parameter, value := range sent {
			condition := p.Values(parameter)
			if len(condition) == 0 {
				continue
			}
			in := slices.ContainsFunc(condition[1:], func(name string) bool {
				want, open := strings.CutSuffix(name, "*")
				if parameter != "MacAddress" {
					data, known := m.class[want]
					if !known {
						t.Errorf("class %q is not defined", want)
					}
					want = data
				}
				return value == want || open && strings.HasPrefix(value, want)
			})
			matches = matches && in == (condition[0] == "EQ")
		}
		if !matches {
			continue
		}
		for code, value := range m.options[p.Values("Name")[0]] {
			if _, before := given[code]; !before {
				given[code] = value
			}
		}
	}
	return given
}

func TestMicrosoftDHCPAnswersAsWeDo(t *testing.T) {
	const path = "testdata/msdhcp/whole.yml"
	script, leftOut := exported(t, path)
	if leftOut != "" {
		t.Fatalf("left out:\n%s", leftOut)
	}
	theirs := newMicrosoft(t, script)
	ours, err := boot.Load(path)
	must(t, err)
	for name, r := range map[string]request4{
		"a BIOS ROM": biosROM, "EDK2": edk2, "x64 that says 9": edk2.with(arch(9), pxe(9, "003016")),
		"a UEFI test machine": asMAC(edk2, "52:54:00:00:ff:07"), "IA32": edk2.with(arch(6), pxe(6, "003016")),
		"ARM64 by PXE": edk2.with(arch(11), pxe(11, "003016")), "ARM64 by HTTP": httpBoot.with(http(19), arch(19)),
		"x64 by HTTP": httpBoot, "iPXE on BIOS": ipxeBIOS, "iPXE on UEFI": ipxeEFI, "iPXE of old-dell": asMAC(ipxeEFI, "52:54:00:aa:bb:01"),
		"old-dell before it is iPXE": asMAC(edk2, "52:54:00:aa:bb:01"), "U-Boot": uBoot, "Windows": windows,
		"RISC-V": edk2.with(arch(27), pxe(27, "003016")), "an old ROM": edk2.with(arch(27), pxe(27, "003016"), opt(77, "OldROM")),
	} {
		req, err := dhcpv4.FromBytes(r.bytes())
		must(t, err)
		c, err := netboot.Client4(req)
		must(t, err)
		c.Local = ip("192.0.2.1")
		want := map[string]string{}
		if a, mine := ours.Decide(&c); mine {
			want["66"], want["67"] = a.Server.String(), a.File
			if a.Firmware == netboot.FirmwareHTTP {
				want["60"] = "HTTPClient"
			}
		}
		got := theirs.given(t, req)
		for _, code := range []string{"60", "66", "67"} {
			if got[code] != want[code] {
				t.Errorf("%s: option %s is %q from Microsoft DHCP, %q from us", name, code, got[code], want[code])
			}
		}
	}
}
