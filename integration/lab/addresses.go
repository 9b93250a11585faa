package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// OtherIP is the address of the server that gives addresses where that is not the lab's own.
const (
	OtherIP        = "192.0.2.2"
	otherInterface = "alt0"
)

// otherAt is where the address server is: its address and its interface.
func (l *Lab) otherAt() (address, ifname string) {
	if l.OneHost {
		return ServerIP, ServerInterface
	}
	return OtherIP, otherInterface
}

// AddressServer is a DHCP server that somebody else runs: it gives addresses, and knows nothing of network boot.
type AddressServer string

// The address servers, as their packages name the programs.
const (
	ISC              AddressServer = "dhcpd"
	Kea              AddressServer = "kea-dhcp4"
	DnsmasqAddresses AddressServer = "dnsmasq"
)

// command writes the server's configuration into the lab's directory and says what to run.
func (a AddressServer) command(l *Lab) (command, error) {
	file := filepath.Join(l.Dir, "other.conf")
	leases := filepath.Join(l.Dir, "other.leases")
	c := command{name: "other-" + string(a), udp: []int{67}, on: l.other}
	address, ifname := l.otherAt()
	var config string
	switch a {
	case ISC:
		config = fmt.Sprintf(`authoritative; ping-check false; default-lease-time 600; max-lease-time 600;
subnet 192.0.2.0 netmask 255.255.255.0 {
  range %s %s;
  option routers %s;
}
`, PoolFirst, PoolLast, address)
		c.args = []string{"dhcpd", "-4", "-f", "-d", "-cf", file, "-lf", leases, "--no-pid", ifname}
		if err := os.WriteFile(leases, nil, 0o644); err != nil { // it starts with no other
			return c, err
		}
	case Kea:
		config = fmt.Sprintf(`{"Dhcp4": {
  "interfaces-config": {"interfaces": [%q]}, "valid-lifetime": 600,
  "lease-database": {"type": "memfile", "persist": false},
  "subnet4": [{"id": 1, "subnet": "192.0.2.0/24", "pools": [{"pool": "%s - %s"}],
               "option-data": [{"name": "routers", "data": %q}]}],
  "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]
}}
`, ifname, PoolFirst, PoolLast, address)
		c.args = []string{"env", "KEA_PIDFILE_DIR=" + l.Dir, "KEA_LOCKFILE_DIR=none", "kea-dhcp4", "-c", file}
	case DnsmasqAddresses:
		config = strings.Join([]string{
			"port=0", "no-resolv", "no-hosts", "user=root", "pid-file", "log-dhcp", "no-ping", "dhcp-authoritative",
			"bind-interfaces", "except-interface=lo", "interface=" + ifname, "dhcp-leasefile=" + leases,
			"dhcp-range=" + PoolFirst + "," + PoolLast + ",255.255.255.0,10m", "",
		}, "\n")
		c.args = []string{"dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=" + file}
	default:
		return c, fmt.Errorf("no such address server: %s", a)
	}
	return c, os.WriteFile(file, []byte(config), 0o644)
}

// startOther starts the address server, on a host that it plugs into the wire or on our own.
func (l *Lab) startOther() (err error) {
	if l.Addresses == "" {
		return nil
	}
	if l.other = l.server; !l.OneHost {
		if l.other, err = l.host("other", otherInterface); err != nil {
			return err
		}
		if err := l.other.Address(otherInterface, netip.MustParsePrefix(OtherIP+"/24")); err != nil {
			return err
		}
	}
	c, err := l.Addresses.command(l)
	if err != nil {
		return fmt.Errorf("configure %s: %w", l.Addresses, err)
	}
	if err := l.start(c); err != nil {
		return err
	}
	return l.await(l.programs[len(l.programs)-1])
}
