package server

import (
	"bytes"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestADatagramKeepsItsBytesUntilItIsServed(t *testing.T) {
	o := open(t, Options{Workers: 1}, nil, pass())
	msg := message(t, dhcpv4.MessageTypeDiscover, 1)
	o.accept(msg, o.four, relayed())
	clear(msg) // the next call of the kernel
	o.work()
	if len(o.sent.letters) != 1 || !bytes.Equal(parse(t, o.sent.letters[0].payload).ClientHWAddr, []byte{0x52, 0x54, 0, 0, 0, 1}) {
		t.Errorf("sent %v", o.sent.letters)
	}
}

// door is another way out of the same office.
type door struct{ *mailbag }

func TestRepliesOfAClientStayInOrderWhicheverSocketTheyLeaveBy(t *testing.T) {
	o := open(t, Options{Workers: 1, Queue: 1000, Rate: &Rate{}}, nil, pass())
	doors := []*conn{o.four, {sends: &door{o.sent}, local: asked}, {sends: &door{o.sent}, local: asked}}
	for n := range 200 {
		for m := range 3 {
			msg := message(t, dhcpv4.MessageTypeDiscover, m)
			msg[7] = byte(n)
			o.accept(msg, doors[(n+m*n/7)%len(doors)], relayed())
		}
	}
	o.work()
	next := map[string]byte{}
	for _, l := range o.sent.letters {
		resp := parse(t, l.payload)
		m, n := resp.ClientHWAddr.String(), resp.TransactionID[3]
		if n != next[m] {
			t.Fatalf("%s hears %d, want %d", m, n, next[m])
		}
		next[m]++
	}
	if len(o.sent.letters) != 600 {
		t.Errorf("%d replies", len(o.sent.letters))
	}
}
