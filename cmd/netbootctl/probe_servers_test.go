package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

func TestLeasesOfISCDHCPDAreReleased(t *testing.T) {
	s := newSite(t)
	s.must(nettest.Need("dhcpd"))
	server := s.server("192.0.2.1")
	conf := s.file("dhcpd.conf", `subnet 192.0.2.0 netmask 255.255.255.0 {
  range 192.0.2.100 192.0.2.120; option routers 192.0.2.1; next-server 192.0.2.1; ping-check false; authoritative;
  if exists user-class and option user-class = "iPXE" { filename "boot.ipxe"; } else { filename "ipxe.efi"; }
}
`)
	leases := s.file("dhcpd.leases", "")
	log := s.run(server, []string{"packet"}, "dhcpd", "-4", "-f", "-d", "--no-pid", "-cf", conf, "-lf", leases, "srv0")
	s.run(server, []string{"udp 69"}, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--enable-tftp", "--tftp-root="+s.dir)
	s.probe("--arch", "uefi-x64").boots(`the script "tftp://192.0.2.1/boot.ipxe"`)
	s.until(func() bool {
		text := content(t, leases)
		return strings.Contains(content(t, log), "DHCPRELEASE") && lastStateIsFree(text)
	})
}

// lastStateIsFree tells whether the last word of dhcpd about each address is that it is free.
func lastStateIsFree(leases string) bool {
	last := map[string]bool{}
	for _, block := range strings.Split(leases, "\nlease ")[1:] {
		address, rest, _ := strings.Cut(block, " ")
		last[address] = strings.Contains(rest, "\n  binding state free;")
	}
	for _, free := range last {
		if !free {
			return false
		}
	}
	return len(last) > 0
}

func TestLeasesOfKeaAreReleased(t *testing.T) {
	s := newSite(t)
	s.must(nettest.Need("kea-dhcp4"))
	server := s.server("192.0.2.1")
	leases := filepath.Join(s.dir, "kea.csv")
	conf := s.file("kea.json", fmt.Sprintf(`{"Dhcp4": {"interfaces-config": {"interfaces": ["srv0"], "dhcp-socket-type": "raw"},
  "lease-database": {"type": "memfile", "persist": true, "name": %q, "lfc-interval": 0}, "valid-lifetime": 600, "next-server": "192.0.2.1",
  "expired-leases-processing": {"hold-reclaimed-time": 0, "reclaim-timer-wait-time": 1},
  "client-classes": [{"name": "ipxe", "test": "option[77].hex == 'iPXE'", "boot-file-name": "boot.ipxe"},
    {"name": "efi", "test": "not member('ipxe')", "boot-file-name": "ipxe.efi"}],
  "subnet4": [{"subnet": "192.0.2.0/24", "pools": [{"pool": "192.0.2.100 - 192.0.2.120"}]}],
  "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`, leases))
	log := s.run(server, []string{"udp 67"}, "env", "KEA_PIDFILE_DIR="+s.dir, "KEA_LOCKFILE_DIR="+s.dir, "kea-dhcp4", "-c", conf)
	s.run(server, []string{"udp 69"}, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--enable-tftp", "--tftp-root="+s.dir)
	s.probe("--arch", "uefi-x64").boots(`the script "tftp://192.0.2.1/boot.ipxe"`)
	s.until(func() bool { return strings.Contains(content(t, log), "DHCP4_RELEASE ") })
	// Each line of the file is the newest of its address: a lifetime of 0, or the state "reclaimed", is none.
	s.until(func() bool {
		last := map[string]string{}
		for _, line := range strings.Split(strings.TrimSpace(content(t, leases)), "\n")[1:] {
			last[strings.Split(line, ",")[0]] = line
		}
		for _, line := range last {
			if f := strings.Split(line, ","); f[3] != "0" && f[9] == "0" {
				return false
			}
		}
		return len(last) > 0
	})
}

func TestOurOwnServersBootIt(t *testing.T) {
	s := newSite(t)
	dir, _ := built()
	server := s.server("192.0.2.1")
	s.file("boot.yml", "http: http://192.0.2.1\nrules:\n  - {ipxe: true, file: \"http://192.0.2.1/boot.ipxe\"}\n  - {arch: bios, file: undionly.kpxe}\n  - {arch: uefi-x64, file: ipxe.efi}\n")
	s.file("config.yml", "server4:\n  listen: \"%srv0\"\n  plugins:\n    - server_id: 192.0.2.1\n    - range: leases.sqlite3 192.0.2.100 192.0.2.120 10m\n    - netmask: 255.255.255.0\n    - router: 192.0.2.1\n    - lease_time: 10m\n    - boot: boot.yml\n")
	s.run(server, []string{"udp 67"}, filepath.Join(dir, "netboot-dhcpd"), "-c", "config.yml")
	s.run(server, []string{"udp 69", "tcp 80"}, filepath.Join(dir, "netboot-tftpd"), "--root", s.dir, "--http", "192.0.2.1:80")
	for _, args := range [][]string{{"--arch", "uefi-x64"}, {"--arch", "bios"}, {"--arch", "uefi-x64", "--firmware", "http"}, {"--arch", "bios", "--ipxe"}} {
		o := s.probe(args...).boots(`the script "http://192.0.2.1/boot.ipxe"`)
		if len(o.Notes) > 0 {
			t.Errorf("%q: our own answers have flaws: %v", args, o.Notes)
		}
	}
}
