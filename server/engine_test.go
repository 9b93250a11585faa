package server

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/coredhcp-netboot/suite/server/request"
)

// types are the message types that a plugin was given.
type types struct {
	mu   sync.Mutex
	seen map[dhcpv4.MessageType]int
}

func (s *types) plugin(name string) *plugins.Plugin {
	s.seen = map[dhcpv4.MessageType]int{}
	return plugin(name, func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[req.MessageType()]++
		resp.YourIPAddr = net.IPv4(10, 9, 0, 9).To4()
		return resp, false
	})
}

func TestWhichMessagesReachWhomAndAreAnswered(t *testing.T) {
	var stock, leases types
	o := open(t, Options{Workers: 1}, map[string]Messages{"leases": Decline | BOOTP}, stock.plugin("stock"), leases.plugin("leases"))
	for i := range 19 { // every type, one of which nobody knows, and 0: none
		msg := message(t, dhcpv4.MessageType(i), i)
		if i == 0 {
			msg = bytes.Replace(msg, []byte{53, 1, 0}, []byte{0, 0, 0}, 1)
		}
		o.accept(msg, o.four, relayed())
	}
	o.work()
	for kind, want := range map[dhcpv4.MessageType][2]int{
		dhcpv4.MessageTypeNone: {0, 1}, dhcpv4.MessageTypeDecline: {0, 1}, dhcpv4.MessageTypeRelease: {1, 1},
		dhcpv4.MessageTypeDiscover: {1, 1}, dhcpv4.MessageTypeRequest: {1, 1}, dhcpv4.MessageTypeInform: {1, 1},
		dhcpv4.MessageTypeOffer: {0, 0}, dhcpv4.MessageTypeAck: {0, 0}, dhcpv4.MessageTypeNak: {0, 0},
	} {
		if got := [2]int{stock.seen[kind], leases.seen[kind]}; got != want {
			t.Errorf("%v reached %v, want %v", kind, got, want)
		}
	}
	replies := map[dhcpv4.MessageType]int{}
	for _, l := range o.sent.letters {
		replies[parse(t, l.payload).MessageType()]++
	}
	if got := fmt.Sprint(replies); got != fmt.Sprint(map[dhcpv4.MessageType]int{0: 1, dhcpv4.MessageTypeOffer: 1, dhcpv4.MessageTypeAck: 2}) {
		t.Errorf("replies: %v", got)
	}
}

func TestFirmwareThatSendsItsGUIDAsAddressIsAnswered(t *testing.T) {
	var asked []string
	named := func(name string) *plugins.Plugin {
		return plugin(name, func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
			asked = append(asked, name)
			return resp, false
		})
	}
	o := open(t, Options{Workers: 1}, map[string]Messages{"leases": GUIDAddress}, named("stranger"), named("router"), named("leases"), named("boot"))
	guid := bytes.Repeat([]byte{0xa5}, 16)
	req := parse(t, message(t, dhcpv4.MessageTypeDiscover, 1))
	req.ClientHWAddr, req.GatewayIPAddr = guid, net.IPv4zero.To4()
	f := relayed()
	f.Local, f.Peer = everyone, netip.MustParseAddrPort("0.0.0.0:68")
	o.accept(req.ToBytes(), o.four, f)
	o.work()
	if fmt.Sprint(asked) != "[router leases boot]" { // a stranger may write down what it cannot read again
		t.Errorf("%v were asked", asked)
	}
	if len(o.sent.letters) != 1 || o.sent.letters[0].to != "255.255.255.255:68" { // nobody knows the card's address
		t.Fatalf("sent %v", o.sent.letters)
	}
	if got := o.sent.letters[0].payload; got[2] != 16 || !bytes.Equal(got[28:44], guid) { // I1
		t.Errorf("hlen %d, chaddr % x", got[2], got[28:44])
	}
}

func TestAPluginThatPanicsCostsOnePacket(t *testing.T) {
	careless := plugin("careless", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		if req.ClientHWAddr[5] == 1 {
			panic("a bad machine")
		}
		if req.ClientHWAddr[5] == 2 {
			request.Of(req).Encode(func([]byte, *dhcpv4.DHCPv4, int) ([]byte, error) { panic("cannot write") })
		}
		return resp, false
	})
	careless.Setup6 = func(...string) (handler.Handler6, error) {
		return func(_, _ dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) { panic("always") }, nil
	}
	o := open(t, Options{Workers: 1}, nil, careless)
	for i := range 10 {
		o.accept(message(t, dhcpv4.MessageTypeDiscover, i), o.four, relayed())
	}
	o.accept(solicit(t), o.six, relayed())
	o.work()
	if o.sent.count != 8 {
		t.Errorf("%d replies, want 8", o.sent.count)
	}
	if n := testutil.ToFloat64(o.drops.counted.WithLabelValues("panic", "careless")); n != 2 {
		t.Errorf("%v panics counted", n)
	}
	entries := o.hook.AllEntries()
	if len(entries) < 2 || entries[0].Data["because"] != "a bad machine" || !bytes.Contains([]byte(entries[0].Data["stack"].(string)), []byte("engine_test.go")) {
		t.Errorf("logged: %v", entries)
	}
}

