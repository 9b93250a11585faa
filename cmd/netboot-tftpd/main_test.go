package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var program string // the built binary, where any user can run it

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "netboot-tftpd")
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "netboot-tftpd")
		build := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// daemon is the program, running.
type daemon struct {
	t     *testing.T
	cmd   *exec.Cmd
	at    map[string][]string // addresses by task: tftp, http, metrics
	lines *bufio.Scanner
}

var listed = regexp.MustCompile(`(tftp|https?|metrics) (\S+:\d+)`)

func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: exec.Command(program, args...), at: map[string][]string{}}
	out, err := d.cmd.StderrPipe()
	must(t, err)
	must(t, d.cmd.Start())
	t.Cleanup(func() { _ = d.cmd.Process.Kill(); _ = d.cmd.Wait() })
	kill := time.AfterFunc(time.Minute, func() { _ = d.cmd.Process.Kill() }) // ends the scan below
	t.Cleanup(func() { kill.Stop() })
	d.lines = bufio.NewScanner(out)
	for d.lines.Scan() {
		if line := d.lines.Text(); strings.Contains(line, "msg=ready") {
			for _, m := range listed.FindAllStringSubmatch(line, -1) {
				d.at[m[1]] = append(d.at[m[1]], m[2])
			}
			return d
		}
		t.Logf("logged %s", d.lines.Text())
	}
	t.Fatal("it never was ready")
	return nil
}

// stops sends a signal and returns the exit code and what was logged since the start.
func (d *daemon) stops(s syscall.Signal) (int, string) {
	d.t.Helper()
	must(d.t, d.cmd.Process.Signal(s))
	var rest strings.Builder
	for d.lines.Scan() {
		rest.WriteString(d.lines.Text() + "\n")
	}
	_ = d.cmd.Wait()
	return d.cmd.ProcessState.ExitCode(), rest.String()
}

// try runs the program to its end; where it should have failed but serves, it is stopped.
func try(t *testing.T, user *syscall.Credential, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = &out, &errs
	c.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	must(t, c.Start())
	kill := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
	defer kill.Stop()
	_ = c.Wait()
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func curl(t *testing.T, url string) []byte {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Fatalf("%v; apt-get install curl", err)
	}
	out, err := exec.Command(path, "-sS", "--fail", "--globoff", "--max-time", "20", url).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Errorf("curl %s: %v: %s", url, err, exit.Stderr)
	}
	return out
}

// bootDir has one file.
func bootDir(t *testing.T) (string, []byte) {
	t.Helper()
	dir, content := t.TempDir(), bytes.Repeat([]byte("netboot "), 5000)
	must(t, os.WriteFile(filepath.Join(dir, "ipxe.efi"), content, 0o644))
	return dir, content
}

