package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// daemonOf has the leases of config.yml open, as a running netboot-dhcpd, with a machine in each state.
func daemonOf(t *testing.T, dir string) *store.Store {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	s, err := store.Open(store.Config{Dir: dir, Log: logrus.NewEntry(log), Counts: hook.NewCounts(nil)})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := s.NewPool(lease.Range{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")})
	if err != nil {
		t.Fatal(err)
	}
	for n, name := range []string{"old-dell", "lab-pi\x1b[2J", "laptop"} {
		mac := string([]byte{0x52, 0x54, 0, 0xaa, 0xbb, byte(n + 1)})
		written := make(chan error, 1)
		_, err := s.Commit(lease.Client{Owner: "\x01" + mac, MAC: mac, Hostname: name}, netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + 10*n)}), time.Hour,
			func(err error) { written <- err }, pool)
		if err == nil {
			err = <-written
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Release("\x01\x52\x54\x00\xaa\xbb\x02", netip.MustParseAddr("192.0.2.110"))
	s.Decline("\x01\x52\x54\x00\xaa\xbb\x03", netip.MustParseAddr("192.0.2.120"))
	return s
}

func TestLeasesAreListedFilteredAndReleasedWithAndWithoutTheDaemon(t *testing.T) {
	files(t, map[string]string{"config.yml": chain("server_id: 192.0.2.1", "range: leases 192.0.2.100 192.0.2.199 1h")})
	if _, err := says(t, "leases"); err == nil || !strings.Contains(err.Error(), "leases.leases: there are no leases yet") {
		t.Errorf("before the first start: %v", err)
	}
	s := daemonOf(t, "leases.leases")
	addresses := func(args ...string) (got string) {
		t.Helper()
		text, err := says(t, append([]string{"leases", "--json"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %s", args, err)
		}
		for line := range strings.Lines(text) {
			var l view.Lease
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			got += l.Address.String() + " " + l.State + "; "
		}
		return got
	}
	looks := func(when string) {
		t.Helper()
		for args, want := range map[string]string{
			"":                               "192.0.2.100 active; 192.0.2.110 free; 192.0.2.120 abandoned; ",
			"--state active":                 "192.0.2.100 active; ",
			"--state abandoned":              "192.0.2.120 abandoned; ",
			"--subnet 192.0.2.96/28":         "192.0.2.100 active; 192.0.2.110 free; ",
			"--pool 192.0.2.105-192.0.2.199": "192.0.2.110 free; 192.0.2.120 abandoned; ",
			"--mac 5254.00aa.bb01":           "192.0.2.100 active; ",
			"--owner 01:52:54:00:aa:bb:02":   "192.0.2.110 free; ",
			"--address 192.0.2.120":          "192.0.2.120 abandoned; ",
			"--address 192.0.2.121":          "",
		} {
			if got := addresses(strings.Fields(args)...); got != want {
				t.Errorf("%s, %s: %s", when, args, got)
			}
		}
		text, err := says(t, "leases", "--dir", "leases.leases")
		if err != nil || !strings.HasPrefix(text, "ADDRESS      STATE      MAC                ENDS                 HOSTNAME\n192.0.2.100  active     52:54:00:aa:bb:01  ") ||
			!strings.Contains(text, `lab-pi\033\1332J`) || strings.Contains(text, "\x1b") {
			t.Errorf("%s: %v\n%s", when, err, text)
		}
		text, err = says(t, "leases", "--format", "dhcpd")
		if err != nil || !strings.HasPrefix(text, "# The format of this file is documented") || strings.Count(text, "\nlease 192.0.2.") != 3 {
			t.Errorf("%s: %v\n%s", when, err, text)
		}
	}
	looks("beside the daemon")
	if text, err := says(t, "leases", "release", "192.0.2.120"); err != nil || text != "192.0.2.120 is free\n" {
		t.Errorf("%s, %v", text, err)
	}
	if got := addresses("--address", "192.0.2.120"); got != "192.0.2.120 free; " {
		t.Error(got)
	}
	if text, err := says(t, "leases", "release", "192.0.2.120"); !errors.Is(err, errFound) || text != "192.0.2.120 has no lease, and is in no quarantine\n" {
		t.Errorf("%s, %v", text, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := addresses("--state", "active"); got != "192.0.2.100 active; " {
		t.Errorf("without the daemon: %s", got)
	}
	if text, err := says(t, "leases", "release", "192.0.2.100"); err != nil || text != "192.0.2.100 is free\n" {
		t.Errorf("%s, %v", text, err)
	}
	if got := addresses("--state", "free"); got != "192.0.2.100 free; 192.0.2.110 free; 192.0.2.120 free; " {
		t.Errorf("without the daemon: %s", got)
	}
}

func TestLeasesOfSubnetsAreFoundByTheirFile(t *testing.T) {
	files(t, map[string]string{
		"config.yml":     chain("server_id: 192.0.2.1", "subnets: etc/office.yml"),
		"etc/office.yml": "leases: ../kept\nnetworks: [{subnet: 192.0.2.0/24, pools: [192.0.2.100-192.0.2.199]}]\n",
	})
	if err := daemonOf(t, "kept").Close(); err != nil {
		t.Fatal(err)
	}
	text, err := says(t, "leases", "--state", "active")
	if err != nil || !strings.Contains(text, "192.0.2.100  active") || strings.Count(text, "\n") != 2 {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestWrongWordsForLeasesAreExplained(t *testing.T) {
	files(t, map[string]string{"config.yml": chain("server_id: 192.0.2.1")})
	for args, want := range map[string]string{
		"":                   "config.yml: no plugin in it lends addresses; name their directory with --dir",
		"--format yaml":      `--format "yaml" is unknown; use table, json or dhcpd`,
		"--subnet 192.0.2.0": `--subnet "192.0.2.0" is no network`,
		"--pool 192.0.2.1":   `--pool "192.0.2.1" is no range`,
		"--state bound":      `--state "bound" is unknown; use active, free or abandoned`,
		"--address x":        `--address "x" is no address`,
		"--mac 52:54:0":      `--mac "52:54:0" is not in hex`,
		"x --dir d":          `"x" is no flag; use leases, or leases release ADDRESS`,
		"release x --dir d":  `release: "x" is no address`,
		"release --dir d":    `"release" is no flag`,
	} {
		if _, err := says(t, append([]string{"leases"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
