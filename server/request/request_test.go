package request_test

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/server/request"
)

var eth0 = request.Interface{Index: 7, Name: "eth0", Addresses: []netip.Prefix{
	netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("198.51.100.1/25"),
	netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("2001:db8::1/64"),
}}

func TestAHandlerFindsItsRequestByTheMessageWhileTheChainRuns(t *testing.T) {
	asked := request.Facts{
		Interface: eth0, Peer: netip.MustParseAddrPort("192.0.2.9:68"), Local: netip.MustParseAddrPort("192.0.2.1:4011"),
		Arrived: time.Unix(1, 0),
	}
	for _, msg := range []any{new(dhcpv4.DHCPv4), new(dhcpv6.Message), new(dhcpv6.RelayMessage)} {
		opened := request.Open(msg, asked)
		r := request.Of(msg)
		if r != opened || r.Interface().Name != "eth0" || r.Peer() != asked.Peer || r.Local() != asked.Local || r.Arrived() != asked.Arrived {
			t.Errorf("%T: %+v", msg, r)
		}
		r.Close()
		if request.Of(msg) != nil {
			t.Errorf("%T: still known", msg)
		}
	}
	if n := request.UnderWay(); n != 0 {
		t.Errorf("%d requests are still under way", n)
	}
}

func TestUnderAServerThatTellsNothingEverythingIsUnknown(t *testing.T) {
	for _, msg := range []any{new(dhcpv4.DHCPv4), nil, dhcpv4.DHCPv4{}, 7} {
		r := request.Of(msg)
		if r != nil || r.Interface().Index != 0 || r.Peer().IsValid() || r.Local().IsValid() || r.Source().IsValid() || !r.Arrived().IsZero() {
			t.Errorf("%v: %+v", msg, r)
		}
		request.Leave(r, "lost")
		if _, ok := request.Left[string](r); ok {
			t.Error("a value was found")
		}
		if r.Encode(nil) || r.Deliver(request.Delivery{}) {
			t.Error("a request was granted that nobody heard")
		}
	}
}

func TestSourceIsTheAddressThatWasAskedOrThatOfTheInterface(t *testing.T) {
	for _, c := range []struct{ local, want string }{
		{"192.0.2.1:67", "192.0.2.1"},
		{"198.51.100.1:67", "198.51.100.1"},
		{"255.255.255.255:67", "192.0.2.1"},
		{"192.0.2.255:67", "192.0.2.1"},
		{"198.51.100.127:67", "192.0.2.1"},
		{"203.0.113.1:67", "203.0.113.1"}, // an address of another interface
		{"0.0.0.0:67", "192.0.2.1"},
		{"[ff02::1:2]:547", "2001:db8::1"},
		{"[fe80::1%eth0]:547", "fe80::1"},
		{"[2001:db8::1]:547", "2001:db8::1"},
	} {
		r := request.Open(new(dhcpv4.DHCPv4), request.Facts{Interface: eth0, Local: netip.MustParseAddrPort(c.local)})
		if got := r.Source().String(); got != c.want {
			t.Errorf("asked at %s: %s, want %s", c.local, got, c.want)
		}
		r.Close()
	}
}

type subnet string
type classes []string

func TestAnEarlierPluginLeavesValuesForALaterOne(t *testing.T) {
	r := request.Open(new(dhcpv4.DHCPv4), request.Facts{})
	defer r.Close()
	request.Leave(r, subnet("lab"))
	request.Leave(r, classes{"pxe"})
	request.Leave(r, subnet("office"))
	if s, ok := request.Left[subnet](r); !ok || s != "office" {
		t.Errorf("subnet %q, %v", s, ok)
	}
	if c, ok := request.Left[classes](r); !ok || len(c) != 1 {
		t.Errorf("classes %v, %v", c, ok)
	}
	if s, ok := request.Left[string](r); ok {
		t.Errorf("%q was left by nobody", s)
	}
}

func TestTheReplyLeavesWhenEveryHoldIsDone(t *testing.T) {
	broken := errors.New("disk full")
	for _, c := range []struct{ first, second, want error }{{nil, nil, nil}, {broken, nil, broken}, {nil, broken, broken}} {
		r := request.Open(new(dhcpv4.DHCPv4), request.Facts{})
		var done []func(error)
		for range 2 {
			if err := r.Hold(func(d func(error)) { done = append(done, d) }); err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		if held, err := r.Held(); !held || err != nil {
			t.Error("not held, or failed already:", err)
		}
		var ends []error
		r.Finish(func(err error) { ends = append(ends, err) })
		done[0](c.first)
		done[0](nil) // once is enough
		if len(ends) > 0 {
			t.Fatal("it left before the second hold was done")
		}
		done[1](c.second)
		if len(ends) != 1 || !errors.Is(ends[0], c.want) {
			t.Errorf("%v, want %v", ends, c.want)
		}
	}
}

func TestAHoldThatEndsBeforeTheChainDoesNotSendTheReplyEarly(t *testing.T) {
	r := request.Open(new(dhcpv4.DHCPv4), request.Facts{})
	defer r.Close()
	if err := r.Hold(func(done func(error)) { done(nil) }); err != nil {
		t.Error(err)
	}
	if held, err := r.Held(); held || err != nil {
		t.Errorf("held: %v, %v", held, err)
	}
	sent := false
	r.Finish(func(err error) { sent = err == nil })
	if !sent {
		t.Error("it did not leave")
	}
}

func TestAHoldBlocksUnderStockCoreDHCP(t *testing.T) {
	broken := errors.New("disk full")
	err := request.Of(new(dhcpv4.DHCPv4)).Hold(func(done func(error)) {
		go func() { done(broken); done(nil) }()
	})
	if !errors.Is(err, broken) {
		t.Errorf("Hold returns %v", err)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 2000 {
				msg := new(dhcpv4.DHCPv4)
				r := request.Open(msg, request.Facts{})
				if request.Of(msg) != r {
					t.Error("another request's facts")
				}
				r.Close()
			}
		}()
	}
	all.Wait()
	if n := request.UnderWay(); n != 0 {
		t.Errorf("%d requests leaked", n)
	}
}

func BenchmarkOpenOfClose(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		msg := new(dhcpv4.DHCPv4)
		for pb.Next() {
			r := request.Open(msg, request.Facts{Interface: eth0})
			_ = request.Of(msg)
			r.Close()
		}
	})
}
