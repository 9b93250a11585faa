//go:build cgo

package server_test

import (
	"crypto/sha256"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/server"
)

// contents are the files of a directory by what is in them.
func contents(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A lease that a running server has only in SQLite's journal is seen, and nothing of the database is touched.
func TestCheckReadsLeasesOfARunningServerFromACopy(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	lend, err := rangeplugin.Plugin.Setup4("leases?_journal_mode=WAL", "192.0.2.100", "192.0.2.100", "1h")
	if err != nil {
		t.Fatal(err)
	}
	req, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := dhcpv4.NewReplyFromRequest(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ = lend(req, resp); resp == nil || resp.YourIPAddr.String() != "192.0.2.100" {
		t.Fatalf("lends %v", resp)
	}
	if journal, err := os.Stat("leases-wal"); err != nil || journal.Size() == 0 {
		t.Fatalf("there is nothing in the journal: %v", err)
	}
	path := filepath.Join(dir, "config.yml")
	text := "server4:\n  listen: \"%lo\"\n  plugins:\n    - server_id: 192.0.2.1\n    - netmask: 255.255.255.0\n    - range: leases 192.0.2.10 192.0.2.20 1h\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	_, found := server.Check(path, server.Stock(), nil, t.TempDir())
	if !strings.Contains(found.Problems.Error(), "192.0.2.100") {
		t.Errorf("the lease outside of the range is not seen: %v", found.Problems)
	}
	after := contents(t, dir)
	for name, sum := range before {
		if after[name] != sum {
			t.Errorf("%s was changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, and %d before", len(after), len(before))
	}
}
