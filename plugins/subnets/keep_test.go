package subnets_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
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

// What the host lacks is told with its line, before anything is lent.
func TestAHookThatIsNotThereIsToldAtTheStart(t *testing.T) {
	l := newLab(t, office)
	l.stop()
	l.write("leases: leases\n" + office + "hook:\n  run: /nowhere/on-lease\n  timeout: 5s\n")
	err := l.start()
	if err == nil || !strings.Contains(err.Error(), `the hook "/nowhere/on-lease" is no program (no such file or directory)`) || !strings.Contains(err.Error(), "subnets.yml:") {
		t.Error(err)
	}
	l.write("leases: none/leases\n" + office)
	if err := l.start(); err == nil || !strings.Contains(err.Error(), "there is no directory") {
		t.Error(err)
	}
}

func TestAHookHearsOnlyOfTheEventsThatItsKeysName(t *testing.T) {
	dir := t.TempDir()
	program, told := filepath.Join(dir, "on-lease"), filepath.Join(dir, "told")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho $1 $LEASE_EVENT $LEASE_ADDRESS >>"+told+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, "leases: leases\nhook: {run: ["+program+", office], events: released, timeout: 30s, at-once: 1, queue: 8}\n"+office)
	lab := l.machine(1)
	lab.boots("10.1.1.100")
	lab.sends(dhcpv4.MessageTypeRelease, has("10.1.1.100"))
	l.stop() // which waits for the hook
	if b, err := os.ReadFile(told); err != nil || string(b) != "office released 10.1.1.100\n" {
		t.Errorf("%q, %v", b, err)
	}
}
