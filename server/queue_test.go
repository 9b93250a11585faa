package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func waiting(client uint64, c class) *packet {
	return &packet{glance: glance{client, c}}
}

func TestAFullQueueShedsTheOldestOfTheLeastDear(t *testing.T) {
	q := newQueue(4, Rate{})
	offered := []*packet{
		waiting(1, dearest), waiting(2, first), waiting(3, middle), waiting(4, first), // full
		waiting(5, first), waiting(6, dearest), waiting(7, dearest), waiting(8, dearest), waiting(9, dearest), waiting(10, first),
	}
	var shed []uint64
	for _, p := range offered {
		if gone, why := q.push(p); gone != nil {
			if why != dropShed {
				t.Errorf("shed for %s", why)
			}
			shed = append(shed, gone.client)
		}
	}
	// Discoveries by age; then the one in the middle; then the oldest request; a discovery into a queue of requests goes
	// at once.
	if got := fmt.Sprint(shed); got != "[2 4 5 3 1 10]" {
		t.Errorf("shed %s", got)
	}
	got := q.take(make([]*packet, 0, 10))
	var order []uint64
	for _, p := range got {
		order = append(order, p.client)
	}
	if fmt.Sprint(order) != "[6 7 8 9]" {
		t.Errorf("served %v", order)
	}
}

func TestWhatWaitsIsServedInTheOrderOfItsArrivalWhateverItsClass(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	q := newQueue(1000, Rate{})
	next, taken := uint64(0), uint64(0)
	for range 500 {
		for range random.IntN(8) {
			if gone, _ := q.push(waiting(next, class(random.IntN(int(classes))))); gone != nil {
				t.Fatal("shed")
			}
			next++
		}
		if taken == next {
			continue
		}
		got := q.take(make([]*packet, 0, 1+random.IntN(9)))
		for _, p := range got {
			if p.client != taken {
				t.Fatalf("%d is served before %d", p.client, taken)
			}
			taken++
		}
	}
}

func TestOneBrokenMachineIsLimitedAndOthersAreNot(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 10, Burst: 20})
	at := time.Unix(1000, 0)
	allowed := 0
	for i := range 1000 { // within one second
		if l.allow(7<<8, at.Add(time.Duration(i)*time.Millisecond)) {
			allowed++
		}
		if i%100 == 0 && !l.allow(8<<8, at.Add(time.Duration(i)*time.Millisecond)) {
			t.Error("a quiet machine was denied")
		}
	}
	if allowed < 29 || allowed > 31 { // 20 at once, and 10 in the second
		t.Errorf("%d of 1000 allowed", allowed)
	}
	if !l.allow(7<<8, at.Add(time.Minute)) {
		t.Error("denied after a minute's rest")
	}
}

func TestABrokenMachineFillsNoQueueThatOthersNeed(t *testing.T) {
	q := newQueue(64, Rate{PerSecond: 10, Burst: 10})
	limited := 0
	for range 1000 {
		if gone, why := q.push(waiting(7<<8, dearest)); gone != nil {
			if why != dropRate {
				t.Fatal(why)
			}
			limited++
		}
	}
	if q.size > 64/4+1 || limited != 1000-q.size {
		t.Errorf("%d wait, %d were denied", q.size, limited)
	}
	for i := range uint64(40) {
		if gone, _ := q.push(waiting(i<<16, first)); gone != nil {
			t.Fatal("another machine was denied")
		}
	}
}

// slow is a plugin that serves nobody until it is let go.
func slow(let <-chan struct{}) *plugins.Plugin {
	return &plugins.Plugin{Name: "slow", Setup4: func(...string) (handler.Handler4, error) {
		return func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
			<-let
			return resp, false
		}, nil
	}}
}

func TestAFloodOfDiscoveriesCostsNoRequestAndNoMemory(t *testing.T) {
	let := make(chan struct{})
	o := open(t, Options{Workers: 2, Queue: 64, Rate: &Rate{}}, nil, slow(let))
	var workers sync.WaitGroup
	for _, q := range o.queues {
		workers.Add(1)
		go func() { defer workers.Done(); newWorker(o.Engine, q).run() }()
	}
	const requests = 20
	asked := 0
	for i := range 20_000 {
		kind := dhcpv4.MessageTypeDiscover
		if i%1000 == 500 {
			kind = dhcpv4.MessageTypeRequest
			asked++
		}
		o.accept(message(t, kind, i), o.four, relayed())
		o.wake()
	}
	if asked != requests {
		t.Fatal(asked)
	}
	close(let)
	for _, q := range o.queues {
		q.close()
	}
	workers.Wait()
	acks, offers := 0, 0
	for _, l := range o.sent.letters {
		switch resp := parse(t, l.payload); resp.MessageType() {
		case dhcpv4.MessageTypeAck:
			acks++
		case dhcpv4.MessageTypeOffer:
			offers++
		}
	}
	if acks != requests {
		t.Errorf("%d of %d requests answered", acks, requests)
	}
	// What was in the two queues, and in the hands of the two workers.
	if most := 2*64 + 2*batchSize; offers == 0 || offers > most {
		t.Errorf("%d offers, at most %d can have waited", offers, most)
	}
	if shed := int(testutil.ToFloat64(o.drops.hot[dropShed])); shed+acks+offers != 20_000 {
		t.Errorf("%d shed, %d acks and %d offers of 20,000", shed, acks, offers)
	}
}

func TestRepliesOfOneClientStayInOrder(t *testing.T) {
	o := open(t, Options{Workers: 4, Queue: 10_000, Rate: &Rate{}}, nil, pass())
	const machines, rounds = 50, 100
	for round := range rounds {
		for m := range machines {
			msg := message(t, dhcpv4.MessageTypeDiscover, m)
			msg[6], msg[7] = byte(round>>8), byte(round) // of the transaction id
			o.accept(msg, o.four, relayed())
		}
	}
	o.work()
	seen := map[string][]byte{}
	for _, l := range o.sent.letters {
		resp := parse(t, l.payload)
		mac, round := resp.ClientHWAddr.String(), resp.TransactionID[2:]
		if last := seen[mac]; last != nil && bytes.Compare(last, round) >= 0 {
			t.Fatalf("%s: %x after %x", mac, round, last)
		}
		seen[mac] = round
	}
	if len(seen) != machines || o.sent.count != machines*rounds {
		t.Errorf("%d machines got %d replies", len(seen), o.sent.count)
	}
}

// pass is a plugin that changes nothing.
func pass() *plugins.Plugin {
	return plugin("pass", func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) { return resp, false })
}

func plugin(name string, h handler.Handler4) *plugins.Plugin {
	return &plugins.Plugin{Name: name, Setup4: func(...string) (handler.Handler4, error) { return h, nil }}
}

// message is what the i-th machine says through a relay.
func message(t testing.TB, kind dhcpv4.MessageType, i int) []byte {
	t.Helper()
	req := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, ClientHWAddr: []byte{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)},
		GatewayIPAddr: []byte{10, 9, 0, 1}, Options: dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind)),
	}
	return req.ToBytes()
}

func parse(t testing.TB, payload []byte) *dhcpv4.DHCPv4 {
	t.Helper()
	resp, err := dhcpv4.FromBytes(payload)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
