package server

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// decodesAlike compares with the library: values, which of them are nil, and the error's text.
func decodesAlike(t *testing.T, data []byte) {
	t.Helper()
	before := bytes.Clone(data)
	want, wantErr := dhcpv4.FromBytes(data)
	got, err := new(exchange4).decode(data)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() || !reflect.DeepEqual(got, want) {
		t.Fatalf("% x\n%v %v\nwant\n%v %v", data, got, err, want, wantErr)
	}
	if err != nil {
		return
	}
	used := usedExchange(t)
	if again, err := used.decode(data); err != nil || !reflect.DeepEqual(again, want) {
		t.Fatalf("% x\nin used memory %v %v\nwant\n%v", data, again, err, want)
	}
	if netboot.Type4(got) != want.MessageType() {
		t.Fatalf("type %v, want %v", netboot.Type4(got), want.MessageType())
	}
	if cap(got.ClientHWAddr) != 16 || !bytes.Equal(got.ClientHWAddr[:16], want.ClientHWAddr[:16]) {
		t.Fatalf("% x behind the hardware address", got.ClientHWAddr[:cap(got.ClientHWAddr)])
	}
	// What a plugin appends to, or changes in, one value is seen in no other, and not in the datagram.
	for code := range got.Options {
		got.Options[code] = append(got.Options[code], 0xee)
		want.Options[code] = append(want.Options[code], 0xee)
		for i := range got.Options[code] {
			got.Options[code][i]++
			want.Options[code][i]++
		}
	}
	got.ClientIPAddr, want.ClientIPAddr = append(got.ClientIPAddr, 1), append(want.ClientIPAddr, 1)
	if !reflect.DeepEqual(got, want) || !bytes.Equal(data, before) {
		t.Fatalf("% x: values share memory", data)
	}
}

// usedExchange has been that of another machine's request and its reply.
func usedExchange(t *testing.T) *exchange4 {
	t.Helper()
	x := new(exchange4)
	req, err := x.decode(pxeDiscover(t))
	if err != nil {
		t.Fatal(err)
	}
	resp, _, err := x.reply(req)
	if err != nil {
		t.Fatal(err)
	}
	req.Options[200], resp.Options[201], req.ServerHostName = []byte("left"), []byte("over"), "another"
	resp.BootFileName = "ipxe.efi"
	return x
}

func TestMessagesAreReadAsTheLibraryReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	seeds := [][]byte{pxeDiscover(t), message(t, dhcpv4.MessageTypeRequest, 1), repeatedOptions(t)}
	for _, seed := range seeds {
		for n := range len(seed) + 1 {
			decodesAlike(t, seed[:n])
		}
	}
	for range 50_000 {
		decodesAlike(t, mutate(random, seeds))
	}
}

// repeatedOptions has pieces of options (RFC 3396), empty ones among them, padding, and junk behind the end.
func repeatedOptions(tb testing.TB) []byte {
	tb.Helper()
	b := message(tb, dhcpv4.MessageTypeDiscover, 1)[:header4]
	copy(b[44:], "a name")
	copy(b[108:], bytes.Repeat([]byte("f"), 128))
	return append(b, 53, 1, 1, 0, 0, 77, 0, 77, 2, 'i', 'P', 12, 0, 77, 2, 'X', 'E', 52, 1, 3, 77, 0, 82, 3, 1, 1, 7, 255, 1, 2, 3)
}

func FuzzDecode4(f *testing.F) {
	f.Add(pxeDiscover(f))
	f.Add(repeatedOptions(f))
	f.Add(message(f, dhcpv4.MessageTypeDiscover, 1)[:header4])
	f.Fuzz(decodesAlike)
}
