package server

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/server/request"
)

// serves4 has a datagram served, and returns the reply; nil: there is none.
func (w *worker) serves4(data []byte, via *conn) []byte {
	w.reply = w.reply[:0]
	if err := w.serve(&packet{data: data, via: via, facts: *relayed()}); err != nil {
		return nil
	}
	return bytes.Clone(w.reply)
}

func TestMemoryThatIsUsedAgainChangesNoReply(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	o := bootOffice(t, 10)
	o.sent.keep = false
	used, again := newWorker(o.Engine, o.queues[0]), 0
	seeds := [][]byte{
		pxeDiscover(t), repeatedOptions(t), message(t, dhcpv4.MessageTypeRequest, 1), message(t, dhcpv4.MessageTypeInform, 1),
	}
	for range 20_000 {
		data := mutate(random, seeds)
		if used.memory != nil {
			again++
		}
		got, want := used.serves4(data, o.four), newWorker(o.Engine, o.queues[0]).serves4(data, o.four)
		if !bytes.Equal(got, want) {
			t.Fatalf("% x\nin used memory\n% x\nin new\n% x", data, got, want)
		}
	}
	if again < 5_000 {
		t.Errorf("memory was used again %d times", again)
	}
}

// A plugin may keep what it was given: one that nobody knows, one that holds the reply, one that panics.
func TestWhatAPluginKeepsIsNotUsedAgain(t *testing.T) {
	for _, c := range []struct {
		plugin string // one that keeps nothing by its name
		then   func(*dhcpv4.DHCPv4)
		again  bool
	}{
		{plugin: "unheard-of"},
		{plugin: "boot", then: func(req *dhcpv4.DHCPv4) {
			_ = request.Of(req).Hold(func(done func(error)) { done(nil) })
		}},
		{plugin: "boot", then: func(*dhcpv4.DHCPv4) { panic("with it in hand") }},
		{plugin: "boot", again: true},
	} {
		var kept []*dhcpv4.DHCPv4
		var looked [][]byte
		keeper := plugin(c.plugin, func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
			resp.Options[200] = req.ClientHWAddr
			kept = append(kept, req, resp)
			looked = append(looked, req.ToBytes(), resp.ToBytes())
			if c.then != nil {
				c.then(req)
			}
			return resp, false
		})
		o := open(t, Options{Workers: 1}, nil, keeper)
		w := newWorker(o.Engine, o.queues[0])
		for i := range 5 {
			w.serves4(message(t, dhcpv4.MessageTypeDiscover, i), o.four)
		}
		changed := 0
		for i := range kept {
			if !bytes.Equal(kept[i].ToBytes(), looked[i]) {
				changed++
			}
		}
		if len(kept) != 10 || changed > 0 != c.again {
			t.Errorf("%+v: %d of %d messages have changed", c, changed, len(kept))
		}
	}
}