func TestFilesAreServedEveryWayUntilSIGTERM(t *testing.T) {
	dir, content := bootDir(t)
	d := start(t, "--root", t.TempDir(), "--root", dir, "--tftp", "127.0.0.1:0", "--tftp", "[::1]:0",
		"--http", "127.0.0.1:0", "--http", "[::1]:0", "--metrics", "127.0.0.1:0")
	for _, scheme := range []string{"tftp", "http"} {
		if len(d.at[scheme]) != 2 {
			t.Fatalf("%s is served on %v", scheme, d.at[scheme])
		}
		for _, addr := range d.at[scheme] {
			if got := curl(t, scheme+"://"+addr+"/ipxe.efi"); !bytes.Equal(got, content) {
				t.Errorf("%s %s gives %d bytes, want %d", scheme, addr, len(got), len(content))
			}
		}
	}
	if health := string(curl(t, "http://"+d.at["metrics"][0]+"/healthz")); health != "ok\n" {
		t.Errorf("its health is %q", health)
	}
	metrics := string(curl(t, "http://"+d.at["metrics"][0]+"/metrics"))
	for _, want := range []string{
		`netboot_tftpd_transfers_total{protocol="tftp",result="sent"} 2`, `netboot_tftpd_transfers_total{protocol="http",result="sent"} 2`,
		`netboot_tftpd_transfer_duration_seconds_count{protocol="tftp",result="sent"} 2`,
		`netboot_tftpd_transfer_size_bytes_sum{protocol="http",result="sent"} 80000`,
		`netboot_tftpd_sent_bytes_total{protocol="http"} 80000`, "\nprocess_open_fds ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	code, log := d.stops(syscall.SIGTERM)
	if code != 0 || strings.Count(log, "result=sent") != 4 || !strings.Contains(log, "msg=stopping signal=terminated") {
		t.Errorf("exit code %d after\n%s", code, log)
	}
}

func TestASilentClientDoesNotDelayTheStop(t *testing.T) {
	dir, _ := bootDir(t)
	d := start(t, "--root", dir, "--tftp", "127.0.0.1:0")
	client, err := net.Dial("udp", d.at["tftp"][0])
	must(t, err)
	defer client.Close()
	_, err = client.Write([]byte("\x00\x01ipxe.efi\x00octet\x00"))
	must(t, err)
	// Whether the transfer has begun by now or not, the stop is bounded.
	began := time.Now()
	if code, log := d.stops(syscall.SIGINT); code != 0 || time.Since(began) > 20*time.Second {
		t.Errorf("exit code %d after %s: %s", code, time.Since(began), log)
	}
}

func TestTheFileHasTheSameSettingsAndFlagsWin(t *testing.T) {
	dir, content := bootDir(t)
	file := filepath.Join(dir, "tftpd.yml") // a relative root is seen from here
	must(t, os.WriteFile(file, []byte("root: [nested, .]\ntftp: 127.0.0.1:0\nhttp: [192.0.2.1:80]\nmetrics: 127.0.0.1:0\n"), 0o644))
	must(t, os.Mkdir(filepath.Join(dir, "nested"), 0o755))
	d := start(t, "--config", file, "--http", "127.0.0.1:0")
	for _, scheme := range []string{"tftp", "http"} {
		if got := curl(t, scheme+"://"+d.at[scheme][0]+"/ipxe.efi"); !bytes.Equal(got, content) {
			t.Errorf("%s gives %d bytes", scheme, len(got))
		}
	}
	if len(d.at["metrics"]) != 1 {
		t.Error("the file's metrics address is not served")
	}
	if code, log := d.stops(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
}

func TestEveryProblemIsToldInOneRun(t *testing.T) {
	held, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer held.Close()
	taken := held.LocalAddr().String()
	_, port, _ := net.SplitHostPort(taken)
	dir, _ := bootDir(t)

	code, _, got := try(t, nil, "--root", "/no/such", "--root", dir+"/ipxe.efi", "--tftp", taken, "--tftp", "192.0.2.1:69", "--http", "8080")
	want := fmt.Sprintf(`netboot-tftpd: root /no/such: no such directory; create it or give another root
netboot-tftpd: root %s/ipxe.efi: not a directory; give the directory that holds the boot files
netboot-tftpd: listen udp %s: port %s is taken by netboot-tftpd.t (pid %d); stop it or choose another --tftp address
netboot-tftpd: listen udp 192.0.2.1:69: this host has no address 192.0.2.1; add it to an interface or choose another --tftp address
netboot-tftpd: listen tcp 8080: not an address and port of this host; write --http as :PORT, 192.0.2.1:PORT or [2001:db8::1]:PORT
`, dir, taken, port, os.Getpid())
	if code != 1 || got != want {
		t.Errorf("exit code %d,\n%s\nwant\n%s", code, got, want)
	}
}

func TestAStrangerIsToldWhatIsNotReadable(t *testing.T) {
	dir, err := os.MkdirTemp("", "boot")
	must(t, err)
	defer os.RemoveAll(dir)
	user, uid := (*syscall.Credential)(nil), os.Getuid()
	if uid == 0 {
		user, uid = &syscall.Credential{Uid: 65534, Gid: 65534}, 65534
	}
	must(t, os.Chmod(dir, 0))
	code, _, got := try(t, user, "--root", dir, "--tftp", "127.0.0.1:0")
	want := fmt.Sprintf("netboot-tftpd: root %s: may not be read by user %d; correct its permissions (chmod a+rx) or give another root\n", dir, uid)
	if code != 1 || got != want {
		t.Errorf("exit code %d,\n%s\nwant\n%s", code, got, want)
	}
}

func TestABadFileIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tftpd.yml")
	must(t, os.WriteFile(file, []byte("root: /srv\ntfpt: :69\nmetrics: [a]\n"), 0o644))
	code, _, got := try(t, nil, "--config", file)
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if code != 1 || len(lines) != 2 || !strings.HasPrefix(lines[0], "netboot-tftpd: "+file+":2: ") || !strings.Contains(lines[0], "tfpt") ||
		!strings.HasPrefix(lines[1], "netboot-tftpd: "+file+":3: ") {
		t.Errorf("exit code %d, %s", code, got)
	}
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--rot", "/srv"}, 2, "unknown flag: --rot; see netboot-tftpd --help"},
		{[]string{"/srv"}, 2, `"/srv" is no flag; give directories as --root /srv`},
		{[]string{"--log-level", "loud"}, 2, `--log-level "loud" is unknown; use error, warn, info or debug`},
		{[]string{"-L", "loud"}, 2, `--log-level "loud" is unknown; use error, warn, info or debug`},
		{[]string{"--root", "/", "--tftp", ""}, 1, "there is no address to serve on; give --tftp or --http"},
		{[]string{"--root", "", "--tftp", "127.0.0.1:0"}, 1, "there is no directory to serve; give --root"},
	} {
		code, _, got := try(t, nil, c.args...)
		if code != c.code || got != "netboot-tftpd: "+c.want+"\n" {
			t.Errorf("%v: exit code %d, %s", c.args, code, got)
		}
	}
}

func TestHelpAndVersionAreNoErrors(t *testing.T) {
	for flag, want := range map[string]string{"--help": "\nExamples:\n", "--version": "netboot-tftpd "} {
		code, got, _ := try(t, nil, flag)
		if code != 0 || !strings.Contains(got, want) {
			t.Errorf("%s: exit code %d, %s", flag, code, got)
		}
	}
}

