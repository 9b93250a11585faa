package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/logtest"
)

var builds struct {
	sync.Mutex
	dir  string
	made map[string]string
}

// build is the daemon's binary for a value of CGO_ENABLED.
func build(t *testing.T, cgo string) string {
	t.Helper()
	return buildOf(t, ".", cgo)
}

// buildOf is the binary of a program by its directory, built once.
func buildOf(t *testing.T, dir, cgo string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if path := builds.made[dir+cgo]; path != "" {
		return path
	}
	if builds.dir == "" {
		builds.dir, builds.made = must(os.MkdirTemp("", "netboot-dhcpd-test-")), map[string]string{}
	}
	path := filepath.Join(builds.dir, fmt.Sprintf("program-%d-cgo%s", len(builds.made), cgo))
	cmd := exec.Command("go", "build", "-o", path, dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	builds.made[dir+cgo] = path
	return path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir)
	}
	os.Exit(code)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// files writes a directory of the named files.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fails runs the daemon until it gives up, and returns what it says.
func fails(t *testing.T, cgo, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), build(t, cgo), append([]string{"-L", "none"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("ended well, saying:\n%s", out)
	}
	return string(out)
}

const goodMap = "next-server: 192.0.2.1\nrules: [{arch: bios, file: undionly.kpxe}]\n"

func config(listen string, plugins ...string) string {
	return "server4:\n  listen: \"" + listen + "\"\n  plugins:\n    - " + strings.Join(plugins, "\n    - ") + "\n"
}

func TestEachMistakeIsExplainedWithItsRemedy(t *testing.T) {
	busy, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken := busy.LocalAddr().(*net.UDPAddr).Port
	me := filepath.Base(os.Args[0])
	if len(me) > 15 { // as the kernel keeps it
		me = me[:15]
	}

	for _, s := range []struct {
		name, config, bootMap string
		args                  []string
		want                  []string
	}{
		{"a broken map", config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: boot.yml"),
			"rules:\n  - {arch: x86-65, file: x}\n  - {arch: bios, fle: x}\n", nil, []string{
				`netboot-dhcpd: boot.yml:2: arch "x86-65" is unknown; use one of bios, `,
				`netboot-dhcpd: boot.yml:3: unknown key "fle"; did you mean "file"?`,
			}},
		{"a duplicate MAC", config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: boot.yml"),
			"hosts:\n  - {mac: \"52:54:00:aa:bb:01\", file: x}\n  - {mac: \"52:54:00:aa:bb:01\", file: y}\n", nil,
			[]string{"boot.yml:3: mac 52:54:00:aa:bb:01 already has an answer on line 2; keep one of the two"}},
		{"an unreadable directory", config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: boot.yml"),
			"firmware: [boot.yml]\nrules: [{file: x}]\n", nil,
			[]string{"boot.yml:1: firmware directory boot.yml is a file; name the directory that holds it"}},
		{"a missing map", config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: other.yml"), "", nil,
			[]string{"netboot-dhcpd: other.yml: no such file (looked in ", "; create it or correct the name"}},
		{"a map written inline", config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: {rules: []}"), "", nil,
			[]string{"server4: plugin boot: boot: names no map; give a file, like `- boot: boot.yml` (CoreDHCP passes nothing on of a map written inline)"}},
		{"an unknown plugin", config("127.0.0.1:0", "server_id: 192.0.2.1", "bot: boot.yml", "neetmask: x"), "", nil, []string{
			`config.yml:5: server4: plugin "bot" is unknown; did you mean "boot"?`,
			`config.yml:6: server4: plugin "neetmask" is unknown; did you mean "netmask"?`,
		}},
		{"a plugin's bad argument", config("127.0.0.1:0", "server_id: here", "boot: boot.yml"), goodMap, nil,
			[]string{"config.yml:4: server4: plugin server_id: invalid or empty IP address"}},
		{"a port that is taken", config(fmt.Sprintf("127.0.0.1:%d", taken), "server_id: 192.0.2.1", "boot: boot.yml"), goodMap, nil,
			[]string{fmt.Sprintf("listen udp4 127.0.0.1:%d: port %[1]d is taken by %s (pid %d); stop it or choose another server4.listen address", taken, me, os.Getpid())}},
		{"an interface that is not there", config("%nic7", "server_id: 192.0.2.1", "boot: boot.yml"), goodMap, nil,
			[]string{`server4.listen: there is no interface "nic7"; this host has lo`}},
		{"an address that is not ours", config("192.0.2.77:6767", "server_id: 192.0.2.1", "boot: boot.yml"), goodMap, nil,
			[]string{"listen udp4 192.0.2.77:6767: this host has no address 192.0.2.77; add it to an interface or choose another server4.listen address"}},
		{"no YAML", "server4: [", "", nil, []string{"config.yml:1: is not YAML: "}},
		{"a misspelt key", "server4:\n  lisen: \"127.0.0.1:0\"\n  plugins: [{server_id: 192.0.2.1}]\n", "", nil,
			[]string{`config.yml:2: unknown key "lisen"; did you mean "listen"?`}},
		{"a misspelt section", "serevr4:\n  plugins: [{server_id: 192.0.2.1}]\n", "", nil,
			[]string{`config.yml:1: unknown key "serevr4"; did you mean "server4"?`}},
		{"a configuration that is not there", "", "", []string{"-c", "no.yml"},
			[]string{"netboot-dhcpd: no.yml: cannot be read (no such file or directory); correct -c"}},
		{"an unknown level", "", "", []string{"-L", "loud"},
			[]string{`--log-level "loud" is unknown; use one of debug, error, fatal, info, none, warn, warning`}},
		{"a boot map where the configuration should be", "", goodMap, []string{"-c", "boot.yml"},
			[]string{"boot.yml: is a boot map, not a CoreDHCP configuration; name the configuration, whose chain has `- boot: boot.yml`, with -c"}},
		{"an unknown flag", "", "", []string{"--metric", "x"}, []string{"netboot-dhcpd: unknown flag: --metric; see netboot-dhcpd --help"}},
		{"mistakes of every kind", config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: boot.yml"),
			"rules:\n  - {arch: x86-65, file: x}\n", []string{"--metrics", "192.0.2.77:1"}, []string{
				`netboot-dhcpd: boot.yml:2: arch "x86-65" is unknown; use one of bios, `,
				"netboot-dhcpd: listen tcp 192.0.2.77:1: this host has no address 192.0.2.77; ",
			}},
		{"two mistakes in the command line", "", "", []string{"-L", "loud", "config.yml"},
			[]string{`netboot-dhcpd: --log-level "loud" is unknown`, `netboot-dhcpd: "config.yml" is no flag`}},
		{"a word too many", "", "", []string{"config.yml"}, []string{`"config.yml" is no flag; name the configuration with -c`}},
	} {
		t.Run(s.name, func(t *testing.T) {
			dir := files(t, map[string]string{"config.yml": s.config, "boot.yml": s.bootMap})
			got := fails(t, "1", dir, s.args...)
			for _, want := range s.want {
				if !strings.Contains(got, want) {
					t.Errorf("says:\n%s\nnot: %s", got, want)
				}
			}
		})
	}
}

