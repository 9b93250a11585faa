package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/server"
)

// checked is what Check says of a chain.
func checked(t *testing.T, section string, plugins ...string) server.Findings {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	path := filepath.Join(dir, "config.yml")
	text := section + ":\n  listen: \"%lo\"\n  plugins:\n"
	if section == "server6" {
		text = section + ":\n  listen: \"[::1]:547\"\n  plugins:\n"
	}
	for _, p := range plugins {
		text += "    - " + p + "\n"
	}
	for name, content := range map[string]string{path: text, "hosts.txt": "", "hosts6.txt": ""} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, found := server.Check(path, server.Stock(), []string{"boot"}, t.TempDir())
	return found
}

// What a plugin is said to be written like, it takes.
func TestEveryStockPluginIsShownAsItIsWritten(t *testing.T) {
	shown := regexp.MustCompile("plugin (\\w+): .*; write it like `- ([^`]+)`")
	for section, ids := range map[string][]string{"server4": {"server_id: 192.0.2.1"}, "server6": {"server_id: LL 52:54:00:00:00:01"}} {
		seen := 0
		for _, p := range server.Stock() {
			if section == "server4" && p.Setup4 == nil || section == "server6" && p.Setup6 == nil || p.Name == "searchdomains" {
				continue // or takes everything
			}
			bad := "!bad"
			if p.Name == "nbp" {
				bad = "a b"
			}
			said := checked(t, section, slices.Concat(ids, []string{p.Name + ": \"" + bad + "\""})...).Problems.Error()
			if p.Name == "server_id" {
				said = checked(t, section, "server_id: nonsense").Problems.Error()
			}
			m := shown.FindStringSubmatch(said)
			if m == nil || m[1] != p.Name {
				t.Errorf("%s %s: says %q", section, p.Name, said)
				continue
			}
			seen++
			chain := append(slices.Clone(ids), m[2])
			if p.Name == "server_id" {
				chain = chain[1:]
			}
			if said := checked(t, section, chain...).Problems.Error(); strings.Contains(said, "plugin") {
				t.Errorf("%s does not take %q: %s", p.Name, m[2], said)
			}
		}
		if seen < 6 {
			t.Errorf("%s: saw %d plugins", section, seen)
		}
	}
}

// CoreDHCP's loader would wait for the writer of a FIFO.
func TestAConfigurationThatIsNoFileIsRefusedAtOnce(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "config.yml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := server.Load(fifo, nil)
		done <- err
	}()
	select {
	case err := <-done:
		if want := fifo + ": is no regular file; name one"; err == nil || err.Error() != want {
			t.Errorf("says %v, not %s", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}
