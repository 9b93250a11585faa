package probe_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/probe"
)

// A said is a reply in words: "lease file=x 60=PXEClient 43=0601 08 ...".
func said(t *testing.T, words string) probe.Reply {
	t.Helper()
	b := make([]byte, 240)
	b[0], b[1], b[2] = 2, 1, 6
	copy(b[236:], "\x63\x82\x53\x63")
	r := probe.Reply{Port: 67}
	options := []byte{53, 1, 2, 54, 4, 192, 0, 2, 1}
	option := func(code byte, v string) { options = append(append(options, code, byte(len(v))), v...) }
	for _, w := range strings.Fields(words) {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "lease":
			copy(b[16:20], []byte{192, 0, 2, 100})
			option(1, "\xff\xff\xff\x00")
		case "file":
			copy(b[108:236], value)
		case "siaddr":
			copy(b[20:24], []byte{192, 0, 2, 1})
		case "60":
			option(60, value)
		case "67":
			option(67, value+"\x00")
		case "now": // option 43 that boots at once
			option(43, "\x06\x01\x08\xff")
		case "menu":
			option(43, "\x09\x07\x80\x00\x04menu\xff")
		case "mtftp":
			option(43, "\x01\x04\x01\x02\x03\x04\xff")
		case "dns":
			option(6, "\xc0\x00\x02\x35")
		case "priority":
			n := 0
			fmt.Sscan(value, &n)
			option(175, string([]byte{1, 1, byte(n)}))
		case "noproxy":
			option(175, "\xb0\x01\x01")
		case "after":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			r.At = d
		case "port":
			r.Port = 9999
		case "bootp":
			options = options[3:]
		case "unnamed":
			options = append(options[:3:3], options[9:]...)
		case "cut":
			option(0, "")
			options = append(options, 99, 200)
		default:
			t.Fatalf("what is %q?", w)
		}
	}
	r.Payload = append(append(b, options...), 255)
	return r
}

const (
	pxe  = netboot.FirmwarePXE
	http = netboot.FirmwareHTTP
	ipxe = netboot.FirmwareIPXE
)