func TestScriptsAreRenderedPerMachineAndReadAgainWhenTheyChange(t *testing.T) {
	dir, _ := bootDir(t)
	scripts := filepath.Join(dir, "scripts")
	must(t, os.Mkdir(scripts, 0o755))
	write := func(name, text string) { must(t, os.WriteFile(filepath.Join(scripts, name), []byte(text), 0o644)) }
	write("boot.ipxe.tmpl", "#!ipxe\necho {{.values.word}} {{.mac}}\n")
	write("machines.yml", "values: {word: one}\n")
	config := filepath.Join(dir, "tftpd.yml")
	must(t, os.WriteFile(config, []byte("root: .\nscripts: scripts\ntftp: 127.0.0.1:0\nhttp: 127.0.0.1:0\nmetrics: 127.0.0.1:0\n"), 0o644))
	d := start(t, "--config", config)
	ask := func() string {
		return string(curl(t, "http://"+d.at["http"][0]+"/boot.ipxe?mac=52:54:00:aa:bb:01"))
	}
	gauge := func() string {
		metrics := string(curl(t, "http://"+d.at["metrics"][0]+"/metrics"))
		return regexp.MustCompile(`(?m)^netboot_config_last_reload_successful.* (\d)$`).FindStringSubmatch(metrics + "\n")[1]
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for timeout := time.After(20 * time.Second); !holds(); {
			select {
			case <-tick.C:
			case <-timeout:
				t.Fatalf("never: %s; the machine gets %q", what, ask())
			}
		}
	}
	if got, want := ask(), "#!ipxe\necho one 52:54:00:aa:bb:01\n"; got != want || gauge() != "1" {
		t.Fatalf("got %q, gauge %s", got, gauge())
	}
	if got := string(curl(t, "tftp://"+d.at["tftp"][0]+"/m/52-54-00-aa-bb-02/autoexec.ipxe")); got != "#!ipxe\necho one 52:54:00:aa:bb:02\n" {
		t.Errorf("by TFTP: %q", got)
	}
	write("machines.yml", "values: {word: two}\n")
	until("the change is seen", func() bool { return ask() == "#!ipxe\necho two 52:54:00:aa:bb:01\n" })
	write("boot.ipxe.tmpl", "#!ipxe\n{{broken\n")
	until("the gauge falls", func() bool { return gauge() == "0" })
	if got := ask(); got != "#!ipxe\necho two 52:54:00:aa:bb:01\n" {
		t.Errorf("with a broken template: %q", got)
	}
	write("boot.ipxe.tmpl", "#!ipxe\necho three\n")
	must(t, d.cmd.Process.Signal(syscall.SIGHUP))
	until("it is mended", func() bool { return ask() == "#!ipxe\necho three\n" && gauge() == "1" })
	if code, log := d.stops(syscall.SIGTERM); code != 0 || !strings.Contains(log, "boot.ipxe.tmpl:2: function \\\"broken\\\" not defined; correct the template") ||
		!strings.Contains(log, "msg=script") {
		t.Errorf("exit code %d: %s", code, log)
	}
}

func TestAHangupEndsNothingAndAChangedFileIsTold(t *testing.T) {
	dir, content := bootDir(t)
	config := filepath.Join(dir, "tftpd.yml")
	must(t, os.WriteFile(config, []byte("root: .\nhttp: 127.0.0.1:0\ntftp: 192.0.2.1:69\n"), 0o644))
	d := start(t, "--config", config, "--tftp", "127.0.0.1:0")
	must(t, d.cmd.Process.Signal(syscall.SIGHUP))
	must(t, os.WriteFile(config, []byte("root: .\nhttp: 127.0.0.1:8080\n"), 0o644))
	told := false
	for !told && d.lines.Scan() {
		told = strings.Contains(d.lines.Text(), "need a restart")
	}
	if got := curl(t, "http://"+d.at["http"][0]+"/ipxe.efi"); !told || !bytes.Equal(got, content) {
		t.Errorf("told: %v, %d bytes", told, len(got))
	}
}

func TestBrokenScriptsAreToldBeforeTheStart(t *testing.T) {
	dir, _ := bootDir(t)
	must(t, os.WriteFile(filepath.Join(dir, "a.ipxe.tmpl"), []byte("#!ipxe\n{{end}}\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "machines.yml"), []byte("default: b.ipxe\n"), 0o644))
	code, _, got := try(t, nil, "--root", dir, "--scripts", dir, "--tftp", "127.0.0.1:0")
	want := strings.ReplaceAll(`netboot-tftpd: DIR/a.ipxe.tmpl:2: unexpected {{end}}; correct the template
netboot-tftpd: DIR/machines.yml:1: script "b.ipxe" is not in the directory; did you mean "a.ipxe"?
`, "DIR", dir)
	if code != 1 || got != want {
		t.Errorf("exit code %d,\n%s\nwant\n%s", code, got, want)
	}
}
