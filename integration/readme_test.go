package integration_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

var (
	blockOf = regexp.MustCompile("(?s)```(\\w*)\n(.*?)\n *```")
	ruleIn  = regexp.MustCompile("`- (\\{[^`]*\\})`")
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// examples are the README's blocks, without the indentation of the step they belong to.
func examples(t *testing.T) (maps []string, config, tftpd, script, shell string) {
	t.Helper()
	var proxy string
	maps, config, proxy, tftpd, script, shell = allExamples(t)
	if proxy == "" {
		t.Fatal("the configuration for a proxy is missing")
	}
	return maps, config, tftpd, script, shell
}

// allExamples are examples with the configuration of the section about another DHCP server.
func allExamples(t *testing.T) (maps []string, config, proxy, tftpd, script, shell string) {
	t.Helper()
	for _, b := range blockOf.FindAllStringSubmatch(readFile(t, "../README.md"), -1) {
		indent := b[2][:len(b[2])-len(strings.TrimLeft(b[2], " "))]
		text := strings.ReplaceAll("\n"+b[2], "\n"+indent, "\n")[1:] + "\n"
		switch {
		case strings.HasPrefix(text, "# boot.yml"):
			maps = append(maps, text)
		case strings.HasPrefix(text, "# config.yml (proxy)"):
			proxy = text
		case strings.HasPrefix(text, "# config.yml"):
			config = text
		case strings.HasPrefix(text, "# tftpd.yml"):
			tftpd = text
		case strings.HasPrefix(text, "#!ipxe"):
			script = text
		case b[1] == "sh":
			shell += text
		default:
			t.Errorf("no test knows what this example is:\n%s", text)
		}
	}
	if len(maps) < 2 || config == "" || tftpd == "" || script == "" || shell == "" {
		t.Fatal("an example is missing")
	}
	return maps, config, proxy, tftpd, script, shell
}

func TestTheREADMEsProxyBootsAMachineBesideAnotherServer(t *testing.T) {
	t.Parallel()
	maps, _, config, _, _, _ := allExamples(t)
	s := suite(t)
	s.Proxy = true
	for _, m := range maps {
		if strings.Contains(m, "mode: proxy") {
			s.Files = []lab.File{{Name: "config.yml", Content: strings.ReplaceAll(config, "eth1", lab.ServerInterface)}, {Name: "boot.yml", Content: m}}
		}
	}
	boots(t, open(t, lab.Config{Server: s, Addresses: lab.Kea}), "old-dell", lab.BIOS)
}

func TestEveryMapInTheREADMEIsTaken(t *testing.T) {
	t.Parallel()
	maps, _, _, _, _ := examples(t)
	for _, m := range maps {
		if _, err := boot.Parse("README.md", []byte(m)); err != nil {
			t.Errorf("%v in:\n%s", err, m)
		}
	}
	rules := ruleIn.FindAllStringSubmatch(readFile(t, "../README.md"), -1)
	if len(rules) < 4 {
		t.Fatalf("found %d rules in the table", len(rules))
	}
	for _, r := range rules {
		if _, err := boot.Parse("README.md", []byte("rules: ["+r[1]+"]\n")); err != nil {
			t.Errorf("%v in %s", err, r[1])
		}
	}
}

// What the README calls five minutes, word for word but for the directories.
func TestTheREADMEsNetworkServesAClient(t *testing.T) {
	t.Parallel()
	if err := nettest.Need("busybox", "curl"); err != nil {
		t.Fatal(err)
	}
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	maps, config, tftpd, script, shell := examples(t)
	dir := t.TempDir()
	bootDir := filepath.Join(dir, "boot")
	here := strings.NewReplacer("/var/lib/netboot/boot", bootDir, "/srv/images", dir, "/etc/netboot", dir,
		"sudo netboot-dhcpd", programs.DHCPD, "sudo netboot-tftpd", programs.TFTPD)
	for path, text := range map[string]string{
		filepath.Join(dir, "boot.yml"): maps[0], filepath.Join(dir, "config.yml"): config,
		filepath.Join(dir, "tftpd.yml"): tftpd, filepath.Join(bootDir, "boot.ipxe"): script,
		filepath.Join(dir, "scripts", "boot.ipxe"): script,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(here.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var checked []string
	var started [][]string
	for _, line := range strings.Split(shell, "\n") {
		if strings.HasPrefix(line, "sudo cp ") {
			words := strings.Fields(here.Replace(line))[1:]
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
		if strings.HasPrefix(line, "netbootctl check ") {
			checked = strings.Fields(here.Replace(line))[1:]
		}
		if strings.HasPrefix(line, "sudo netboot-") {
			started = append(started, strings.Fields(here.Replace(line)))
		}
	}
	if len(started) != 2 || checked == nil {
		t.Fatalf("the README checks %q and starts %q", checked, started)
	}

	n := nettest.New(t)
	server, client := space(t, n, "server"), space(t, n, "client")
	if err := server.Veth("eth1", client, "eth0"); err != nil {
		t.Fatal(err)
	}
	if err := server.Address("eth1", netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := client.Address("eth0", netip.MustParsePrefix("192.0.2.50/24")); err != nil {
		t.Fatal(err)
	}
	var logs []string
	t.Cleanup(func() {
		for _, path := range logs {
			if t.Failed() {
				t.Logf("%s:\n%s", path, readFile(t, path))
			}
		}
	})
	run := func(words ...string) *nettest.Process {
		t.Helper()
		cmd := server.Command(words[0], words[1:]...)
		log, err := os.Create(filepath.Join(dir, filepath.Base(words[0])+".log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close() // the program has its own
		cmd.Stdout, cmd.Stderr = log, log
		logs = append(logs, log.Name())
		p, err := server.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ctl := filepath.Join(filepath.Dir(programs.DHCPD), "netbootctl")
	if said, err := server.Command(ctl, checked...).CombinedOutput(); err != nil || strings.Contains(string(said), "warning") {
		t.Fatalf("check: %v\n%s", err, said)
	}
	files := run(started[0]...)
	run(started[1]...)
	if said, err := client.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "20", "-T", "1", "-s", "/bin/true").CombinedOutput(); err != nil {
		t.Fatalf("no lease: %v\n%s", err, said)
	}
	fetch := func() {
		t.Helper()
		for _, url := range []string{"http://192.0.2.1:8080/boot.ipxe", "tftp://192.0.2.1/undionly.kpxe", "tftp://192.0.2.1/ipxe.efi", "http://192.0.2.1:8080/ipxe.efi", "tftp://192.0.2.1/boot.ipxe"} {
			out, err := curl(client, url).Output()
			if err != nil || len(out) == 0 {
				t.Errorf("%s: %v\n%s", url, err, out)
			}
			if strings.HasSuffix(url, ".ipxe") && string(out) != script {
				t.Errorf("%s is:\n%s", url, out)
			}
		}
	}
	fetch()
	if err := files.Stop(); err != nil {
		t.Error(err)
	}
	run(programs.TFTPD, "--config", filepath.Join(dir, "tftpd.yml"))
	fetch()
}

func space(t *testing.T, n *nettest.Net, name string) *nettest.Space {
	t.Helper()
	s, err := n.Space(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// curl waits for a server that is still starting: a refused connection is tried again.
func curl(from *nettest.Space, url string) *exec.Cmd {
	return from.Command("curl", "--silent", "--show-error", "--fail", "--max-time", "30",
		"--retry", "60", "--retry-connrefused", "--retry-all-errors", "--retry-delay", "1", url)
}
