package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/integration/load/tftp"
)

// knownHosts is how many machines have an entry of their own in our boot map.
const knownHosts = 10_000

const scriptURL = "http://192.0.2.1:8080/boot.ipxe"

// bootFile is the right answer for a machine; hosts: from a server that knows some.
func (s *Site) bootFile(hosts bool) func(machine int, p dhcp.Profile) string {
	return func(machine int, p dhcp.Profile) string {
		switch {
		case p.Firmware == dhcp.Plain:
			return ""
		case p.Firmware == dhcp.IPXE && hosts && machine < s.hosts:
			return fmt.Sprintf("http://192.0.2.1:8080/%s.ipxe", hyphens(machine))
		case p.Firmware == dhcp.IPXE:
			return s.script
		case p.Arch == 0:
			return "undionly.kpxe"
		}
		return "ipxe.efi"
	}
}

func hyphens(machine int) string { return strings.ReplaceAll(colons(machine), ":", "-") }

func colons(machine int) string {
	mac := dhcp.MAC(machine)
	return net.HardwareAddr(mac[:]).String()
}

// reservations calls line with every machine that has an address of its own.
func (s *Site) reservations(b *strings.Builder, line func(mac, address string) string) {
	for i := range s.reserved {
		b.WriteString(line(colons(i), netip.AddrFrom4(tftp.Neighbour(ip4(reservedFirst), i)).String()))
	}
}

// dhcpServers are all that can take part.
func dhcpServers() []*Server {
	return []*Server{
		{Name: "echo", Program: "echod", Command: echo(), Leases: true},
		{Name: "echo-log", Program: "echod", Command: echo("--log", "acks.log"), Leases: true},
		{Name: "echo-sync", Program: "echod", Command: echo("--log", "acks.log", "--sync"), Leases: true},
		{Name: "ours", Program: "netboot-dhcpd", Command: ours("warning", ""), Files: true, Hosts: true},
		{Name: "ours-log", Program: "netboot-dhcpd", Command: ours("info", ""), Files: true, Hosts: true},
		{Name: "ours-range", Program: "netboot-dhcpd", Command: ours("warning", "1h"), Files: true, Hosts: true, Leases: true},
		{Name: "ours-subnets", Program: "netboot-dhcpd", Command: oursSubnets, Files: true, Hosts: true, Leases: true},
		{Name: "ours-classes", Program: "netboot-dhcpd", Command: oursClasses, Files: true, Leases: true},
		{Name: "ours-relaxed", Program: "netboot-dhcpd", Command: ours("warning", "1h durability=relaxed"), Files: true, Hosts: true, Leases: true},
		{Name: "coredhcp", Program: "stockd", Command: stock("")},
		{Name: "coredhcp-range", Program: "stockd", Command: stock("1h"), Leases: true},
		{Name: "dhcpd", Program: "dhcpd", Command: iscDHCPD, Files: true, Leases: true, Small: true},
		{Name: "kea", Program: "kea-dhcp4", Command: kea(0), Files: true, Leases: true},
		{Name: "kea-mt", Program: "kea-dhcp4", Command: kea(2), Files: true, Leases: true},
		{Name: "dnsmasq", Program: "dnsmasq", Command: dnsmasqBoot, Files: true, Leases: true},
	}
}

func echo(args ...string) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		return append([]string{"echod", "--interface", serverInterface, "--address", s.Address()}, args...), nil
	}
}

