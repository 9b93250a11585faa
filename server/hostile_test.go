package server

import (
	"errors"
	"flag"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var hostile = flag.Int("hostile", 100_000, "how many random and mutated `packets` the engine must survive")

func TestRandomAndMutatedPacketsLeaveItServing(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	o := bootOffice(t, 10)
	o.sent.keep = false
	seeds := [][]byte{
		pxeDiscover(t), message(t, dhcpv4.MessageTypeRequest, 1), message(t, dhcpv4.MessageTypeRelease, 1),
		message(t, dhcpv4.MessageTypeDecline, 1), solicit(t), through(t, through(t, solicit(t), 0, "2001:db8::1"), 1, "2001:db8::2"),
	}
	w, taken := newWorker(o.Engine, o.queues[0]), make([]*packet, 0, 1)
	for range *hostile {
		via := o.four
		if random.IntN(3) == 0 {
			via = o.six
		}
		f := relayed()
		if random.IntN(4) == 0 {
			f.Local, f.Peer = everyone, netip.AddrPort{}
		}
		o.accept(mutate(random, seeds), via, f)
		for o.queues[0].size > 0 {
			taken = o.queues[0].take(taken)
			if err := w.serve(taken[0]); err != nil {
				o.drops.failed(err)
			}
		}
	}
	before := testutil.ToFloat64(o.drops.hot[dropMalformed])
	o.accept([]byte("no DHCP"), o.four, relayed())
	if testutil.ToFloat64(o.drops.hot[dropMalformed]) != before+1 {
		t.Error("junk is not counted any more")
	}
	for _, panicked := range o.hook.AllEntries() {
		if panicked.Data["reason"] == string(dropPanic) {
			t.Errorf("a panic: %v %v", panicked.Data["because"], panicked.Data["stack"])
		}
	}
	w.outbox.flush()
	sent := o.sent.count
	if err := w.serve(&packet{data: pxeDiscover(t), via: o.four, facts: *relayed()}); err != nil {
		t.Fatal(err)
	}
	w.outbox.flush()
	if o.sent.count != sent+1 {
		t.Error("a good request is not answered any more")
	}
}

// mutate is noise, or a seed with some bytes changed, cut, or repeated.
func mutate(random *rand.Rand, seeds [][]byte) []byte {
	if random.IntN(10) == 0 {
		noise := make([]byte, random.IntN(1600))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		return noise
	}
	b := append([]byte(nil), seeds[random.IntN(len(seeds))]...)
	for range random.IntN(8) {
		switch at := random.IntN(len(b)); random.IntN(4) {
		case 0:
			b[at] = byte(random.Uint32())
		case 1:
			b[at] ^= 1 << random.IntN(8)
		case 2:
			b = b[:max(1, at)]
		case 3:
			b = append(b, b[at:]...)[:min(len(b)+len(b)-at, longest)]
		}
	}
	return b
}

func FuzzServe4(f *testing.F) {
	o := bootOffice(f, 3)
	o.sent.keep = false
	f.Add(pxeDiscover(f))
	f.Add(message(f, dhcpv4.MessageTypeRequest, 1))
	f.Add(message(f, dhcpv4.MessageTypeInform, 1))
	f.Fuzz(func(t *testing.T, data []byte) { serveFuzzed(t, o, o.four, data) })
}

func FuzzServe6(f *testing.F) {
	o := bootOffice(f, 3)
	o.sent.keep = false
	f.Add(solicit(f))
	f.Add(through(f, through(f, solicit(f), 0, "2001:db8::1"), 1, "2001:db8::2"))
	f.Fuzz(func(t *testing.T, data []byte) { serveFuzzed(t, o, o.six, data) })
}

// serveFuzzed has a datagram served: no plugin panics, and a reply is one that a client takes.
func serveFuzzed(t *testing.T, o *office, via *conn, data []byte) {
	if len(data) > longest {
		return
	}
	o.accept(data, via, relayed())
	if o.queues[0].size == 0 {
		return
	}
	w := newWorker(o.Engine, o.queues[0])
	packets := o.queues[0].take(make([]*packet, 0, 1))
	w.reply = w.reply[:0]
	err := w.serve(packets[0])
	var panicked *panicError
	if errors.As(err, &panicked) {
		t.Fatalf("%v\n%s", err, panicked.stack)
	}
	if err == nil && !via.six && len(w.reply) > 0 {
		if resp := parse(t, w.reply); len(w.reply) < minSize4 || len(w.reply) > maxSize4 || resp.OpCode != dhcpv4.OpcodeBootReply {
			t.Errorf("%d bytes: %s", len(w.reply), resp.Summary())
		}
	}
}

func FuzzDatagram(f *testing.F) {
	f.Add(appendDatagram(nil, asked, relay, []byte("payload")))
	f.Fuzz(func(t *testing.T, data []byte) {
		from, to, payload, ok := datagram(data)
		if ok && (!from.IsValid() || !to.IsValid() || len(payload) > len(data)-ipHeader-udpHeader) {
			t.Errorf("%v %v %d bytes of %d", from, to, len(payload), len(data))
		}
	})
}
