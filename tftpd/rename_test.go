package tftpd_test

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"regexp"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/tftpd"
)

func TestTheFirstRuleThatMatchesRenames(t *testing.T) {
	var asked string
	r := tftpd.Renamed{
		Files: files(func(rq tftpd.Request) (tftpd.File, error) { asked = rq.Name; return nil, fs.ErrNotExist }),
		Rules: []tftpd.Rule{
			{Match: regexp.MustCompile("^C:/"), Name: ""},
			{Match: regexp.MustCompile(`^pxelinux\.cfg/01-(.*)$`), Name: "hosts/$1.cfg"},
			{Match: regexp.MustCompile("^out$"), Name: "../secret"},
			{Match: regexp.MustCompile("hosts"), Name: "never twice"},
		},
	}
	for name, want := range map[string]string{
		"C:/boot/bcd": "boot/bcd", "pxelinux.cfg/01-52-54-00-aa-bb-01": "hosts/52-54-00-aa-bb-01.cfg", "ipxe.efi": "ipxe.efi",
	} {
		if _, err := r.Open(tftpd.Request{Name: name}); !errors.Is(err, fs.ErrNotExist) || asked != want {
			t.Errorf("%s is looked up as %s, %v", name, asked, err)
		}
	}
	asked = ""
	if _, err := r.Open(tftpd.Request{Name: "out"}); !errors.Is(err, tftpd.ErrOutside) || asked != "" {
		t.Errorf("a rule leads out to %q, %v", asked, err)
	}
}

func TestAClientsOwnDirectoryComesFirst(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"52-54-00-aa-bb-01/x", "192.0.2.7/x", "2001-db8--7/x", "x", "192.0.2.7/y", "z"} {
		l.has(name, []byte(name))
	}
	p := tftpd.Personal{Files: l.dirs, Address: true, MAC: func(a netip.Addr) (netboot.MAC, bool) {
		return netboot.MACFrom([]byte{0x52, 0x54, 0, 0xaa, 0xbb, 1}), a == netip.MustParseAddr("192.0.2.8")
	}}
	for _, c := range []struct{ client, name, want string }{
		{"192.0.2.7", "x", "192.0.2.7/x"},
		{"192.0.2.8", "x", "52-54-00-aa-bb-01/x"},
		{"192.0.2.9", "x", "x"},
		{"2001:db8::7", "x", "2001-db8--7/x"},
		{"192.0.2.7", "y", "192.0.2.7/y"},
		{"192.0.2.7", "z", "z"},
	} {
		f, err := p.Open(tftpd.Request{Name: c.name, Client: netip.MustParseAddr(c.client)})
		must(t, err)
		if got, _ := io.ReadAll(f); string(got) != c.want {
			t.Errorf("%s asks for %s and gets %s", c.client, c.name, got)
		}
		f.Close()
	}
}
