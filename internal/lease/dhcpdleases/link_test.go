package dhcpdleases_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/dhcpdleases"
)

// Tools read the file in directories like /tmp or that of another daemon, whose user may write there.
func TestALinkThatStrangersLaidIsNotWrittenThrough(t *testing.T) {
	dir := t.TempDir()
	ours, path := filepath.Join(dir, "ours"), filepath.Join(dir, "dhcpd.leases")
	if err := os.WriteFile(ours, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".new"} {
		if err := os.Symlink(ours, name); err != nil {
			t.Fatal(err)
		}
	}
	f, err := dhcpdleases.Keep(path, &site{leases: map[netip.Addr]lease.Lease{}}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, ours); got != "dear" {
		t.Errorf("it was written over: %q", got)
	}
	if !strings.HasPrefix(read(t, path), dhcpdleases.Head) {
		t.Error("the copy is not there")
	}
}
