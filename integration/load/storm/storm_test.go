package storm_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/integration/load/storm"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// site is machines behind a relay agent, and dnsmasq as the foreign server that boots them.
func site(t *testing.T, script string) (machines *nettest.Space, port *dhcp.Port, files string) {
	t.Helper()
	if err := nettest.Need("dnsmasq"); err != nil {
		t.Fatal(err)
	}
	n := nettest.New(t)
	server, err := n.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	if machines, err = n.Space("machines"); err != nil {
		t.Fatal(err)
	}
	if err := server.Veth("srv0", machines, "eth0"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		server.Address("srv0", netip.MustParsePrefix("192.0.2.1/24")),
		machines.Address("eth0", netip.MustParsePrefix("192.0.2.2/24")),
		machines.Address("lo", netip.MustParsePrefix("198.18.0.1/32")),
		machines.IP("route", "add", "local", "198.18.0.0/16", "dev", "lo"),
		server.IP("route", "add", "198.18.0.0/16", "via", "192.0.2.2"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files = t.TempDir()
	config := filepath.Join(t.TempDir(), "dnsmasq.conf")
	text := strings.Join([]string{
		"port=0", "no-resolv", "no-hosts", "user=root", "no-ping", "bind-interfaces", "except-interface=lo", "interface=srv0",
		"dhcp-authoritative", "dhcp-leasefile=" + config + ".leases", "dhcp-range=198.18.16.0,198.18.31.255,255.255.0.0,1h",
		"dhcp-userclass=set:ipxe,iPXE", "dhcp-boot=tag:ipxe," + script + ",,192.0.2.1", "dhcp-boot=tag:!ipxe,ipxe.efi,,192.0.2.1",
		"enable-tftp", "tftp-root=" + files, "tftp-max=500", "",
	}, "\n")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := machines.Do(func() (err error) {
		port, err = dhcp.Relayed([4]byte{198, 18, 0, 1}, [4]byte{192, 0, 2, 1})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	if _, err := server.Start(server.Command("dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file="+config)); err != nil {
		t.Fatal(err)
	}
	return machines, port, files
}

func plan(t *testing.T, files string) storm.Plan {
	t.Helper()
	p := storm.Plan{Machines: 30, Server: [4]byte{192, 0, 2, 1}, Deadline: 50 * time.Second,
		Rules:  dhcp.Rules{Server: [4]byte{192, 0, 2, 1}, Leases: true},
		Loader: storm.File{Name: "ipxe.efi", Content: bytes.Repeat([]byte("loader"), 10_000)},
		Script: storm.File{Name: "boot.ipxe", Content: []byte("#!ipxe\n")}}
	for _, f := range []storm.File{p.Loader, p.Script} {
		if err := os.WriteFile(filepath.Join(files, f.Name), f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func run(t *testing.T, machines *nettest.Space, p storm.Plan, port *dhcp.Port) (r *storm.Result) {
	t.Helper()
	if err := machines.Do(func() (err error) {
		r, err = p.Run(t.Context(), port)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

// The server may start later than the machines: they send again, as firmware does.
func TestEveryMachineOfAStormBoots(t *testing.T) {
	machines, port, files := site(t, "boot.ipxe")
	r := run(t, machines, plan(t, files), port)
	if r.Booted != 30 || r.Boot.Count() != 30 || r.All != r.Boot.Max() || r.Faults.Wrong() != 0 || len(r.Errors) != 0 {
		t.Errorf("%d booted, the last after %v; faults %v, errors %v", r.Booted, r.All, r.Faults.Examples, r.Errors)
	}
	for step, h := range r.Steps {
		if h.Count() != 30 {
			t.Errorf("step %s was taken %d times", storm.Step(step), h.Count())
		}
	}
}

func TestMachinesThatAreToldAWrongScriptAreStuck(t *testing.T) {
	machines, port, files := site(t, "other.ipxe")
	p := plan(t, files)
	p.Machines, p.Deadline = 3, 12*time.Second
	r := run(t, machines, p, port)
	if r.Booted != 0 || r.Stuck[storm.IPXE] != 3 || r.Faults.Count[dhcp.WrongFile] == 0 {
		t.Errorf("%d booted, stuck %v, faults %v", r.Booted, r.Stuck, r.Faults.Examples)
	}
}
