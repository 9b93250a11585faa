package integration_test

import (
	"bytes"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
)

// besideThem boots a machine beside each of the DHCP servers that other people run.
func besideThem(t *testing.T, name string, kind lab.Kind, after func(*testing.T, *lab.Boot)) {
	t.Helper()
	for _, other := range []lab.AddressServer{lab.ISC, lab.Kea, lab.DnsmasqAddresses} {
		t.Run(string(other), func(t *testing.T) {
			t.Parallel()
			s := suite(t)
			s.Proxy = true
			b := boots(t, open(t, lab.Config{Server: s, Addresses: other}), name, kind)
			if after != nil {
				after(t, b)
			}
		})
	}
}

func TestBesideAnotherServerABIOSMachineWithIPXEInItsCardBoots(t *testing.T) {
	t.Parallel()
	besideThem(t, "old-dell", lab.BIOS, nil)
}

func TestBesideAnotherServerAPlainPXEMachineBoots(t *testing.T) {
	t.Parallel()
	besideThem(t, "older-dell", lab.PlainPXE, nil)
}

func TestBesideAnotherServerAUEFIMachineIsToldItsFileOnPort4011(t *testing.T) {
	t.Parallel()
	besideThem(t, "rack-7", lab.UEFI, func(t *testing.T, b *lab.Boot) {
		asked, told := false, false
		for _, m := range b.Trace.DHCP {
			asked = asked || m.FromClient && m.From.Port() == 4011 && m.To.Port() == 4011
			told = told || !m.FromClient && m.From.Port() == 4011 && m.To.Port() == 4011 && m.File == "ipxe.efi"
		}
		if !asked || !told {
			t.Errorf("asked on port 4011: %v, told there: %v\n%s", asked, told, timeline(b))
		}
	})
}

func TestBesideAnotherServerAUEFIMachineBootsByHTTP(t *testing.T) {
	t.Parallel()
	besideThem(t, "rack-8", lab.UEFIHTTP, func(t *testing.T, b *lab.Boot) {
		for _, m := range b.Trace.DHCP {
			if m.From.Port() == 4011 && !m.IPXE && m.FromClient {
				t.Errorf("HTTP boot asked port 4011:\n%s", timeline(b))
			}
		}
	})
}

func TestBesideAnotherServerAUEFIMachineOfTheFastProfileNeedsNoSecondRequest(t *testing.T) {
	t.Parallel()
	s := suite(t)
	s.Proxy, s.Map = true, "http: http://192.0.2.1:8080\nrules:\n"+
		"  - {ipxe: true, file: \"http://192.0.2.1:8080/boot.ipxe\"}\n  - {arch: uefi-x64, profile: fast, file: ipxe.efi}\n"
	b := boots(t, open(t, lab.Config{Server: s, Addresses: lab.ISC, ScriptBy: wire.HTTP}), "rack-9", lab.UEFI)
	for _, m := range b.Trace.DHCP {
		if m.From.Port() == 4011 {
			t.Errorf("port 4011 was asked:\n%s", timeline(b))
			break
		}
	}
}

func TestOnTheHostOfTheOtherServerMachinesBootToo(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]lab.Kind{"BIOS": lab.BIOS, "UEFI": lab.UEFI} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := suite(t)
			s.Proxy = true
			boots(t, open(t, lab.Config{Server: s, Addresses: lab.DnsmasqAddresses, OneHost: true}), "rack-1", kind)
		})
	}
}

// EDK2 shows the menu, takes its first item when the time is over, and asks again for the file of that item.
func TestAUEFIMachineBootsWhatItsPXEMenuSays(t *testing.T) {
	t.Parallel()
	b := bootsBy(t, "menu: {prompt: Choose, timeout: 1s, items: [{text: Install, file: ipxe.efi}, {text: Disk, local: true}]}")
	for _, m := range b.Trace.DHCP {
		if m.FromClient && bytes.Contains(m.Options[43], []byte{71, 4, 0x80, 0}) {
			return
		}
	}
	t.Errorf("nothing was chosen:\n%s", timeline(b))
}

func TestAUEFIMachineFetchesFromAnotherHostThanItAsks(t *testing.T) {
	t.Parallel()
	bootsBy(t, "server: "+lab.FilesIP+", file: ipxe.efi")
}

// bootsBy boots a UEFI machine by a rule that gives what gives says.
func bootsBy(t *testing.T, gives string) *lab.Boot {
	t.Helper()
	s := suite(t)
	s.Proxy, s.Map = true, "http: http://192.0.2.1:8080\nrules:\n"+
		"  - {ipxe: true, file: \"http://192.0.2.1:8080/boot.ipxe\"}\n  - {arch: uefi-x64, "+gives+"}\n"
	return boots(t, open(t, lab.Config{Server: s, Addresses: lab.ISC}), "rack-2", lab.UEFI)
}
