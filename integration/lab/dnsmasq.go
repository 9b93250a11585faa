package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Dnsmasq is a foreign server that does the same: the referee for what a machine can be expected to do.
type Dnsmasq struct{}

func (Dnsmasq) commands(l *Lab) ([]command, error) {
	path := filepath.Join(l.Dir, "dnsmasq.conf")
	lines := []string{
		"port=0", "no-resolv", "no-hosts", "user=root", "pid-file", "log-dhcp", "no-ping",
		"bind-interfaces", "except-interface=lo", "interface=" + ServerInterface,
		"dhcp-authoritative", "dhcp-leasefile=" + filepath.Join(l.Dir, "dnsmasq.leases"),
		"dhcp-range=" + PoolFirst + "," + PoolLast + ",255.255.255.0,10m",
		"enable-tftp", "tftp-root=" + l.BootDir(),
		"dhcp-userclass=set:ipxe,iPXE",
		"dhcp-match=set:bios,option:client-arch,0",
		"dhcp-match=set:uefi,option:client-arch,7",
		"dhcp-match=set:uefi,option:client-arch,9",
		"dhcp-match=set:http,option:client-arch,16",
		"dhcp-boot=tag:ipxe," + l.scriptURL(),
		"dhcp-boot=tag:!ipxe,tag:bios," + biosFile,
		"dhcp-boot=tag:!ipxe,tag:uefi," + uefiFile,
		"dhcp-boot=tag:!ipxe,tag:http," + httpBase + "/" + uefiFile,
		"dhcp-option-force=tag:http,60,HTTPClient",
		"dhcp-option-force=tag:ipxe,encap:175,176,1",
		"",
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		return nil, fmt.Errorf("configure dnsmasq: %w", err)
	}
	return []command{
		{
			name: "dnsmasq",
			args: []string{"dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=" + path},
			udp:  []int{67, 69},
		},
		{
			name: "httpd",
			args: []string{"busybox", "httpd", "-f", "-p", ServerIP + ":8080", "-h", l.BootDir()},
			tcp:  []int{8080},
		},
	}, nil
}