// chain is a CoreDHCP configuration with its stock plugins, and then the last. Lend, where it is not empty, is for how long
// addresses are lent, and what follows that.
func (s *Site) chain(lend, last string) (path string, err error) {
	b := new(strings.Builder)
	fmt.Fprintf(b, "server4:\n  listen: \"%%%s\"\n  plugins:\n    - server_id: %s\n", serverInterface, s.Address())
	if lend != "" && s.reserved == 0 {
		fmt.Fprintf(b, "    - range: leases.sqlite3 %s %s %s\n", poolFirst, poolLast, lend)
	}
	fmt.Fprintf(b, "    - netmask: 255.255.0.0\n    - router: %s\n    - dns: %s\n    - lease_time: 1h\n    - %s\n",
		machinesGate, s.Address(), last)
	if s.reserved > 0 { // at the end: no plugin sees the machines that file knows
		fixed := new(strings.Builder)
		s.reservations(fixed, func(mac, address string) string { return mac + " " + address + "\n" })
		if _, err := s.write("reservations.txt", fixed.String()); err != nil {
			return "", err
		}
		b.WriteString("    - file: reservations.txt\n")
	}
	return s.write("config.yml", b.String())
}

func stock(lend string) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		path, err := s.chain(lend, "nbp: tftp://192.0.2.1/ipxe.efi")
		return []string{"stockd", "--conf", path}, err
	}
}

// bootMap is the map of our own servers.
func (s *Site) bootMap() error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "next-server: 192.0.2.1\nhttp: http://192.0.2.1:8080\nrules:\n  - {ipxe: true, file: %q}\n"+
		"  - {arch: bios, file: undionly.kpxe}\n  - {arch: uefi-x64, file: ipxe.efi}\n", s.script)
	if s.hosts > 0 {
		b.WriteString("hosts:\n")
	}
	for i := range s.hosts {
		fmt.Fprintf(b, "  - {mac: %q, file: \"http://192.0.2.1:8080/%s.ipxe\"}\n", colons(i), hyphens(i))
	}
	_, err := s.write("boot.yml", b.String())
	return err
}

func ours(level, lend string) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		if err := s.bootMap(); err != nil {
			return nil, err
		}
		path, err := s.chain(lend, "boot: boot.yml")
		args := []string{"netboot-dhcpd", "-c", path, "-L", level}
		if level == "info" {
			args = append(args, "-N", "-l", filepath.Join(s.dir, "dhcpd.log"))
		}
		return args, err
	}
}

// oursSubnets lends by a file with one network and two classes. Each machine is of one of the classes.
func oursSubnets(_ *Programs, s *Site) ([]string, error) {
	if err := s.bootMap(); err != nil {
		return nil, err
	}
	_, err := s.write("subnets.yml", fmt.Sprintf(`leases: leases
lease-time: 1h
options: {routers: %s, domain-name-servers: %s}
classes:
  - {name: ipxe, when: 'option user-class = "iPXE"'}
  - {name: firmware, when: 'substring(option vendor-class-identifier, 0, 9) = "PXEClient" and not exists user-class'}
networks:
  - {subnet: %s, pools: [%s-%s]}
`, machinesGate, s.Address(), subnetsNet, poolFirst, poolLast))
	if err != nil {
		return nil, err
	}
	path, err := s.write("config.yml", fmt.Sprintf("server4:\n  listen: \"%%%s\"\n  plugins:\n    - server_id: %s\n    - subnets: subnets.yml\n"+
		"    - boot: boot.yml\n", serverInterface, s.Address()))
	return []string{"netboot-dhcpd", "-c", path, "-L", "warning"}, err
}

// oursClasses is what kea is told, word for word: each kind of machine is a class with its boot file.
func oursClasses(_ *Programs, s *Site) ([]string, error) {
	_, err := s.write("subnets.yml", fmt.Sprintf(`leases: leases
lease-time: 1h
next-server: 192.0.2.1
classes:
  - {name: ipxe, when: 'option user-class = "iPXE"', file: %q}
  - {name: bios, when: 'option pxe-system-type = 00:00 and not (option user-class = "iPXE")', file: undionly.kpxe}
  - {name: uefi, when: 'option pxe-system-type = 00:07 and not (option user-class = "iPXE")', file: ipxe.efi}
networks:
  - {subnet: %s, pools: [%s-%s], options: {routers: %s, domain-name-servers: %s}}
`, s.script, subnetsNet, poolFirst, poolLast, machinesGate, s.Address()))
	if err != nil {
		return nil, err
	}
	path, err := s.write("config.yml", fmt.Sprintf("server4:\n  listen: \"%%%s\"\n  plugins:\n    - server_id: %s\n    - subnets: subnets.yml\n",
		serverInterface, s.Address()))
	return []string{"netboot-dhcpd", "-c", path, "-L", "warning"}, err
}