func TestAReplyThatCannotBeWrittenCostsOnePacket(t *testing.T) {
	half := &plugins.Plugin{Name: "half", Setup6: func(...string) (handler.Handler6, error) {
		return func(_, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) {
			resp.AddOption(nil)
			return resp, false
		}, nil
	}}
	o := open(t, Options{Workers: 1}, nil, half)
	o.accept(solicit(t), o.six, relayed())
	o.accept(solicit(t), o.six, relayed())
	o.work()
	if n := testutil.ToFloat64(o.drops.counted.WithLabelValues("panic", "")); n != 2 || o.sent.count != 0 {
		t.Errorf("%v panics counted, %d replies", n, o.sent.count)
	}
}

func TestAReplyIsHeldUntilItsLeaseIsOnDiskAndNoWorkerWaits(t *testing.T) {
	var mu sync.Mutex
	var commits []func(error)
	disk := plugin("disk", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		err := request.Of(req).Hold(func(done func(error)) {
			mu.Lock()
			defer mu.Unlock()
			commits = append(commits, done)
		})
		return resp, err != nil
	})
	o := open(t, Options{Workers: 1, Queue: 8, Rate: &Rate{}}, nil, disk)
	w := newWorker(o.Engine, o.queues[0])
	for i := range 10 { // two more than may be held
		err := w.serve(&packet{data: message(t, dhcpv4.MessageTypeRequest, i), via: o.four, facts: *relayed()})
		var dropped *dropError
		if held := i < 8; held != (err == nil) || !held && (!errors.As(err, &dropped) || dropped.why != dropHold) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	w.outbox.flush()
	if o.sent.count != 0 || len(commits) != 10 {
		t.Fatalf("%d sent before %d commits", o.sent.count, len(commits))
	}
	go func() {
		commits[0](errors.New("disk full"))
		for _, done := range commits[1:8] {
			done(nil)
		}
	}()
	o.queues[0].close()
	w.run() // until the last one has left
	if o.sent.count != 7 {
		t.Errorf("%d replies left, want 7", o.sent.count)
	}
	if n := testutil.ToFloat64(o.drops.hot[dropHold]); n != 1 {
		t.Errorf("%v failed commits counted", n)
	}
}

func TestAReplyThatIsNeverCommittedDoesNotKeepTheServerFromEnding(t *testing.T) {
	stuck := plugin("stuck", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		return resp, request.Of(req).Hold(func(func(error)) {}) != nil
	})
	o := open(t, Options{Workers: 1}, nil, stuck)
	o.accept(message(t, dhcpv4.MessageTypeRequest, 1), o.four, relayed())
	q := o.queues[0]
	ended := make(chan struct{})
	go func() { newWorker(o.Engine, q).run(); close(ended) }()
	q.close()
	q.abort()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the worker waits on")
	}
}

func TestAPluginKnowsWhereARequestCameInAndEncodesItsReply(t *testing.T) {
	var knew request.Facts
	knowing := plugin("knowing", func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		r := request.Of(req)
		knew = request.Facts{Interface: r.Interface(), Peer: r.Peer(), Local: r.Local(), Arrived: r.Arrived()}
		r.Encode(func(dst []byte, _ *dhcpv4.DHCPv4, limit int) ([]byte, error) {
			return fmt.Appendf(dst, "at most %d", limit), nil
		})
		r.Deliver(request.Delivery{To: netip.MustParseAddrPort("10.7.7.7:7")})
		return resp, false
	})
	o := open(t, Options{Workers: 1}, nil, knowing)
	f := relayed()
	o.accept(message(t, dhcpv4.MessageTypeDiscover, 1), o.four, f)
	o.work()
	if fmt.Sprint(knew) != fmt.Sprint(*f) {
		t.Errorf("knew %v of %v", knew, *f)
	}
	if len(o.sent.letters) != 1 || o.sent.letters[0].to != "10.7.7.7:7" || string(o.sent.letters[0].payload) != "at most 548" {
		t.Errorf("sent %v", o.sent.letters)
	}
}