func TestUnreadableDirectoryIsExplained(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test becomes another user; run it as root (make test does)")
	}
	dir := files(t, map[string]string{
		"config.yml": config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: boot.yml"),
		"boot.yml":   "firmware: [firmware]\nrules: [{file: x}]\n",
	})
	if err := os.Mkdir(filepath.Join(dir, "firmware"), 0o700); err != nil {
		t.Fatal(err)
	}
	program := build(t, "1")
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(program)} { // the other user may go there
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "-L", "none", "-c", filepath.Join(dir, "config.yml"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	want := "boot.yml:1: firmware directory firmware cannot be read: permission denied; correct its permissions (chmod a+rx)"
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, says:\n%s\nnot: %s", err, out, want)
	}
}

func TestNoConfigurationAnywhereIsExplained(t *testing.T) {
	dir := t.TempDir()
	got := fails(t, "1", dir)
	if want := "no config.yml in any of ., " + dir + "/coredhcp, " + dir + "/.coredhcp, /etc/coredhcp; name one with -c"; !strings.Contains(got, want) {
		t.Errorf("says:\n%s\nnot: %s", got, want)
	}
}

// A running daemon, and what it logs.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  logtest.Text
	done chan error
}

// start runs the daemon in a directory until it is ready.
func start(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: exec.Command(build(t, "1"), args...), done: make(chan error, 1)}
	d.cmd.Dir = dir
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		seen := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&d.log, lines.Text())
			if !seen && strings.Contains(lines.Text(), "msg=ready") {
				seen = true
				close(ready)
			}
		}
		d.done <- d.cmd.Wait()
	}()
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	select {
	case <-ready:
	case err := <-d.done:
		t.Fatalf("ended at once (%v):\n%s", err, d.log.String())
	case <-time.After(30 * time.Second):
		t.Fatalf("is not ready after 30 s:\n%s", d.log.String())
	}
	return d
}

func (d *daemon) stops() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case err := <-d.done:
		if err != nil {
			d.t.Errorf("SIGTERM: %v\n%s", err, d.log.String())
		}
	case <-time.After(30 * time.Second):
		d.t.Error("still runs 30 s after SIGTERM")
	}
}

