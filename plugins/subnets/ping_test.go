package subnets_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// Somebody set up a printer by hand, at an address of the pool.
func TestAnAddressThatAnswersIsQuarantinedAndASilentOneOffered(t *testing.T) {
	network := nettest.New(t)
	host, err := network.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	printer, err := network.Space("printer")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(host.Veth("lan0", printer, "eth0"), host.Address("lan0", netip.MustParsePrefix("10.1.1.1/24")),
		printer.Address("eth0", netip.MustParsePrefix("10.1.1.100/24"))); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, "ping-check: true\n"+office)
	laptop := l.machine(1)
	req, err := dhcpv4.NewDiscovery(laptop.mac)
	if err != nil {
		t.Fatal(err)
	}
	discovers := func() (reply []byte, held error) {
		t.Helper()
		if err := host.Do(func() error { reply, held = l.chain.AnswerFrom4(req.ToBytes(), l.facts, nil); return nil }); err != nil {
			t.Fatal(err)
		}
		return reply, held
	}
	if reply, err := discovers(); reply != nil || err == nil || !strings.Contains(err.Error(), "somebody answers at the address") {
		t.Errorf("the printer's address: %x, %v", reply, err)
	}
	if log := l.log.String(); !strings.Contains(log, "in use: somebody answers at the address without a lease") || !strings.Contains(log, "ip=10.1.1.100") {
		t.Errorf("the log does not say so:\n%s", log)
	}
	reply, err := discovers()
	if err != nil {
		t.Fatal(err)
	}
	offer, err := dhcpv4.FromBytes(reply)
	if err != nil || offer.YourIPAddr.String() != "10.1.1.101" {
		t.Errorf("%v, %v", offer, err)
	}
	l.machine(2).requests("NAK", asks("10.1.1.100"))
}

// The server's host has no way to the network of its clients, as one that may not open a raw socket has none.
func TestAnAddressThatCannotBePingedIsOfferedAndTheLogSaysSo(t *testing.T) {
	host, err := nettest.New(t).Space("server")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, "ping-check: true\n"+office)
	req, err := dhcpv4.NewDiscovery(l.machine(1).mac)
	if err != nil {
		t.Fatal(err)
	}
	var reply []byte
	if err := host.Do(func() error { reply, err = l.chain.AnswerFrom4(req.ToBytes(), l.facts, nil); return err }); err != nil {
		t.Fatal(err)
	}
	if offer, err := dhcpv4.FromBytes(reply); err != nil || offer.YourIPAddr.String() != "10.1.1.100" {
		t.Errorf("%v, %v", offer, err)
	}
	if log := l.log.String(); !strings.Contains(log, "without ping-check, which cannot ask") || !strings.Contains(log, "unreachable") {
		t.Errorf("the log does not say so:\n%s", log)
	}
}

// A machine that sends one DISCOVER after the other has one reply held, and not one for each.
func TestWhoAsksAgainWhileItsAddressIsPingedHasOneReplyHeld(t *testing.T) {
	network := nettest.New(t)
	host, err := network.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	far, err := network.Space("far")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(host.Veth("lan0", far, "eth0"), host.Address("lan0", netip.MustParsePrefix("10.1.1.1/24"))); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, "ping-check: true\n"+office)
	for n := range 3 { // on a busy machine the second may come when the ping is over
		req, err := dhcpv4.NewDiscovery(l.machine(1 + n).mac)
		if err != nil {
			t.Fatal(err)
		}
		replies := make(chan []byte, 2)
		for range cap(replies) {
			go func() {
				var reply []byte
				if err := host.Do(func() (err error) { reply, err = l.chain.AnswerFrom4(req.ToBytes(), l.facts, nil); return err }); err != nil {
					t.Error(err)
				}
				replies <- reply
			}()
		}
		first, second := <-replies, <-replies
		if first == nil && second == nil {
			t.Fatal("no reply at all")
		}
		if first == nil || second == nil {
			return
		}
	}
	t.Error("both are answered")
}
