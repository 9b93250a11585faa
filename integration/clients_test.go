package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// dhcpClient is somebody's DHCPv4 client. It runs in the foreground and keeps what it knows below the story's directory.
type dhcpClient struct {
	name string
	// watches tells that it notices when the cable is taken out. Others are started anew, as the programs around them do.
	watches bool
	// forgets tells that it never asks for its old address but in a DISCOVER.
	forgets bool
	// probes tells that it looks whether somebody has an address before it takes it.
	probes bool
	// times stand in place of campusTimes.
	times string
	run   func(h *host) *exec.Cmd
	// releases makes it give back its lease. It may end by that. Without it the client ends and its lease runs out.
	releases func(h *host, p *nettest.Process) error
}

// by is a release at a signal.
func by(signal syscall.Signal) func(*host, *nettest.Process) error {
	return func(_ *host, p *nettest.Process) error { return p.Signal(signal) }
}

var dhcpClients = []dhcpClient{
	{name: "udhcpc", forgets: true, probes: true, run: udhcpc, releases: by(syscall.SIGUSR2)},
	{name: "dhclient", probes: true, times: dhclientTimes, run: func(h *host) *exec.Cmd { return dhclient(h) }, releases: func(h *host, _ *nettest.Process) error {
		_, err := h.Ask(dhclient(h, "-r"), h.server) // that one ends the other
		return err
	}},
	{name: "dhcpcd", watches: true, probes: true, run: dhcpcd, releases: by(syscall.SIGALRM)},
	{name: "networkd", watches: true, run: networkd, releases: by(syscall.SIGTERM)},
}

const (
	udhcpcScript = `#!/bin/sh
case $1 in
deconfig) ip -4 addr flush dev "$interface" ;;
bound | renew) ip addr replace "$ip/$mask" dev "$interface" ;;
esac
`
	// dhclientScript sets the address unless somebody has it, as the scripts of distributions do.
	dhclientScript = `#!/bin/sh
case $reason in
BOUND | REBOOT)
	busybox arping -q -D -c 2 -w 2 -I "$interface" "$new_ip_address" || exit 1
	ip addr replace "$new_ip_address/24" dev "$interface" ;;
RENEW | REBIND) ip addr replace "$new_ip_address/24" dev "$interface" ;;
PREINIT | EXPIRE | FAIL | RELEASE | STOP) ip -4 addr flush dev "$interface" ;;
esac
`
	// It writes down a lease again after 15 seconds at the earliest: one that is over by then it would not know when it is
	// started anew.
	dhclientTimes = "lease-time: {default: 1m, min: 1m, max: 1m}\noptions: {dhcp-renewal-time: 2, dhcp-rebinding-time: 4}\n"
	// What is not answered is soon sent again, since its T2 comes after seconds.
	dhclientConf = "timeout 10; retry 1; initial-interval 1; backoff-cutoff 2;\n" +
		"also request dhcp-renewal-time, dhcp-rebinding-time;\n"

	networkdFile = `[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
SendRelease=yes
`
)

func udhcpc(h *host) *exec.Cmd {
	h.write("udhcpc.sh", udhcpcScript)
	args := []string{"udhcpc", "-i", "eth0", "-f", "-a", "-t", "4", "-T", "1", "-A", "1", "-s", filepath.Join(h.dir, "udhcpc.sh")}
	if last := h.last(); last != "" {
		args = append(args, "-r", last)
	}
	return h.Command("busybox", args...)
}

func dhclient(h *host, more ...string) *exec.Cmd {
	h.write("dhclient.sh", dhclientScript)
	h.write("dhclient.conf", dhclientConf)
	file := func(name string) string { return filepath.Join(h.dir, name) }
	args := []string{"-4", "-d", "-sf", file("dhclient.sh"), "-cf", file("dhclient.conf"), "-lf", file("dhclient.leases"), "-pf", file("dhclient.pid")}
	return h.Command("dhclient", append(append(args, more...), "eth0")...)
}

// ownDirs gives a program that has its directories built in some of its own.
const ownDirs = `set -e
mount -t tmpfs tmpfs /run
mount -o remount,bind,ro /sys # by this systemd's programs know that no udev runs here, and do not wait for one
`

func dhcpcd(h *host) *exec.Cmd { return dhcpcdBy(h, "-4", "") }

// dhcpcdBy runs none of its hooks, which would change this machine's resolv.conf.
func dhcpcdBy(h *host, family, config string) *exec.Cmd {
	h.write("dhcpcd.conf", config)
	const script = ownDirs + `mkdir -p "$1/dhcpcd"
mount --bind "$1/dhcpcd" /var/lib/dhcpcd
exec dhcpcd "$2" -B --nodev -f "$1/dhcpcd.conf" -c /bin/true eth0`
	return h.Command("sh", "-c", script, "sh", h.dir, family)
}

// networkd without D-Bus does what its file says.
func networkd(h *host) *exec.Cmd { return networkdBy(h, networkdFile) }

func networkdBy(h *host, file string) *exec.Cmd {
	program := "/usr/lib/systemd/systemd-networkd"
	if _, err := os.Stat(program); err != nil {
		program = "/lib/systemd/systemd-networkd" // where it lives without a merged /usr
	}
	const script = ownDirs + `mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network: /run/systemd/netif
cp "$1" /run/systemd/network/eth0.network
exec env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console "$2"`
	h.write("eth0.network", file)
	return h.Command("sh", "-c", script, "sh", filepath.Join(h.dir, "eth0.network"), program)
}
