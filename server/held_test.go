package server

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coredhcp-netboot/suite/server/request"
)

// holding is an office whose replies wait for what done ends, and whose held ones nobody sends.
func holding(t *testing.T, replies int) (o *office, done []func(error)) {
	t.Helper()
	disk := plugin("disk", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		return resp, request.Of(req).Hold(func(d func(error)) { done = append(done, d) }) != nil
	})
	o = open(t, Options{Workers: 1, Rate: &Rate{}}, nil, disk)
	o.held = newHeld(o.Engine)
	w := newWorker(o.Engine, o.queues[0])
	for i := range replies {
		if err := w.serve(&packet{data: message(t, dhcpv4.MessageTypeRequest, i), via: o.four, facts: *relayed()}); err != nil {
			t.Fatal(err)
		}
	}
	return o, done
}

func TestTheRepliesOfOneCommitLeaveTogether(t *testing.T) {
	o, done := holding(t, 8)
	for _, i := range []int{3, 0, 7, 1, 2, 6, 5, 4} { // from the middle, the front and the end of those that wait
		done[i](nil)
	}
	o.held.close()
	o.held.run()
	if o.sent.count != 8 || o.sent.calls != 1 {
		t.Errorf("%d replies left by %d calls, want 8 by one", o.sent.count, o.sent.calls)
	}
	if o.held.first != nil || o.held.last != nil || o.queues[0].held != 0 {
		t.Errorf("something is still held: %d of the queue", o.queues[0].held)
	}
}

func TestAReplyThatIsHeldForLongIsGivenUpAndTheOthersAreNot(t *testing.T) {
	o, done := holding(t, 3)
	for h, n := o.held.first, 0; n < 2; h, n = h.behind, n+1 {
		h.until = time.Now()
	}
	o.held.expire()
	done[0](nil) // too late
	done[1](errors.New("disk full"))
	done[2](nil)
	o.held.close()
	o.held.run()
	if n := testutil.ToFloat64(o.drops.hot[dropHold]); o.sent.count != 1 || n != 2 || o.queues[0].held != 0 {
		t.Errorf("%d replies left, %v were given up and %d are held; want 1, 2 and 0", o.sent.count, n, o.queues[0].held)
	}
}

func TestAHeldReplyThatAPluginSendsNowhereCostsThisReplyAlone(t *testing.T) {
	lost := plugin("lost", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		r := request.Of(req)
		if req.ClientHWAddr[5] == 1 {
			r.Deliver(request.Delivery{To: netip.MustParseAddrPort("[2001:db8::1]:68"), MAC: req.ClientHWAddr})
		}
		var later func(error)
		err := r.Hold(func(d func(error)) { later = d })
		t.Cleanup(func() { later(nil) }) // before the office closes
		return resp, err != nil
	})
	o := open(t, Options{Workers: 1, Rate: &Rate{}}, nil, lost)
	w := newWorker(o.Engine, o.queues[0])
	for i := range 3 {
		if err := w.serve(&packet{data: message(t, dhcpv4.MessageTypeRequest, i), via: o.four, facts: *relayed()}); err != nil {
			o.drops.failed(err)
		}
	}
	if n := testutil.ToFloat64(o.drops.hot[dropSend]); n != 1 || o.queues[0].held != 2 {
		t.Errorf("%v are dropped and %d are held, want 1 and 2", n, o.queues[0].held)
	}
}
