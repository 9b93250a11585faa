package main

import (
	"strings"

	"github.com/coredhcp-netboot/suite/integration/load/tftp"
)

// Where packages.sh unpacks these two.
const (
	hpaProgram    = "tftpd-hpa/usr/sbin/in.tftpd"
	atftpdProgram = "atftpd/usr/sbin/atftpd"
)

// The servers of files. Limits on how many they serve at once are lifted where they have any.
func fileServers() []*Server {
	return []*Server{
		{Name: "ours", Program: "netboot-tftpd", Command: oursFiles},
		{Name: "ours-http", Program: "netboot-tftpd", Command: oursFiles},
		{Name: "dnsmasq", Program: "dnsmasq", Command: dnsmasqFiles},
		{Name: "tftpd-hpa", Program: hpaProgram, Command: hpa},
		{Name: "atftpd", Program: atftpdProgram, Command: atftpd},
		{Name: "pin", Program: "pind", Command: pin},
	}
}

func oursFiles(_ *Programs, s *Site) ([]string, error) {
	return []string{"netboot-tftpd", "--root", s.files, "--tftp", cableServer + ":69", "--http", cableServer + ":8080",
		"--log-level", "warn"}, nil
}

func dnsmasqFiles(_ *Programs, s *Site) ([]string, error) {
	path, err := s.write("dnsmasq.conf", strings.Join([]string{
		"port=0", "no-resolv", "no-hosts", "user=root", "bind-interfaces", "except-interface=lo", "interface=" + serverInterface,
		"enable-tftp", "tftp-root=" + s.files, "tftp-max=5000", "",
	}, "\n"))
	return []string{"dnsmasq", "--keep-in-foreground", "--log-facility=/dev/null", "--conf-file=" + path}, err
}

func hpa(_ *Programs, s *Site) ([]string, error) {
	return []string{hpaProgram, "-L", "-u", "root", "-a", cableServer + ":69", "-s", s.files}, nil
}

func atftpd(_ *Programs, s *Site) ([]string, error) {
	return []string{atftpdProgram, "--daemon", "--no-fork", "--bind-address", cableServer, "--user", "root", "--group", "root",
		"--no-multicast", "--maxthread", "2000", "--verbose=0", "--logfile", "/dev/null", s.files}, nil
}

func pin(_ *Programs, s *Site) ([]string, error) {
	return []string{"pind", "--root", s.files, "--address", cableServer + ":69"}, nil
}

// window is a request's options with a window, none for lock step.
func windowed(blksize, windowsize int) tftp.Options {
	if windowsize == 1 {
		windowsize = 0
	}
	return tftp.Options{Blksize: blksize, Windowsize: windowsize}
}
