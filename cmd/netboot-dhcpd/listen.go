package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/coredhcp/coredhcp/config"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// checkListen opens and closes every address that the server will listen on. CoreDHCP's loop shares its ports
// (SO_REUSEADDR), so beside another DHCP server it would start, and then hear nothing, or only some requests.
func checkListen(c *config.Config) error {
	var errs []error
	for _, s := range []struct {
		section, network string
		server           *config.ServerConfig
	}{{"server4", "udp4", c.Server4}, {"server6", "udp6", c.Server6}} {
		if s.server == nil {
			continue
		}
		for _, a := range s.server.Addresses {
			if err := tryListen(s.network, a, s.section+".listen"); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func tryListen(network string, a net.UDPAddr, setting string) error {
	if a.Zone != "" {
		if _, err := net.InterfaceByName(a.Zone); err != nil {
			return fmt.Errorf("%s: there is no interface %q; this host has %s", setting, a.Zone, interfaceNames())
		}
	}
	l := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if a.Zone == "" {
			return nil
		}
		if cerr := raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), a.Zone) }); cerr != nil {
			return cerr
		}
		return err
	}}
	host := ""
	if a.IP != nil && !a.IP.IsMulticast() {
		host = a.IP.String()
		if a.IP.IsLinkLocalUnicast() {
			host += "%" + a.Zone
		}
	}
	addr := net.JoinHostPort(host, strconv.Itoa(a.Port))
	conn, err := l.ListenPacket(context.Background(), network, addr)
	if err != nil {
		return daemon.ListenError(err, network, addr, setting)
	}
	return conn.Close()
}

func interfaceNames() string {
	ifaces, _ := net.Interfaces()
	names := make([]string, len(ifaces))
	for i, ifi := range ifaces {
		names[i] = ifi.Name
	}
	return strings.Join(names, ", ")
}