func solicit(t testing.TB) []byte {
	t.Helper()
	msg, err := dhcpv6.NewSolicit(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	return msg.ToBytes()
}

// through puts a DHCPv6 message into a relay's.
func through(t testing.TB, inner []byte, hops uint8, link string, options ...dhcpv6.Option) []byte {
	t.Helper()
	msg, err := dhcpv6.FromBytes(inner)
	if err != nil {
		t.Fatal(err)
	}
	r := &dhcpv6.RelayMessage{
		MessageType: dhcpv6.MessageTypeRelayForward, HopCount: hops, LinkAddr: net.ParseIP(link), PeerAddr: net.ParseIP("fe80::9"),
	}
	r.AddOption(dhcpv6.OptRelayMessage(msg))
	for _, o := range options {
		r.AddOption(o)
	}
	return r.ToBytes()
}

func TestADHCPv6ReplyGoesBackThroughEveryRelay(t *testing.T) {
	six := &plugins.Plugin{Name: "six", Setup6: func(...string) (handler.Handler6, error) {
		return func(_, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) { return resp, false }, nil
	}}
	o := open(t, Options{Workers: 1}, nil, six)
	inner := through(t, solicit(t), 0, "2001:db8:9::1", dhcpv6.OptInterfaceID([]byte("port 7")))
	port := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRelayPort, OptionData: []byte{0, 0}}
	f := relayed()
	f.Peer, f.Local = netip.MustParseAddrPort("[2001:db8:8::1]:1547"), o.six.local
	o.accept(through(t, inner, 1, "2001:db8:8::1", port), o.six, f)
	o.work()
	if len(o.sent.letters) != 1 || o.sent.letters[0].to != "[2001:db8:8::1]:1547" {
		t.Fatalf("sent %v", o.sent.letters)
	}
	got, err := dhcpv6.FromBytes(o.sent.letters[0].payload)
	if err != nil {
		t.Fatal(err)
	}
	outer := got.(*dhcpv6.RelayMessage)
	next, ok := outer.Options.RelayMessage().(*dhcpv6.RelayMessage)
	if !ok || outer.MessageType != dhcpv6.MessageTypeRelayReply || outer.HopCount != 1 || outer.LinkAddr.String() != "2001:db8:8::1" ||
		outer.GetOneOption(dhcpv6.OptionRelayPort) == nil || next.MessageType != dhcpv6.MessageTypeRelayReply || next.HopCount != 0 ||
		next.LinkAddr.String() != "2001:db8:9::1" || next.PeerAddr.String() != "fe80::9" || string(next.Options.InterfaceID()) != "port 7" {
		t.Errorf("%s", got.Summary())
	}
	if msg, err := got.GetInnerMessage(); err != nil || msg.MessageType != dhcpv6.MessageTypeAdvertise {
		t.Errorf("inside: %v, %v", msg, err)
	}
}

func TestTooManyRelaysAreRefused(t *testing.T) {
	msg := solicit(t)
	for i := range hopLimit {
		msg = through(t, msg, uint8(i), "2001:db8::1")
	}
	if _, why := glance6(msg, open(t, Options{}, nil).seed); why != "" {
		t.Errorf("%d relays: %s", hopLimit, why)
	}
	if _, why := glance6(through(t, msg, hopLimit, "2001:db8::1"), open(t, Options{}, nil).seed); why != dropHops {
		t.Errorf("%d relays: %q", hopLimit+1, why)
	}
}

func TestEveryDHCPv6MessageOfAClientIsAnswered(t *testing.T) {
	want := map[dhcpv6.MessageType]dhcpv6.MessageType{
		dhcpv6.MessageTypeSolicit: dhcpv6.MessageTypeAdvertise, dhcpv6.MessageTypeRequest: dhcpv6.MessageTypeReply,
		dhcpv6.MessageTypeConfirm: dhcpv6.MessageTypeReply, dhcpv6.MessageTypeRenew: dhcpv6.MessageTypeReply,
		dhcpv6.MessageTypeRebind: dhcpv6.MessageTypeReply, dhcpv6.MessageTypeRelease: dhcpv6.MessageTypeReply,
		dhcpv6.MessageTypeDecline: dhcpv6.MessageTypeReply, dhcpv6.MessageTypeInformationRequest: dhcpv6.MessageTypeReply,
	}
	for kind := range dhcpv6.MessageType(40) {
		msg := solicit(t)
		msg[0] = byte(kind)
		parsed, err := dhcpv6.FromBytes(msg)
		if err != nil {
			continue
		}
		resp, err := NewReply6(parsed)
		if wanted := want[kind]; wanted == 0 && err == nil || wanted != 0 && (err != nil || resp.Type() != wanted) {
			t.Errorf("%v: %v, %v", kind, resp, err)
		}
	}
	asksOnly := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeInformationRequest} // RFC 8415 section 16.12: needs no identifier
	if resp, err := NewReply6(asksOnly); err != nil || resp.Type() != dhcpv6.MessageTypeReply {
		t.Errorf("%v, %v", resp, err)
	}
}
