package subnets_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOthersAreToldOfLeasesByACopyAndAHook(t *testing.T) {
	dir := t.TempDir()
	program, told := filepath.Join(dir, "on-lease"), filepath.Join(dir, "told")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho $LEASE_EVENT $LEASE_ADDRESS >>"+told+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	keeps := []string{"durability: relaxed\n", "dhcpd-leases: dhcpd.leases\n", "hook: " + program + "\n"}
	const file = "leases: leases\n" + office
	l := newLab(t, file+strings.Join(keeps, ""))
	l.machine(1).boots("10.1.1.100")
	for i, gone := range keeps {
		l.write(file + strings.Join(slices.Delete(slices.Clone(keeps), i, i+1), ""))
		if err := l.reload(); err == nil || !strings.Contains(err.Error(), "are taken at a start only") {
			t.Errorf("without %s%v", gone, err)
		}
	}
	l.stop() // which waits for the hook
	for path, want := range map[string]string{told: "leased 10.1.1.100\n", filepath.Join(l.dir, "dhcpd.leases"): "\nlease 10.1.1.100 {\n"} {
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v\n%s", path, err, b)
		}
	}
}