func iscDHCPD(_ *Programs, s *Site) ([]string, error) {
	b := new(strings.Builder)
	b.WriteString(`default-lease-time 3600; max-lease-time 3600; ping-check false; authoritative;
option arch code 93 = unsigned integer 16;
next-server 192.0.2.1;
if exists user-class and option user-class = "iPXE" { filename "` + s.script + `"; }
elsif option arch = 00:00 { filename "undionly.kpxe"; }
elsif option arch = 00:07 { filename "ipxe.efi"; }
subnet 198.18.0.0 netmask 255.255.0.0 {
  range ` + poolFirst + " " + smallLast + `;
  option routers 198.18.0.1; option domain-name-servers ` + s.Address() + `; option subnet-mask 255.255.0.0;
}
`)
	if s.Relayed {
		b.WriteString("subnet 192.0.2.0 netmask 255.255.255.0 {}\n")
	}
	s.reservations(b, func(mac, address string) string {
		return fmt.Sprintf("host m%s { hardware ethernet %s; fixed-address %s; }\n", strings.ReplaceAll(mac, ":", ""), mac, address)
	})
	path, err := s.write("dhcpd.conf", b.String())
	if err != nil {
		return nil, err
	}
	leases, err := s.write("dhcpd.leases", "")
	return []string{"dhcpd", "-4", "-f", "-q", "--no-pid", "-cf", path, "-lf", leases, serverInterface}, err
}

func kea(threads int) func(*Programs, *Site) ([]string, error) {
	return func(_ *Programs, s *Site) ([]string, error) {
		socket := "raw"
		if s.Relayed {
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
`, serverInterface, socket, filepath.Join(s.dir, "leases.csv"), threads > 0, max(threads, 1), s.script, machinesNet,
			poolFirst, poolLast, machinesGate, s.Address()))
		return []string{"kea-dhcp4", "-c", path}, err
	}
}

// dnsmasqBoot serves leases, and files as well where the site has any.
func dnsmasqBoot(_ *Programs, s *Site) ([]string, error) {
	b := new(strings.Builder)
	b.WriteString(strings.Join([]string{
		"port=0", "no-resolv", "no-hosts", "user=root", "no-ping", "quiet-dhcp",
		"bind-interfaces", "except-interface=lo", "interface=" + serverInterface,
		"dhcp-authoritative", "dhcp-lease-max=1000000", "dhcp-leasefile=" + filepath.Join(s.dir, "dnsmasq.leases"),
		"dhcp-range=" + poolFirst + "," + poolLast + ",255.255.0.0,1h",
		"dhcp-option=option:router," + machinesGate, "dhcp-option=option:dns-server," + s.Address(),
		"dhcp-userclass=set:ipxe,iPXE",
		"dhcp-match=set:bios,option:client-arch,0", "dhcp-match=set:uefi,option:client-arch,7",
		"dhcp-boot=tag:ipxe," + s.script + ",,192.0.2.1",
		"dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,192.0.2.1", "dhcp-boot=tag:!ipxe,tag:uefi,ipxe.efi,,192.0.2.1", "",
	}, "\n"))
	if s.files != "" {
		fmt.Fprintf(b, "enable-tftp\ntftp-root=%s\ntftp-max=5000\nquiet-tftp\n", s.files)
	}
	s.reservations(b, func(mac, address string) string { return "dhcp-host=" + mac + "," + address + "\n" })
	path, err := s.write("dnsmasq.conf", b.String())
	return []string{"dnsmasq", "--keep-in-foreground", "--log-facility=/dev/null", "--conf-file=" + path}, err
}
