package subnets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv6"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/plugins/boot"
)

func TestABootMapMatchesByNetworkAndClass(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.yml")
	if err := os.WriteFile(path, []byte(`
next-server: 10.1.1.9
rules:
  - {class: phone, file: phone.cfg}
  - {subnet: lab, file: lab.efi}
  - {subnet: 10.1.1.0/24, file: office.efi}
  - {not: {subnet: "*"}, file: nowhere.efi}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	log, _ := logtest.NewNullLogger()
	p := boot.New(boot.Env{Log: log.WithField("plugin", "boot"), Map: path})
	setup := p.Setup4
	withBoot := plugins.Plugin{Name: "boot", Setup4: func(...string) (handler.Handler4, error) { return setup(path) }}
	l := newLab(t, office+`
  - {name: lab, subnet: 10.2.0.0/24, pools: [10.2.0.100-10.2.0.109]}
classes:
  - {name: phone, when: 'option vendor-class-identifier = "phone"'}
`, &withBoot)
	rom := option(93, "\x00\x07")
	for by, want := range map[string]string{"10.1.1.1": "office.efi", "10.2.0.1": "lab.efi"} {
		m := l.machine(1, rom)
		if ack := m.sends(1, via(by)); ack == nil || ack.BootFileName != want || ack.YourIPAddr.IsUnspecified() {
			t.Errorf("through %s: %v, want %s", by, ack, want)
		}
	}
	if ack := l.machine(2, rom, option(vendorClass, "phone")).sends(1); ack == nil || ack.BootFileName != "phone.cfg" {
		t.Errorf("%v", ack)
	}
}

// Vectors S01 and S02: the firmware of a machine, EDK2's, asks for an address and a file at once.
func TestPXEOverIPv6HasItsAddressAndItsFileInOneAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.yml")
	if err := os.WriteFile(path, []byte("rules: [{arch: uefi-x64, file: ipxe-x86_64.efi}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, _ := logtest.NewNullLogger()
	setup := boot.New(boot.Env{Log: log.WithField("plugin", "boot"), Map: path}).Setup6
	withBoot := plugins.Plugin{Name: "boot", Setup6: func(...string) (handler.Handler6, error) { return setup(path) }}
	l := newLab6(t, "networks: [{subnet: 2001:db8:1::/64, pools: [2001:db8:1::1000-2001:db8:1::10ff], lease-time: 2h}]\n", &withBoot)
	firmware := l.stranger(7)
	option := func(code dhcpv6.OptionCode, data string) dhcpv6.Option {
		return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: []byte(data)}
	}
	const class = "PXEClient:Arch:00007:UNDI:003016"
	says := []any{
		"na 1", option(dhcpv6.OptionORO, "\x00\x3b\x00\x3c\x00\x17\x00\x10"), option(dhcpv6.OptionClientArchType, "\x00\x07"),
		option(dhcpv6.OptionNII, "\x01\x03\x10"), option(dhcpv6.OptionVendorClass, "\x00\x00\x01\x57\x00\x20"+class),
	}
	for _, m := range []*dhcpv6.Message{
		firmware.message(dhcpv6.MessageTypeSolicit, says...), firmware.message(dhcpv6.MessageTypeRequest, append(says, names(ours))...),
	} {
		reply := firmware.reply(m)
		if reply == nil {
			t.Fatalf("%s is not answered\n%s", m.MessageType, l.log.String())
		}
		if got := told(reply); !strings.HasSuffix(got, "; na 1 2001:db8:1::1000 for 4500/7200") {
			t.Errorf("%s is told %q", m.MessageType, got)
		}
		if url := reply.Options.BootFileURL(); url != "tftp://[2001:db8:1::1]/ipxe-x86_64.efi" {
			t.Errorf("%s is told the file %q", m.MessageType, url)
		}
		for _, code := range []dhcpv6.OptionCode{dhcpv6.OptionVendorClass, dhcpv6.OptionBootfileParam} {
			if reply.GetOneOption(code) != nil {
				t.Errorf("%s is told the option %s", m.MessageType, code)
			}
		}
		if id := reply.GetOneOption(dhcpv6.OptionClientID); id == nil || string(id.ToBytes()) != firmware.duid {
			t.Errorf("%s is told the client identifier %v", m.MessageType, id)
		}
	}
}
