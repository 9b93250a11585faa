package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestShippedConfigurationRunsAsItIsFromAnyDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test listens on port 67 of the loopback interface; run it as root (make test does)")
	}
	dir := t.TempDir() // a copy: the plugin subnets keeps its leases beside the configuration
	for _, name := range []string{"config.example.yml", "boot.example.yml", "subnets.example.yml"} {
		if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile("../../"+name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	d := start(t, elsewhere, "-c", filepath.Join(dir, "config.example.yml"), "-l", "here.log")
	d.stops()
	if !strings.Contains(d.log.String(), `msg="boot map loaded"`) {
		t.Errorf("logs:\n%s", d.log.String())
	}
	if b, err := os.ReadFile(filepath.Join(elsewhere, "here.log")); err != nil || !bytes.Contains(b, []byte("boot map loaded")) {
		t.Errorf("the log file has %q, %v", b, err)
	}
}

// shipped has the configuration that is shipped, changed, with the files that it names; it listens on free ports.
func shipped(t *testing.T, change func(four, six string) string) (dir string) {
	t.Helper()
	four, six, found := strings.Cut(string(must(os.ReadFile("../../config.example.yml"))), "# server6:\n")
	if !found {
		t.Fatal("there is no commented server6")
	}
	six = "server6:\n" + regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(six, "")
	text := strings.NewReplacer(`"%lo"`, `"127.0.0.1:0"`, `"[::%lo]:547"`, `"[::1]:0"`).Replace(change(four, six))
	return files(t, map[string]string{
		"config.yml":          text,
		"boot.example.yml":    string(must(os.ReadFile("../../boot.example.yml"))),
		"subnets.example.yml": string(must(os.ReadFile("../../subnets.example.yml"))),
	})
}

func TestTheCommentedDHCPv6PartOfTheShippedConfigurationLoads(t *testing.T) {
	start(t, shipped(t, func(_, six string) string { return six })).stops()
}

func TestTheShippedConfigurationLoadsWhereTheRouterGivesIPv6Addresses(t *testing.T) {
	start(t, shipped(t, func(_, six string) string {
		router := strings.NewReplacer("# - dns:", "- dns:", "- subnets:", "# - subnets:").Replace(six)
		if strings.Count(router, "- dns:") != 1 || strings.Contains(router, "# - dns:") || !strings.Contains(router, "# - subnets:") {
			t.Fatalf("one line is to stand in place of the other:\n%s", six)
		}
		return router
	})).stops()
}

// Both families have the line, and share one directory of leases.
func TestBothFamiliesOfTheShippedConfigurationLoadTogether(t *testing.T) {
	d := start(t, shipped(t, func(four, six string) string {
		if n := strings.Count(four+six, "- subnets:"); n != 2 {
			t.Fatalf("%d lines have subnets, and not 2", n)
		}
		return four + six
	}))
	d.stops()
	if want := `msg="subnets loaded" active=0 addresses=4296 file=subnets.example.yml networks=2`; strings.Count(d.log.String(), want) != 1 {
		t.Errorf("not once: %s\n%s", want, d.log.String())
	}
}
