package subnets_test

import (
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
)

var update = flag.Bool("update", false, "write the wanted texts of testdata anew")

// A case is a file; what is to be said of it stands beside it.
func TestEveryMistakeIsToldInOneRun(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := subnets.Load(file)
			if err == nil {
				t.Fatal("it is taken")
			}
			got := strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", "") + "\n"
			golden := strings.TrimSuffix(file, ".yml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("%v; says:\n%s", err, got)
			}
		})
	}
}

// FuzzParse: no file, however broken, may panic, and what is taken can be arranged and looked up.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/mistakes/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("leases: l\n" + office))
	f.Add([]byte(siteFiles[2] + storyLeases + "leases: l\n"))
	f.Add([]byte("leases: l\n" + office6))
	dir, quiet := f.TempDir(), logrus.New()
	quiet.SetOutput(io.Discard)
	discover, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := subnets.Parse("subnets.yml", b)
		if (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
		if err != nil {
			return
		}
		path := filepath.Join(dir, "subnets.yml")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		plugin, closing, _ := subnets.NewClosing(subnets.Env{Log: logrus.NewEntry(quiet), Looks: &store.Copies{Scratch: t.TempDir()}})
		handle, err := plugin.Setup4(path)
		if err != nil {
			t.Fatalf("it is taken, but cannot be arranged: %v", err)
		}
		for _, at := range []net.IP{nil, ip("10.1.1.1"), ip("10.1.2.1"), ip("255.255.255.255"), ip("0.0.0.1")} {
			req, err := dhcpv4.FromBytes(discover.ToBytes())
			if err != nil {
				t.Fatal(err)
			}
			if at != nil {
				req.GatewayIPAddr = at
			}
			resp, err := dhcpv4.NewReplyFromRequest(req)
			if err != nil {
				t.Fatal(err)
			}
			handle(req, resp)
		}
		if err := closing(); err != nil {
			t.Error(err)
		}
	})
}
