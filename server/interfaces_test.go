package server_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/coredhcp-netboot/suite/server"
)

func TestInterfacesAreListedWhileTheyChange(t *testing.T) {
	s := newSite(t)
	must(t, s.server.Do(func() error {
		link, err := netlink.LinkByName("srv0")
		if err != nil {
			return err
		}
		address := func(i int) *netlink.Addr {
			a, err := netlink.ParseAddr(fmt.Sprintf("10.%d.%d.1/24", 100+i/250, i%250))
			must(t, err)
			return a
		}
		for i := range 800 { // more than one answer of the kernel holds
			if err := netlink.AddrAdd(link, address(i)); err != nil {
				return err
			}
		}
		h, err := netlink.NewHandle() // in this namespace, whatever thread uses it
		if err != nil {
			return err
		}
		defer h.Close()
		stop := make(chan struct{})
		var flapping sync.WaitGroup
		flapping.Add(1)
		go func() {
			defer flapping.Done()
			for {
				select {
				case <-stop:
					return
				default:
					_ = h.AddrDel(link, address(400))
					_ = h.AddrAdd(link, address(400))
				}
			}
		}()
		defer flapping.Wait()
		defer close(stop)
		for range 50 {
			if err := server.ListInterfaces(netip.MustParseAddr("10.0.0.1")); err != nil {
				return err
			}
		}
		return nil
	}))
}
