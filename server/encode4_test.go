package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// asking is a request with a parameter request list and, if it is not 0, a maximum message size.
func asking(size uint16, list ...byte) *dhcpv4.DHCPv4 {
	req := &dhcpv4.DHCPv4{OpCode: 1, HWType: 1, ClientHWAddr: make([]byte, 6, 16), Options: dhcpv4.Options{55: list}}
	if size > 0 {
		req.Options[57] = []byte{byte(size >> 8), byte(size)}
	}
	return req
}

func TestSizeOfAReply(t *testing.T) {
	for _, c := range []struct {
		said uint16
		want int
	}{{0, 548}, {1, 548}, {575, 548}, {576, 548}, {1260, 1232}, {1472, 1444}, {1500, 1472}, {0xff00, 1472}} {
		if got := limit4(asking(c.said), ordinary, 300); got != c.want {
			t.Errorf("option 57 = %d: %d bytes, want %d", c.said, got, c.want)
		}
	}
	for size, want := range map[int]int{240: 300, 300: 300, 400: 400, 2000: 548} {
		if got := limit4(asking(0), BOOTP, size); got != want {
			t.Errorf("BOOTP request of %d bytes: %d, want %d", size, got, want)
		}
	}
}

func TestAReplyIsWrittenAsTheLibraryWritesIt(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var e encoder4
	for range 2000 {
		resp := &dhcpv4.DHCPv4{
			OpCode: 2, HWType: 1, TransactionID: [4]byte{1, 2, 3, 4}, Flags: 0x8000, ClientHWAddr: []byte{1, 2, 3, 4, 5, 6},
			YourIPAddr: []byte{10, 0, 0, 9}, ServerHostName: "boot", BootFileName: "ipxe.efi", Options: dhcpv4.Options{},
		}
		for range random.IntN(20) {
			resp.Options[uint8(random.IntN(256))] = bytes.Repeat([]byte{7}, random.IntN(40)*random.IntN(9))
		}
		got, dropped, ok := e.append(nil, asking(0), resp, 1<<16)
		if want := resp.ToBytes(); !ok || len(dropped) > 0 || !bytes.Equal(got, want) {
			t.Fatalf("%v:\n% x\n% x", resp.Options, got, want)
		}
	}
}

func TestWhatDoesNotFitIsLeftOutInAFixedOrder(t *testing.T) {
	resp := &dhcpv4.DHCPv4{Options: dhcpv4.Options{
		1: make([]byte, 4), 53: {2}, 54: make([]byte, 4), 51: make([]byte, 4), 82: make([]byte, 20), 61: make([]byte, 7),
		67: make([]byte, 60), 60: make([]byte, 9), // boot
		15: make([]byte, 50), 12: make([]byte, 50), // asked for, 12 rather than 15
		119: make([]byte, 50), 242: make([]byte, 50), // not asked for
	}}
	req := asking(0, 1, 12, 15, 67)
	var e encoder4
	for _, c := range []struct {
		limit int
		left  string
	}{{600, "[]"}, {548, "[242]"}, {500, "[242 119]"}, {450, "[242 119 15]"}, {390, "[242 119 15 12]"}, {340, "[242 119 15 12 67]"}, {303, "[242 119 15 12 67 60]"}} {
		got, left, ok := e.append(nil, req, resp, c.limit)
		if !ok || len(got) > max(c.limit, minSize4) || fmt.Sprintf("%d", left) != c.left {
			t.Errorf("limit %d: %d bytes, left out %v, want %s", c.limit, len(got), left, c.left)
		}
		if back := parse(t, got); len(back.Options[82]) != 20 || got[bytes.LastIndex(got, []byte{255})-22] != 82 {
			t.Errorf("limit %d: option 82 is not the last one", c.limit)
		}
	}
	resp.Options[82] = make([]byte, 600)
	if _, _, ok := e.append(nil, req, resp, 548); ok {
		t.Error("what is needed was left out")
	}
}

func TestTheWholeHardwareAddressComesBack(t *testing.T) {
	request := message(t, dhcpv4.MessageTypeDiscover, 1)
	copy(request[28:44], "0123456789abcdef") // of which 6 bytes count
	req := parse(t, request)
	resp, _, err := new(exchange4).reply(req)
	if err != nil {
		t.Fatal(err)
	}
	var e encoder4
	got, _, _ := e.append(nil, req, resp, plainSize4)
	if string(got[28:44]) != "0123456789abcdef" || len(got) != minSize4 {
		t.Errorf("%q in %d bytes", got[28:44], len(got))
	}
}

func TestAReplyBeforeThePluginsIsWhatCoreDHCPMakes(t *testing.T) {
	req := parse(t, message(t, dhcpv4.MessageTypeDiscover, 1))
	req.Options[61], req.Options[82], req.Options[97] = []byte{1, 2}, []byte{1, 1, 1}, []byte{0}
	want, err := dhcpv4.NewReplyFromRequest(req)
	if err != nil {
		t.Fatal(err)
	}
	want.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
	got, kind, err := new(exchange4).reply(req)
	if err != nil || kind != ordinary || !bytes.Equal(got.ToBytes(), want.ToBytes()) {
		t.Errorf("%v %v\n% x\n% x", kind, err, got.ToBytes(), want.ToBytes())
	}
}