// What each firmware's source does with several offers (the reference is named in the file of its rules).
func TestFirmwareChoosesAmongOffersAsItsSourceDoes(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    netboot.Firmware
		bios    bool
		offers  []string
		lease   int
		boot    int
		ask     bool
		because string // code of the stop
	}{
		{"UEFI: a plain offer with a file", pxe, false, []string{"lease file=a"}, 0, 0, false, ""},
		{"UEFI: of two plain offers the one with a file", pxe, false, []string{"lease", "lease file=b"}, 1, 1, false, ""},
		{"UEFI: a proxy before the file of a plain offer", pxe, false, []string{"lease file=a", "60=PXEClient"}, 0, 1, true, ""},
		{"UEFI: a complete proxy before one that must be asked", pxe, false, []string{"lease", "60=PXEClient", "60=PXEClient now file=c"}, 0, 2, false, ""},
		{"UEFI: a complete PXE offer before all", pxe, false, []string{"lease file=a", "60=PXEClient now", "lease 60=PXEClient now file=c"}, 2, 2, false, ""},
		{"UEFI: a complete proxy before a PXE offer that must be asked", pxe, false, []string{"lease", "lease 60=PXEClient file=b", "60=PXEClient now file=c"}, 0, 2, false, ""},
		{"UEFI: class without 43 must be asked although it has a file", pxe, false, []string{"lease 60=PXEClient file=a"}, 0, 0, true, ""},
		{"UEFI: MTFTP alone is dropped", pxe, false, []string{"lease 60=PXEClient mtftp file=a"}, -1, -1, false, "mtftp"},
		{"UEFI: a proxy without class is dropped", pxe, false, []string{"lease", "file=b siaddr"}, -1, -1, false, "no-boot-file"},
		{"UEFI: BOOTP is the last resort", pxe, false, []string{"lease bootp file=a"}, 0, 0, false, ""},
		{"UEFI: an offer without option 54 is dropped", pxe, false, []string{"lease unnamed file=a", "lease file=b"}, 1, 1, false, ""},
		{"UEFI: an offer cut short is dropped", pxe, false, []string{"lease file=a cut"}, -1, -1, false, "malformed"},
		{"UEFI: nobody leases", pxe, false, []string{"60=PXEClient"}, -1, -1, false, "proxy-only"},

		{"HTTP: a numeric URL", http, false, []string{"lease", "lease 60=HTTPClient 67=http://192.0.2.1/a"}, 1, 1, false, ""},
		{"HTTP: a numeric URL before a name with DNS", http, false, []string{"lease dns 60=HTTPClient 67=http://boot.example/a", "lease 60=HTTPClient 67=http://192.0.2.1/a"}, 1, 1, false, ""},
		{"HTTP: a name with DNS", http, false, []string{"lease dns 60=HTTPClient 67=http://boot.example/a"}, 0, 0, false, ""},
		{"HTTP: a name, and DNS of a plain offer", http, false, []string{"lease dns", "lease 60=HTTPClient 67=http://boot.example/a"}, 0, 1, false, ""},
		{"HTTP: a name without DNS", http, false, []string{"lease", "lease 60=HTTPClient 67=http://boot.example/a"}, -1, -1, false, "no-dns"},
		{"HTTP: a proxy's numeric URL", http, false, []string{"lease", "60=HTTPClient 67=http://192.0.2.1/a"}, 0, 1, false, ""},
		{"HTTP: a proxy's name and DNS", http, false, []string{"lease dns", "60=HTTPClient 67=http://boot.example/a"}, 0, 1, false, ""},
		{"HTTP: a URL without class", http, false, []string{"lease 67=http://192.0.2.1/a"}, -1, -1, false, "no-http-class"},
		{"HTTP: the URL in the header", http, false, []string{"lease 60=HTTPClient file=http://192.0.2.1/a"}, 0, 0, false, ""},
		{"HTTP: no URL", http, false, []string{"lease 60=HTTPClient file=ipxe.efi"}, -1, -1, false, "bad-url"},
		{"HTTP: a proxy alone", http, false, []string{"60=HTTPClient 67=http://192.0.2.1/a"}, -1, -1, false, "proxy-only"},

		{"iPXE: the later of equals", ipxe, false, []string{"lease file=a", "lease file=b"}, 1, 1, false, ""},
		{"iPXE: the higher priority", ipxe, false, []string{"lease file=a priority=5", "lease file=b"}, 0, 0, false, ""},
		{"iPXE: no-pxedhcp ends its search at once", ipxe, false, []string{"lease file=a noproxy", "lease file=b", "60=PXEClient siaddr file=c"}, 0, 0, false, ""},
		{"iPXE: too late", ipxe, false, []string{"lease file=a", "lease file=b after=3500ms"}, 0, 0, false, ""},
		{"iPXE: a proxy with server and file", ipxe, false, []string{"lease", "60=PXEClient siaddr file=c"}, 0, 1, false, ""},
		{"iPXE: a proxy without siaddr is asked", ipxe, false, []string{"lease", "60=PXEClient file=c"}, 0, 1, true, ""},
		{"iPXE: an offer may be its own proxy", ipxe, false, []string{"lease 60=PXEClient siaddr file=a"}, 0, 0, false, ""},
		{"iPXE: a negative priority is never accepted", ipxe, false, []string{"lease file=a priority=-1"}, -1, -1, false, "priority"},
		{"iPXE: only from port 67", ipxe, false, []string{"lease file=a port"}, -1, -1, false, "odd-port"},
		{"iPXE: nobody leases", ipxe, false, []string{"60=PXEClient siaddr file=a"}, -1, -1, false, "proxy-only"},

		{"BIOS: a plain offer with a file", pxe, true, []string{"lease", "lease file=b"}, 1, 1, false, ""},
		{"BIOS: class without 43 boots from its file", pxe, true, []string{"lease 60=PXEClient file=a"}, 0, 0, false, ""},
		{"BIOS: class without a file is asked", pxe, true, []string{"lease 60=PXEClient"}, 0, 0, true, ""},
		{"BIOS: a proxy with 43 and file", pxe, true, []string{"lease file=a", "60=PXEClient now siaddr file=b"}, 0, 1, false, ""},
		{"BIOS: a proxy without 43 is asked", pxe, true, []string{"lease file=a", "60=PXEClient siaddr file=b"}, 0, 1, true, ""},
		{"BIOS: a proxy's menu", pxe, true, []string{"lease", "60=PXEClient menu"}, 0, 1, false, ""},
		{"BIOS: nobody names a file", pxe, true, []string{"lease"}, -1, -1, false, "no-boot-file"},
		{"BIOS: nobody leases", pxe, true, []string{"60=PXEClient"}, -1, -1, false, "proxy-only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var replies []probe.Reply
			for _, o := range c.offers {
				replies = append(replies, said(t, o))
			}
			lease, boot, ask, code := probe.Choose(c.kind, c.bios, replies)
			if lease != c.lease || boot != c.boot || ask != c.ask || code != c.because {
				t.Errorf("lease %d, boot %d, ask %v, %q; want %d, %d, %v, %q", lease, boot, ask, code, c.lease, c.boot, c.ask, c.because)
			}
		})
	}
}

func TestAScriptsFilesAreListed(t *testing.T) {
	steps, ends := probe.Steps([]byte("#!ipxe\r\n# chain no\nset x chain\nisset ${net0/ip} || dhcp\nkernel --name k http://h/vmlinuz \\\n  initrd=i quiet\ninitrd -n i initrd.img i && imgstat\n:again\nchain --replace --autofree ${url}?m=${mac} || goto again\nboot\n"))
	var got []string
	for _, s := range steps {
		got = append(got, fmt.Sprintf("%d %s %s", s.Line(), s.Command(), s.Target()))
	}
	want := "6 kernel http://h/vmlinuz, 7 initrd initrd.img, 9 chain ${url}?m=${mac}"
	if strings.Join(got, ", ") != want || !ends {
		t.Errorf("%q, %v", got, ends)
	}
	if _, ends := probe.Steps([]byte("#!ipxe\necho hello\n")); ends {
		t.Error("a script that says hello does not end the boot")
	}
}
