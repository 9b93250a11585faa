package main

import (
	"bytes"
	"encoding/json"
	"errors"
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
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
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

const goodMap = "rules: [{arch: bios, file: undionly.kpxe}]\n"

func chain(plugins ...string) string {
	return "server4:\n  listen: \"%lo\"\n  plugins:\n    - " + strings.Join(plugins, "\n    - ") + "\n"
}

func TestCheckTellsEveryMistakeOfEveryFile(t *testing.T) {
	for _, s := range []struct {
		name, config, bootMap, want string
	}{
		{"all is well", chain("server_id: 192.0.2.1", "range: l 192.0.2.2 192.0.2.9 1h", "boot: boot.yml"), goodMap,
			"config.yml: no mistakes\n"},
		{"a key that CoreDHCP ignores", strings.Replace(chain("server_id: 192.0.2.1", "boot: boot.yml"), "listen", "listn", 1), goodMap,
			"config.yml:2: unknown key \"listn\"; did you mean \"listen\"?\nconfig.yml: 1 mistake\n"},
		{"an unknown plugin", chain("server_id: 192.0.2.1", "bot: boot.yml"), goodMap,
			"config.yml:5: server4: plugin \"bot\" is unknown; did you mean \"boot\"?\nconfig.yml: 1 mistake\n"},
		{"boot before server_id", chain("boot: boot.yml", "server_id: 192.0.2.1"), goodMap,
			"config.yml:5: server4: server_id comes after boot, which needs its address; put server_id first in the chain\nconfig.yml: 1 mistake\n"},
		{"boot without server_id", chain("boot: boot.yml"), goodMap,
			"config.yml:4: server4: boot without server_id: no machine would be told where to boot from; put server_id first in the chain\nconfig.yml: 1 mistake\n"},
		{"a plugin that never runs", chain("server_id: 192.0.2.1", "nbp: tftp://192.0.2.1/x", "boot: boot.yml"), goodMap,
			"config.yml:5: warning: server4: nbp ends the chain, so boot and what follows never run; remove nbp, or put it last\nconfig.yml: no mistakes, 1 warning\n"},
		{"a plugin of the other family", chain("server_id: 192.0.2.1", "prefix: 2001:db8::/48 64", "boot: boot.yml"), goodMap,
			"config.yml:5: warning: server4: plugin prefix does not serve this family, and is left out; remove the line\nconfig.yml: no mistakes, 1 warning\n"},
		{"one table for two families", chain("server_id: 192.0.2.1", "file: hosts.txt autorefresh") + "server6:\n  plugins:\n    - file: hosts.txt\n", goodMap,
			"config.yml:8: plugin file keeps one table for both families: the one loaded last serves DHCPv4 and DHCPv6 alike; use it in one of them\nconfig.yml: 1 mistake\n"},
		{"a bad argument", chain("server_id: 192.0.2.1", "range: l 192.0.2.9 192.0.2.2 1h"), goodMap,
			"config.yml:5: server4: plugin range: start of IP range has to be lower than or equal to the end of an IP range; see what it wants in CoreDHCP's README\nconfig.yml: 1 mistake\n"},
		{"a map written inline", chain("server_id: 192.0.2.1", "boot: {rules: []}"), "",
			"config.yml:5: server4: plugin boot: takes one file, like `- boot: boot.yml` (a map written inline never reaches a plugin, and a name must have no spaces)\nconfig.yml: 1 mistake\n"},
		{"no such map", chain("server_id: 192.0.2.1", "boot: other.yml"), "",
			"other.yml: no such file (looked in DIR); create it or correct the name\nconfig.yml: 1 mistake\n"},
		{"mistakes in the map", chain("server_id: 192.0.2.1", "boot: boot.yml"), "rules:\n  - {arch: 7, file: ipxe.efi}\n  - {arch: x, file: a}\n",
			"boot.yml:3: arch \"x\" is unknown; use one of bios, uefi-ia32, uefi-x64, uefi-arm32, uefi-arm64, uefi-riscv32, uefi-riscv64, uefi-loong64, uboot-arm32, uboot-arm64, rpi, or a number\n" +
				"boot.yml:2: warning: arch 7 without 9: some x64 firmware says 9 (EBC); write uefi-x64, which is both\nconfig.yml: 1 mistake, 1 warning\n"},
		{"no YAML", "server4: [", "", "config.yml:1: is not YAML: did not find expected node content; look at the indentation, quotes and brackets around this line\nconfig.yml: 1 mistake\n"},
		{"no server", "{}", "", "config.yml: error parsing config: need at least one valid config for DHCPv6 or DHCPv4\nconfig.yml: 1 mistake\n"},
	} {
		t.Run(s.name, func(t *testing.T) {
			dir := files(t, map[string]string{"config.yml": s.config, "boot.yml": s.bootMap, "hosts.txt": ""})
			got, err := says(t, "check")
			if want := strings.Replace(s.want, "DIR", dir, 1); got != want {
				t.Errorf("says:\n%s\nnot:\n%s", got, want)
			}
			if failed := errors.Is(err, errFound); failed == strings.Contains(s.want, "no mistakes") || err != nil && !failed {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestCheckIsAnsweredInJSON(t *testing.T) {
	files(t, map[string]string{"config.yml": chain("boot: boot.yml"), "boot.yml": "rules: [{arch: 7, file: x}]\n"})
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
	for _, name := range []string{"config.example.yml", "boot.example.yml"} {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for cgo, want := range map[string]string{"0": "range was left out of this build", "1": "no mistakes"} {
		path := filepath.Join(dir, "netbootctl"+cgo)
		cmd := exec.Command("go", "build", "-o", path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command(path, "check", "-c", filepath.Join(dir, "config.example.yml")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "no mistakes") {
			t.Errorf("CGO_ENABLED=%s: %v\n%s", cgo, err, out)
		}
	}
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, args := range map[string][]string{
		"no verb; use check":                                             nil,
		`verb "chekc" is unknown; use check`:                             {"chekc"},
		`"config.yml" is no flag; name the configuration with -c`:        {"check", "config.yml"},
		"no.yml: cannot be read (no such file or directory); correct -c": {"check", "-c", "no.yml"},
		"unknown flag: --jsn":                                            {"check", "--jsn"},
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
