package subnets_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
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