func TestHostileRequestsAreCountedAndTheDaemonGoesOn(t *testing.T) {
	port := freePort(t, "udp4")
	metrics := fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp4"))
	dir := files(t, map[string]string{
		"config.yml": config(fmt.Sprintf("127.0.0.1:%d", port), "server_id: 127.0.0.1", "range: l.sqlite3 192.0.2.2 192.0.2.30 1h", "boot: boot.yml"),
		"boot.yml":   goodMap,
	})
	d := start(t, dir, "--metrics", metrics)
	conn := must(net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port)))
	defer conn.Close()
	for _, hlen := range []int{0, 1, 5, 12} {
		req := must(dhcpv4.NewDiscovery(make(net.HardwareAddr, hlen), dhcpv4.WithUserClass("x\ny time=now msg=forged", false)))
		must(conn.Write(req.ToBytes()))
	}
	for _, junk := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 1400), append(make([]byte, 236), 99, 130, 83, 99)} {
		must(conn.Write(junk))
	}
	want := `netboot_dhcpd_drops_total{plugin="",reason="hlen"} 4`
	var page string
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(page, want); {
		if time.Now().After(deadline) {
			t.Fatalf("metrics never had %s:\n%s\n%s", want, page, d.log.String())
		}
		resp, err := http.Get("http://" + metrics + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		page = string(must(io.ReadAll(resp.Body)))
		resp.Body.Close()
	}
	if regexp.MustCompile(`(?m)^y time=`).MatchString(d.log.String()) {
		t.Error("a client forged a line of the log")
	}
	d.stops()
}

func TestBrokenMapKeepsTheOldOneAndEachMistakeIsLogged(t *testing.T) {
	dir := files(t, map[string]string{"config.yml": config("127.0.0.1:0", "server_id: 127.0.0.1", "boot: boot.yml"), "boot.yml": goodMap})
	d := start(t, dir)
	change := func(name, text string, signal bool, wants ...string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if signal {
			if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range wants {
			d.says(want)
		}
	}
	change("boot.yml", "rules:\n  - {arch: x86-65, file: x}\n  - {arch: bios, fle: x}\n", false,
		`boot.yml:2: arch \"x86-65\" is unknown`, `boot.yml:3: unknown key \"fle\"`, "not taken: what was loaded before is served on")
	change("boot.yml", goodMap+"# changed\n", true, "msg=reloaded")
	change("config.yml", "server4:\n", false, "listeners and the order of plugins need a restart")
	d.stops()
}

// says waits for a text in the log.
func (d *daemon) says(text string) {
	d.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); !strings.Contains(d.log.String(), text); {
		select {
		case <-tick.C:
		case <-limit:
			d.t.Fatalf("never says %s, but:\n%s", text, d.log.String())
		}
	}
}

func freePort(t *testing.T, network string) int {
	t.Helper()
	if strings.HasPrefix(network, "udp") {
		c := must(net.ListenPacket(network, "127.0.0.1:0"))
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).Port
	}
	l := must(net.Listen(network, "127.0.0.1:0"))
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// The flags of netboot-tftpd and those of CoreDHCP are the same.
func TestAMistakeInAMapOfBothFamiliesIsToldOnce(t *testing.T) {
	dir := files(t, map[string]string{"boot.yml": "rules:\n  - {arch: boss, file: x}\n", "config.yml": config("127.0.0.1:0", "server_id: 192.0.2.1", "boot: boot.yml") +
		"server6:\n  listen: \"[::1]:0\"\n  plugins: [{server_id: LL 52:54:00:00:00:01}, {boot: boot.yml}]\n"})
	if got := fails(t, "1", dir, "-L", "error"); strings.Count(got, "boot.yml:2: arch ") != 1 {
		t.Errorf("says:\n%s", got)
	}
}

func TestBothNamesOfAFlagAreTaken(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"--config", "no.yml", "--log-level", "warn"}, {"--conf", "no.yml", "--loglevel", "warning"}} {
		if got := fails(t, "1", dir, args...); !strings.Contains(got, "no.yml: cannot be read") {
			t.Errorf("%q says:\n%s", args, got)
		}
	}
}

func TestAVariableThatIsNotSetIsNoDirectoryOfTheRoot(t *testing.T) {
	cmd := exec.Command(build(t, "1"))
	cmd.Dir, cmd.Env = t.TempDir(), []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if want := "no config.yml in any of ., /etc/coredhcp; name one with -c"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, says:\n%s\nnot: %s", err, out, want)
	}
}

func TestHelpAndListOfPlugins(t *testing.T) {
	out := string(must(exec.Command(build(t, "1"), "--help").Output()))
	for _, want := range []string{"Examples:", "-c config.example.yml", "--config", "--log-level", "--loglevel", "--metrics"} {
		if !strings.Contains(out, want) {
			t.Errorf("--help has no %q:\n%s", want, out)
		}
	}
	out = string(must(exec.Command(build(t, "1"), "-P", "-L", "none").Output()))
	for _, want := range []string{"boot", "range", "server_id", "file"} {
		if !strings.Contains("\n"+out, "\n"+want+"\n") {
			t.Errorf("-P has no %q:\n%s", want, out)
		}
	}
}
