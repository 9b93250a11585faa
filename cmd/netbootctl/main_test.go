package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// files writes a directory of the named files and goes there.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		full := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

func says(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(args, &out, &out)
	return out.String(), err
}

const goodMap = "rules: [{ipxe: true, file: boot.ipxe}, {arch: bios, file: undionly.kpxe}]\n"

func chain(plugins ...string) string {
	return "server4:\n  listen: \"%lo\"\n  plugins:\n    - " + strings.Join(plugins, "\n    - ") + "\n"
}

func TestCheckIsAnsweredInJSON(t *testing.T) {
	files(t, map[string]string{"config.yml": chain("boot: boot.yml"), "boot.yml": "rules: [{arch: 7, file: x.efi}]\n"})
	text, err := says(t, "check", "--json")
	var got []finding
	if jerr := json.Unmarshal([]byte(text), &got); jerr != nil || !errors.Is(err, errFound) {
		t.Fatalf("%v, %v: %s", jerr, err, text)
	}
	if len(got) != 2 || got[0].Severity != "error" || got[0].File != "config.yml" || got[0].Line != 4 || got[1].Severity != "warning" || got[1].File != "boot.yml" {
		t.Errorf("got %+v", got)
	}
	files(t, map[string]string{"config.yml": chain("server_id: 192.0.2.1", "boot: boot.yml"), "boot.yml": goodMap})
	if text, err := says(t, "check", "--json"); err != nil || text != "[]\n" {
		t.Errorf("no finding is %q, %v", text, err)
	}
}

func TestCheckLeavesNothingBehind(t *testing.T) {
	dir := files(t, map[string]string{"config.yml": chain("server_id: 192.0.2.1", "range: leases 192.0.2.2 192.0.2.9 1h", "boot: boot.yml"), "boot.yml": goodMap})
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	if text, err := says(t, "check"); err != nil {
		t.Fatal(err, text)
	}
	for _, d := range []string{dir, scratch} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "config.yml" && e.Name() != "boot.yml" {
				t.Errorf("%s is there now", e.Name())
			}
		}
	}
}

func TestCheckPassesOnTheShippedConfigurationAlsoWithoutCgo(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.example.yml", "boot.example.yml", "subnets.example.yml"} {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, cgo := range []string{"0", "1"} {
		path := filepath.Join(dir, "netbootctl"+cgo)
		cmd := exec.Command("go", "build", "-o", path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command(path, "check", "-c", filepath.Join(dir, "config.example.yml")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "no mistakes") {
			t.Errorf("CGO_ENABLED=%s: %v\n%s", cgo, err, out)
		}
	}
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, args := range map[string][]string{
		"no verb; the list above has them":                               nil,
		`verb "chekc" is unknown; did you mean "check"?`:                 {"chekc"},
		`"config.yml" is no flag; name the configuration with -c`:        {"check", "config.yml"},
		"no.yml: cannot be read (no such file or directory); correct -c": {"check", "-c", "no.yml"},
		"names no server to print for; use export msdhcp MAP":            {"export"},
		"also.yml: cannot be read":                                       {"check", "--config", "also.yml"},
		"old.yml: cannot be read":                                        {"check", "--conf", "old.yml"},
		`verb "chekc" is unknown`:                                        {"help", "chekc"},
		"unknown flag: --jsn; see netbootctl check --help":               {"check", "--jsn"},
		"invalid argument \"x\" for \"--timeout\" flag":                  {"probe", "--timeout", "x"},
		"see netbootctl probe --help":                                    {"probe", "--timeout", "x"},
	} {
		if _, err := says(t, args...); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, errFound) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
	text, _ := says(t, "check", "--help")
	for _, want := range []string{"Examples:", "--conf", "--json", "Exit status: 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("--help has no %q:\n%s", want, text)
		}
	}
}

func TestHelpOfAVerbIsTheSameBothWays(t *testing.T) {
	for _, verb := range []string{"check", "explain", "render", "embed", "probe", "leases", "export"} {
		asked, _ := says(t, "help", verb)
		told, _ := says(t, verb, "--help")
		if asked != told || !strings.Contains(asked, "netbootctl "+verb) {
			t.Errorf("help %s:\n%s\n%[1]s --help:\n%s", verb, asked, told)
		}
	}
	if text, err := says(t, "help", "--help"); err != nil || text != usage() {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestABootMapIsNotTakenForAConfiguration(t *testing.T) {
	files(t, map[string]string{"boot.yml": goodMap, "hosts.yml": "mode: proxy\nhosts: [{mac: \"52:54:00:aa:bb:01\", ignore: true}]\n", "wrong.yml": "rules: []\nserver4: {plugins: [{server_id: 192.0.2.1}]}\n"})
	for _, verb := range []string{"check", "explain"} {
		for name, isMap := range map[string]bool{"boot.yml": true, "hosts.yml": true, "wrong.yml": false} {
			_, err := says(t, verb, "-c", name)
			if want := name + ": is a boot map, not a CoreDHCP configuration; name the configuration, whose chain has `- boot: " + name + "`, with -c"; isMap != (err != nil && strings.HasSuffix(err.Error(), want)) {
				t.Errorf("%s -c %s: %v", verb, name, err)
			}
		}
	}
}

func TestExportPrintsTheScriptAndWhatIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boot.yml")
	const text = "rules:\n  - {hostname: x, file: x}\n  - {ipxe: true, file: \"http://{server}/boot.ipxe\"}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said strings.Builder
	err := run([]string{"export", "msdhcp", path, "--server", "192.0.2.1", "--scope", "192.0.2.0"}, &out, &said)
	if !errors.Is(err, errFound) || said.String() != path+":2: Microsoft DHCP cannot match by hostname; left out\n" {
		t.Errorf("%v, says %q", err, said.String())
	}
	for _, want := range []string{"-ScopeId '192.0.2.0'", "-OptionId 67 -Value 'http://192.0.2.1/boot.ipxe'"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	for args, want := range map[string]string{
		"export": "use export msdhcp MAP", "export msdhcp": "takes one map", "export kea x": "use export msdhcp MAP",
		"export msdhcp " + path + " --server x": "--server", "export msdhcp " + path + " --scope ::1": "--scope", "export msdhcp /nowhere": "cannot be read",
	} {
		if err := run(strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
