// Command echod answers DHCP requests with the least work that is possible: the ceiling of a benchmark.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "echod:", err)
		os.Exit(1)
	}
}

func run() error {
	iface := flag.String("interface", "", "interface to answer on")
	address := flag.String("address", "", "this server's IPv4 address")
	log := flag.String("log", "", "file to append each ACK to before it leaves")
	sync := flag.Bool("sync", false, "make the log durable first, all ACKs of a batch by one fdatasync")
	flag.Parse()
	ip, err := netip.ParseAddr(*address)
	if err != nil || !ip.Is4() {
		return fmt.Errorf("--address %q is no IPv4 address", *address)
	}
	echo := dhcp.Echo{Interface: *iface, Address: ip.As4(), Sync: *sync}
	if *log != "" {
		if echo.Log, err = os.OpenFile(*log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return err
		}
	}
	if err := echo.Open(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return echo.Run(ctx)
}
