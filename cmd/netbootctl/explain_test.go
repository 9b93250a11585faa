package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// program is netbootctl, built once. A process of its own for each question, since stock plugins keep their settings in
// package variables and add to them.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "netbootctl-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "netbootctl")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	wd, err := os.Getwd() // before a test changes it
	if err == nil {
		_, err = program()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, wd, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, dir := range leftovers {
		_ = os.RemoveAll(dir)
	}
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// explains runs explain, and returns what it prints, and its complaint. A status of 1 is errFound.
func explains(t *testing.T, in io.Reader, args ...string) (string, error) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"explain"}, args...)...)
	cmd.Stdin = in
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return string(out), errFound
	case err != nil:
		return string(out), fmt.Errorf("%w: %s", err, said.String())
	case said.Len() > 0:
		return string(out) + said.String(), nil
	}
	return string(out), nil
}

// inTestdata goes to a copy of testdata/explain.
func inTestdata(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/explain")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	return dir
}

// words splits a command line as a shell does.
func words(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.Command("bash", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestExplainSaysWhatItsFilesSay(t *testing.T) {
	cases, err := filepath.Glob("testdata/explain/*.txt")
	if err != nil || len(cases) < 30 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	from, err := filepath.Abs("testdata/explain")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cases {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".txt"), func(t *testing.T) {
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			command, want, _ := strings.Cut(string(before), "\n")
			args, ok := strings.CutPrefix(command, "$ netbootctl explain ")
			if !ok {
				t.Fatalf("begins with %q, not with its command", command)
			}
			line := words(t, args)
			inTestdata(t)
			got, err := explains(t, nil, line...)
			var status error // 1 where something changes
			if strings.Contains(got, "answered differently") || strings.Contains(got, `"changed": 1`) {
				status = errFound
			}
			if !errors.Is(err, status) {
				t.Fatalf("ended with %v, not %v", err, status)
			}
			if *update {
				if err := os.WriteFile(filepath.Join(from, name), []byte(command+"\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("says:\n%s\nnot:\n%s", got, want)
			}
		})
	}
}

func TestExplainReadsAPacketInEachFormItComesIn(t *testing.T) {
	dir := inTestdata(t)
	asHex, err := os.ReadFile("hex-for-another-server.txt")
	if err != nil {
		t.Fatal(err)
	}
	digits := strings.Fields(string(asHex))[4]
	raw, _ := fromHex(digits)
	spaced := strings.TrimSpace(strings.ReplaceAll(digits, "35", "\n35 "))
	for name, content := range map[string]string{"digits": digits, "spaced": spaced, "raw": string(raw)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := explains(t, nil, "--hex", digits)
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() (string, error){
		"a file of digits": func() (string, error) { return explains(t, nil, "--hex", "digits") },
		"spaces":           func() (string, error) { return explains(t, nil, "--hex", "spaced") },
		"a file of bytes":  func() (string, error) { return explains(t, nil, "--hex", "raw") },
		"standard input":   func() (string, error) { return explains(t, strings.NewReader(digits), "--hex", "-") },
		"bytes on input":   func() (string, error) { return explains(t, bytes.NewReader(raw), "--hex", "-") },
	} {
		if got, err := ask(); err != nil || got != want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

func TestExplainRefusesWhatItCannotRead(t *testing.T) {
	dir := inTestdata(t)
	for name, content := range map[string]string{"text": "#!ipxe\nshell\n", "empty": "", "broken.yml": "rules: [{arch: x}]\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("broken", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("broken/config.yml", []byte("server4:\n  listn: x\n  plugins: [{server_id: 192.0.2.1}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string]string{
		`arch "x86" is unknown; use one of bios, `:                                "--arch x86",
		`"zz" is not a MAC address; write it like`:                                "--arch bios --mac zz",
		`iPXE feature "htpp" is unknown; use one of`:                              "--arch bios --features htpp",
		"boot firmware has an architecture; give --arch":                          "--ipxe",
		"--ipxe and --features are of firmware ipxe":                              "--arch bios --firmware pxe --ipxe",
		`"htp" is unknown; use pxe, http, ipxe or none`:                           "--arch bios --firmware htp",
		"10.9.0.1 is of the other family; DHCPv6 has --v6":                        "--arch bios --v6 --relay 10.9.0.1",
		"give one of --hex, --pcap, and the flags of a machine (--arch)":          "--arch bios --hex 01",
		"neither hex digits nor a file: open zz":                                  "--hex zz",
		"--hex: is empty":                                                         "--hex empty",
		"--pcap: the capture is neither pcap nor pcapng: it begins with 23216970": "--pcap text",
		"--pcap: the capture is no capture: it has less than 4 bytes":             "--pcap empty",
		"broken.yml:1: arch \"x\" is unknown":                                     "--against broken.yml",
		"no such file":                                                            "--against no.yml",
		": broken/config.yml:2: unknown key \"listn\"; did you mean \"listen\"?":  "-c broken/config.yml --arch bios",
		`"bios" is no flag; see netbootctl explain --help`:                        "bios",
	} {
		if _, err := explains(t, nil, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, errFound) {
			t.Errorf("%s: %v, not %s", args, err, want)
		}
	}
}

func TestExplainLeavesNothingBehindAndTouchesNoLease(t *testing.T) {
	dir := inTestdata(t)
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second has the same address: nothing was kept
		out, err := explains(t, nil, "--arch", "bios")
		if err != nil || !strings.Contains(out, "192.0.2.100") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d files became %d, %v", len(before), len(after), err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if here, err := os.Getwd(); err != nil || here != dir {
		t.Errorf("is in %s now, %v", here, err)
	}
}

func TestAClientCannotWriteToTheTerminal(t *testing.T) {
	inTestdata(t)
	evil := "\x1b]0;owned\x07\x1b[2J\nboot.yml:1  answers: all is well\r"
	for _, args := range [][]string{
		{"--arch", "bios", "--hostname", evil}, {"--arch", "bios", "--user-class", evil}, {"--arch", "bios", "--vendor-class", "PXEClient" + evil},
		{"--arch", "bios", "--relay", "10.9.0.1", "--circuit-id", evil}, {"--arch", "uefi-x64", "--v6", "--hostname", evil},
		{"--arch", "uefi-x64", "--v6", "--user-class", evil}, {"--arch", "uefi-x64", "--v6", "--relay", "2001:db8::9", "--remote-id", evil},
		{"--against", "old.yml", "--arch", "bios", "--hostname", evil},
	} {
		for _, form := range [][]string{nil, {"--json"}} {
			out, err := explains(t, nil, append(form, args...)...)
			if err != nil && !errors.Is(err, errFound) {
				t.Fatal(err)
			}
			if i := strings.IndexAny(out, "\x1b\x07\r"); i >= 0 || strings.Contains(out, "\nboot.yml:1  answers") {
				t.Errorf("%q says, raw: %q", args, out[max(0, i-40):min(len(out), i+40)])
			}
			if form != nil && !json.Valid([]byte(out)) {
				t.Errorf("%q is no JSON", out)
			}
		}
	}
}

func TestExplainWithoutCgoLendsFromItsOwnRange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "netbootctl")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := inTestdata(t)
	s := daemonOf(t, filepath.Join(dir, "leases.sqlite3.leases"))
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	out, err := exec.Command(path, "explain", "--arch", "bios").CombinedOutput()
	for _, want := range []string{"boot.yml:10 answers: undionly.kpxe from 192.0.2.1", "yiaddr 192.0.2.101", "leases of range: a copy of leases.sqlite3.leases as it stands"} {
		if err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), want) {
			t.Errorf("%v, no %s in\n%s", err, want, out)
		}
	}
}

func TestExplainHelpNamesEveryWayToAsk(t *testing.T) {
	out, _ := explains(t, nil, "--help")
	for _, want := range []string{"Examples:", "Exit status: 0", "--arch", "--mac", "--ipxe", "--features", "--user-class", "--vendor-class", "--relay",
		"--circuit-id", "--remote-id", "--uuid", "--hostname", "--firmware", "--v6", "--hex", "--pcap", "--against", "--json", "--conf"} {
		if !strings.Contains(out, want) {
			t.Errorf("--help has no %q:\n%s", want, out)
		}
	}
}

func TestPortsThatNoRequestComesToAreRefused(t *testing.T) {
	inTestdata(t)
	for _, args := range []string{"--arch bios --port 68", "--arch uefi-x64 --port 4011 --v6"} {
		if _, err := explains(t, nil, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), "is none of such a request") {
			t.Errorf("%s: %v", args, err)
		}
	}
	got, err := explains(t, nil, "--arch", "uefi-x64", "--port", "4011")
	if want := `no reply: the configuration does not listen on port 4011; a map with mode: proxy wants listen: ["%eth1", "%eth1:4011"]`; err != nil || !strings.Contains(got, want) {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestExplainWithoutAnArchitectureSaysWhatItIsMissing(t *testing.T) {
	inTestdata(t)
	for args, hinted := range map[string]bool{"": true, "--mac 52:54:00:aa:bb:01": true, "--arch bios": false, "--firmware none": false, "--vendor-class udhcp": false} {
		got, err := explains(t, nil, strings.Fields(args)...)
		if err != nil || strings.Contains(got, "give --arch, such as --arch uefi-x64, for a machine's firmware") != hinted {
			t.Errorf("%q: %v\n%s", args, err, got)
		}
	}
}
