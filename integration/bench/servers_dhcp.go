package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
)

// knownHosts is how many machines have an entry of their own in our boot map.
const knownHosts = 10_000

const scriptURL = "http://192.0.2.1:8080/boot.ipxe"

// bootFile is the right answer for a machine.
func bootFile(hosts bool) func(machine int, p dhcp.Profile) string {
	return func(machine int, p dhcp.Profile) string {
		switch {
		case p.Firmware == dhcp.Plain:
			return ""
		case p.Firmware == dhcp.IPXE && hosts && machine < knownHosts:
			return fmt.Sprintf("http://192.0.2.1:8080/%s.ipxe", hyphens(machine))
		case p.Firmware == dhcp.IPXE:
			return scriptURL
		case p.Arch == 0:
			return "undionly.kpxe"
		}
		return "ipxe.efi"
	}
}

func hyphens(machine int) string {
	m := dhcp.MAC(machine)
	return fmt.Sprintf("%02x-%02x-%02x-%02x-%02x-%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// dhcpServers are all that can take part.
func dhcpServers() []*Server {
	return []*Server{
		{Name: "echo", Program: "echod", Command: echo(), Leases: true},
		{Name: "echo-sync", Program: "echod", Command: echo("--log", "acks.log", "--sync"), Leases: true},
		{Name: "ours", Program: "netboot-dhcpd", Command: ours("warning", false), Files: true, Hosts: true},
		{Name: "ours-log", Program: "netboot-dhcpd", Command: ours("info", false), Files: true, Hosts: true},
		{Name: "ours-range", Program: "netboot-dhcpd", Command: ours("warning", true), Files: true, Hosts: true, Leases: true},
		{Name: "coredhcp", Program: "stockd", Command: stock(false)},
		{Name: "coredhcp-range", Program: "stockd", Command: stock(true), Leases: true},
		{Name: "dhcpd", Program: "dhcpd", Command: iscDHCPD, Files: true, Leases: true, Small: true},
		{Name: "kea", Program: "kea-dhcp4", Command: kea(0), Files: true, Leases: true},
		{Name: "kea-mt", Program: "kea-dhcp4", Command: kea(2), Files: true, Leases: true},
		{Name: "dnsmasq", Program: "dnsmasq", Command: dnsmasqDHCP, Files: true, Leases: true},
	}
}

func echo(args ...string) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		return append([]string{"echod", "--interface", serverInterface, "--address", s.Address()}, args...), nil
	}
}

// chain is a CoreDHCP configuration with its stock plugins, and then the last.
func chain(s *Site, leases bool, last string) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "server4:\n  listen: \"%%%s\"\n  plugins:\n    - server_id: %s\n", serverInterface, s.Address())
	if leases {
		fmt.Fprintf(b, "    - range: leases.sqlite3 %s %s 1h\n", poolFirst, poolLast)
	}
	fmt.Fprintf(b, "    - netmask: 255.255.0.0\n    - router: %s\n    - dns: %s\n    - lease_time: 1h\n    - %s\n",
		machinesGate, s.Address(), last)
	return b.String()
}

func stock(leases bool) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		path, err := s.write("config.yml", chain(s, leases, "nbp: tftp://192.0.2.1/ipxe.efi"))
		return []string{"stockd", "--conf", path}, err
	}
}

func ours(level string, leases bool) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		b := new(strings.Builder)
		fmt.Fprintf(b, "next-server: 192.0.2.1\nhttp: http://192.0.2.1:8080\nrules:\n  - {ipxe: true, file: %q}\n"+
			"  - {arch: bios, file: undionly.kpxe}\n  - {arch: uefi-x64, file: ipxe.efi}\nhosts:\n", scriptURL)
		for i := range knownHosts {
			fmt.Fprintf(b, "  - {mac: %q, file: \"http://192.0.2.1:8080/%s.ipxe\"}\n",
				strings.ReplaceAll(hyphens(i), "-", ":"), hyphens(i))
		}
		if _, err := s.write("boot.yml", b.String()); err != nil {
			return nil, err
		}
		path, err := s.write("config.yml", chain(s, leases, "boot: boot.yml"))
		args := []string{"netboot-dhcpd", "-c", path, "-L", level}
		if level == "info" {
			args = append(args, "-N", "-l", filepath.Join(s.dir, "dhcpd.log"))
		}
		return args, err
	}
}

