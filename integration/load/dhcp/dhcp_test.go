package dhcp_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

var (
	serverIP = [4]byte{192, 0, 2, 1}
	agentIP  = [4]byte{192, 0, 2, 2}
)

// cable is a server's space with srv0 and 192.0.2.1, and its machines' with eth0 and 192.0.2.2.
func cable(t testing.TB) (server, machines *nettest.Space) {
	t.Helper()
	n := nettest.New(t)
	server, err := n.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	machines, err = n.Space("machines")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Veth("srv0", machines, "eth0"); err != nil {
		t.Fatal(err)
	}
	if err := server.Address("srv0", netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := machines.Address("eth0", netip.MustParsePrefix("192.0.2.2/24")); err != nil {
		t.Fatal(err)
	}
	return server, machines
}

// wire is an echo on one side of a cable, and on the other a port of the kind that the test wants.
func wire(t testing.TB, attached bool) *dhcp.Port {
	t.Helper()
	server, machines := cable(t)
	echo := &dhcp.Echo{Interface: "srv0", Address: serverIP}
	if err := server.Do(echo.Open); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- echo.Run(ctx) }()
	var port *dhcp.Port
	err := machines.Do(func() (err error) {
		if attached {
			port, err = dhcp.Attached("eth0")
		} else {
			port, err = dhcp.Relayed(agentIP, serverIP)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		echo.Close()
		port.Close()
	})
	return port
}

func plan() dhcp.Plan {
	return dhcp.Plan{
		Profiles: []dhcp.Profile{{Firmware: dhcp.PXE, Arch: 7}, {Firmware: dhcp.IPXE, Arch: 7}, {Firmware: dhcp.PXE}, {}},
		Machines: 500, Rules: dhcp.Rules{Server: serverIP, Leases: true},
		Window: 16, Exchanges: 500, For: 30 * time.Second, Timeout: 5 * time.Second, CPU: -1,
	}
}

func TestEveryMachineOfALoadGetsItsOwnAddress(t *testing.T) {
	for name, attached := range map[string]bool{"relayed": false, "attached": true} {
		t.Run(name, func(t *testing.T) {
			r, err := plan().Run(t.Context(), wire(t, attached))
			if err != nil {
				t.Fatal(err)
			}
			if r.Done != 500 || r.Lost != 0 || r.Faults.Wrong() != 0 {
				t.Errorf("%d done, %d lost, faults %v", r.Done, r.Lost, r.Faults)
			}
			if r.Offer.Count() != 500 || r.ACK.Count() != 500 {
				t.Errorf("%d offers and %d ACKs were timed", r.Offer.Count(), r.ACK.Count())
			}
		})
	}
}

// What the generator and the echo can do together is the ceiling of every figure.
func BenchmarkEcho(b *testing.B) {
	for _, c := range []struct {
		name                string
		attached, offerOnly bool
	}{{"relayed-offers", false, true}, {"relayed", false, false}, {"attached", true, false}} {
		b.Run(c.name, func(b *testing.B) {
			p, port := plan(), wire(b, c.attached)
			p.OfferOnly, p.Machines, p.Window, p.Exchanges, p.For = c.offerOnly, 50000, 64, b.N, time.Hour
			b.ResetTimer()
			r, err := p.Run(b.Context(), port)
			if err != nil {
				b.Fatal(err)
			}
			if r.Lost != 0 || r.Faults.Wrong() != 0 {
				b.Errorf("%d lost, faults %v", r.Lost, r.Faults)
			}
			b.ReportMetric(r.CPU.Seconds()/float64(b.N)*1e9, "generator-ns/op")
		})
	}
}
