package integration_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

func TestTheProxyOfThePagesBootsAMachineBesideAnotherServer(t *testing.T) {
	t.Parallel()
	d := examples(t, "../docs/proxy.md")
	if len(d.maps) != 1 || d.config == "" || !slices.Equal(d.programs(), examples(t, "../README.md").programs()) {
		t.Fatalf("the page has %d maps, and runs other commands than the README: %q", len(d.maps), d.programs())
	}
	s := suite(t)
	s.Proxy = true
	s.Files = []lab.File{{Name: "config.yml", Content: strings.ReplaceAll(d.config, "eth1", lab.ServerInterface)}, {Name: "boot.yml", Content: d.maps[0]}}
	boots(t, open(t, lab.Config{Server: s, Addresses: lab.Kea}), "old-dell", lab.BIOS)
}

// What the README calls five minutes, word for word but for the directories; then the configuration file that the file
// server's page shows.
func TestTheREADMEsNetworkServesAClient(t *testing.T) {
	t.Parallel()
	if err := nettest.Need("busybox", "curl"); err != nil {
		t.Fatal(err)
	}
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	readme, tftpd := examples(t, "../README.md"), examples(t, "../cmd/netboot-tftpd/README.md").tftpd
	dir := t.TempDir()
	bootDir := filepath.Join(dir, "boot")
	here := strings.NewReplacer("/var/lib/netboot/boot", bootDir, "/var/lib/netboot", dir, "/srv/images", dir, "/etc/netboot", dir,
		"sudo netboot-dhcpd", programs.DHCPD, "sudo netboot-tftpd", programs.TFTPD,
		"netbootctl", filepath.Join(filepath.Dir(programs.DHCPD), "netbootctl"))
	for path, text := range map[string]string{
		filepath.Join(dir, "boot.yml"): readme.maps[0], filepath.Join(dir, "config.yml"): readme.config,
		filepath.Join(dir, "subnets.yml"): readme.subnets, filepath.Join(dir, "tftpd.yml"): tftpd, filepath.Join(bootDir, "boot.ipxe"): readme.script,
		filepath.Join(dir, "scripts", "boot.ipxe"): readme.script,
	} {
		if text == "" {
			t.Fatalf("no page has an example of %s", path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(here.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range strings.Split(readme.shell, "\n") {
		if strings.HasPrefix(line, "sudo cp ") {
			words := strings.Fields(here.Replace(line))[1:]
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
	}
	commands := readme.programs()
	if len(commands) != 3 {
		t.Fatalf("the README runs %q", commands)
	}
	s := newSite(t, dir)
	if said, err := s.server.Command("sh", "-c", here.Replace(commands[0])).CombinedOutput(); err != nil || strings.Contains(string(said), "warning") {
		t.Fatalf("check: %v\n%s", err, said)
	}
	files := s.serves(strings.Fields(here.Replace(commands[1]))...)
	addresses := s.serves(strings.Fields(here.Replace(commands[2]))...)
	s.asks(addresses, "busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "20", "-T", "1", "-s", "/bin/true")
	s.fetches(files, readme.script)
	if err := files.Stop(); err != nil {
		t.Error(err)
	}
	s.fetches(s.serves(programs.TFTPD, "--config", filepath.Join(dir, "tftpd.yml")), readme.script)
}

// site is the README's network: a server with eth1, and a client on its wire.
type site struct {
	t              *testing.T
	server, client *nettest.Space
	dir            string // for logs
}

func newSite(t *testing.T, dir string) *site {
	t.Helper()
	n := nettest.New(t)
	s := &site{t: t, server: space(t, n, "server"), client: space(t, n, "client"), dir: dir}
	if err := s.server.Veth("eth1", s.client, "eth0"); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Address("eth1", netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Address("eth0", netip.MustParsePrefix("192.0.2.50/24")); err != nil {
		t.Fatal(err)
	}
	return s
}

// serves starts a program of the server's. What it said is shown if the story fails.
func (s *site) serves(words ...string) *nettest.Process {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, filepath.Base(words[0])+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() // the program has its own
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", log.Name(), readFile(s.t, log.Name()))
		}
	})
	cmd := s.server.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := s.server.Start(cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// asks runs a command of the client's, which gives up with the program that it asks.
func (s *site) asks(program *nettest.Process, words ...string) string {
	s.t.Helper()
	out, err := s.client.Ask(s.client.Command(words[0], words[1:]...), program)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

func (s *site) fetches(files *nettest.Process, script string) {
	s.t.Helper()
	for _, url := range []string{"http://192.0.2.1:8080/boot.ipxe", "tftp://192.0.2.1/undionly.kpxe", "tftp://192.0.2.1/ipxe.efi", "http://192.0.2.1:8080/ipxe.efi", "tftp://192.0.2.1/boot.ipxe"} {
		// A server that is still starting refuses connections: they are tried again.
		out := s.asks(files, "curl", "--silent", "--show-error", "--fail", "--max-time", "30",
			"--retry", "60", "--retry-connrefused", "--retry-all-errors", "--retry-delay", "1", url)
		if out == "" || strings.HasSuffix(url, ".ipxe") && out != script {
			s.t.Errorf("%s is:\n%s", url, out)
		}
	}
}

func space(t *testing.T, n *nettest.Net, name string) *nettest.Space {
	t.Helper()
	s, err := n.Space(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