func iscDHCPD(_ *Programs, s *Site) ([]string, error) {
	text := `default-lease-time 3600; max-lease-time 3600; ping-check false; authoritative;
option arch code 93 = unsigned integer 16;
next-server 192.0.2.1;
if exists user-class and option user-class = "iPXE" { filename "` + scriptURL + `"; }
elsif option arch = 00:00 { filename "undionly.kpxe"; }
elsif option arch = 00:07 { filename "ipxe.efi"; }
subnet 198.18.0.0 netmask 255.255.0.0 {
  range ` + poolFirst + " " + smallLast + `;
  option routers 198.18.0.1; option domain-name-servers ` + s.Address() + `; option subnet-mask 255.255.0.0;
}
`
	if s.relayed {
		text += "subnet 192.0.2.0 netmask 255.255.255.0 {}\n"
	}
	path, err := s.write("dhcpd.conf", text)
	if err != nil {
		return nil, err
	}
	leases, err := s.write("dhcpd.leases", "")
	return []string{"dhcpd", "-4", "-f", "-q", "--no-pid", "-cf", path, "-lf", leases, serverInterface}, err
}

func kea(threads int) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		socket := "raw"
		if s.relayed {
			socket = "udp" // raw sockets cost Kea much, and relays do not need them
		}
		path, err := s.write("kea.json", fmt.Sprintf(`{"Dhcp4": {
  "interfaces-config": {"interfaces": [%q], "dhcp-socket-type": %q},
  "lease-database": {"type": "memfile", "persist": true, "name": %q, "lfc-interval": 0},
  "multi-threading": {"enable-multi-threading": %t, "thread-pool-size": %d},
  "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stderr"}]}],
  "valid-lifetime": 3600, "next-server": "192.0.2.1",
  "client-classes": [
    {"name": "ipxe", "test": "option[77].hex == 'iPXE'", "boot-file-name": %q},
    {"name": "bios", "test": "option[93].hex == 0x0000 and not member('ipxe')", "boot-file-name": "undionly.kpxe"},
    {"name": "uefi", "test": "option[93].hex == 0x0007 and not member('ipxe')", "boot-file-name": "ipxe.efi"}],
  "subnet4": [{"id": 1, "subnet": %q, "pools": [{"pool": "%s - %s"}], "option-data": [
    {"name": "routers", "data": %q}, {"name": "domain-name-servers", "data": %q}]}]
}}
`, serverInterface, socket, filepath.Join(s.dir, "leases.csv"), threads > 0, max(threads, 1), scriptURL, machinesNet,
			poolFirst, poolLast, machinesGate, s.Address()))
		return []string{"kea-dhcp4", "-c", path}, err
	}
}

func dnsmasqDHCP(_ *Programs, s *Site) ([]string, error) {
	path, err := s.write("dnsmasq.conf", strings.Join([]string{
		"port=0", "no-resolv", "no-hosts", "user=root", "no-ping", "quiet-dhcp",
		"bind-interfaces", "except-interface=lo", "interface=" + serverInterface,
		"dhcp-authoritative", "dhcp-lease-max=1000000", "dhcp-leasefile=" + filepath.Join(s.dir, "dnsmasq.leases"),
		"dhcp-range=" + poolFirst + "," + poolLast + ",255.255.0.0,1h",
		"dhcp-option=option:router," + machinesGate, "dhcp-option=option:dns-server," + s.Address(),
		"dhcp-userclass=set:ipxe,iPXE",
		"dhcp-match=set:bios,option:client-arch,0", "dhcp-match=set:uefi,option:client-arch,7",
		"dhcp-boot=tag:ipxe," + scriptURL + ",,192.0.2.1",
		"dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,192.0.2.1", "dhcp-boot=tag:!ipxe,tag:uefi,ipxe.efi,,192.0.2.1", "",
	}, "\n"))
	return []string{"dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=" + path}, err
}
