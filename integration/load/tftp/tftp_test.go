package tftp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pin "github.com/pin/tftp/v3"

	"github.com/coredhcp-netboot/suite/integration/load/relay"
	"github.com/coredhcp-netboot/suite/integration/load/tftp"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

var (
	serverIP = [4]byte{192, 0, 2, 1}
	clientIP = [4]byte{198, 18, 0, 1}
)

// wire is a server's namespace and one that has every address of the clients.
func wire(t *testing.T) (server, clients *nettest.Space) {
	t.Helper()
	n := nettest.New(t)
	server, err := n.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	if clients, err = n.Space("clients"); err != nil {
		t.Fatal(err)
	}
	if err := server.Veth("srv0", clients, "eth0"); err != nil {
		t.Fatal(err)
	}
	address(t, server, clients)
	return server, clients
}

func address(t *testing.T, server, clients *nettest.Space) {
	t.Helper()
	for _, err := range []error{
		server.Address("srv0", netip.MustParsePrefix("192.0.2.1/24")),
		clients.Address("eth0", netip.MustParsePrefix("192.0.2.2/24")),
		clients.IP("route", "add", "local", "198.18.0.0/16", "dev", "lo"),
		server.IP("route", "add", "198.18.0.0/16", "via", "192.0.2.2"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func file(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func plan(want []byte) tftp.Plan {
	return tftp.Plan{Request: tftp.Request{From: clientIP, Server: serverIP, Name: "ipxe.efi", Want: want,
		Resend: 300 * time.Millisecond, Deadline: 20 * time.Second}, Clients: 1, Each: 1, CPU: -1}
}

func run(t *testing.T, clients *nettest.Space, p tftp.Plan) (r *tftp.Result) {
	t.Helper()
	err := clients.Do(func() (err error) {
		r, err = p.Run(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// library serves a file with pin/tftp, the referee that knows no windows.
func library(t *testing.T, server *nettest.Space, content []byte) {
	t.Helper()
	var conn *net.UDPConn
	if err := server.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: serverIP[:], Port: 69})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s := pin.NewServer(func(_ string, to io.ReaderFrom) error {
		_, err := to.ReadFrom(bytes.NewReader(content))
		return err
	}, nil)
	s.EnableSinglePort() // else it opens a socket for each transfer, in the namespace of whichever thread
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(conn) // ends by Shutdown
	}()
	t.Cleanup(func() { s.Shutdown(); <-done })
}

func TestEveryClientOfAFleetGetsTheWholeFile(t *testing.T) {
	server, clients := wire(t)
	want := file(100_000)
	conn := window(t, server, want, nil)
	defer conn.Close()
	p := plan(want)
	p.Clients, p.Each, p.Options = 20, 5, tftp.EDK2()
	r := run(t, clients, p)
	if r.Done != 100 || r.Failed != 0 || r.Bytes != 100*len(want) || r.Took.Count() != 100 {
		t.Errorf("%d done with %d bytes, %d failed: %v", r.Done, r.Bytes, r.Failed, r.Errors)
	}
	if r.Granted.Windowsize != 4 || r.Granted.Blksize != 1468 {
		t.Errorf("granted %+v", r.Granted)
	}
}

// packet is one of a server's, from the transfer that it belongs to.
type packet struct {
	number int // from 1, of those that this transfer would send
	bytes  []byte
}

// window is a server with windows, made to be bent: lie returns what leaves in place of a packet.
func window(t *testing.T, server *nettest.Space, content []byte, lie func(packet) []byte) net.PacketConn {
	t.Helper()
	var conn net.PacketConn
	if err := server.Do(func() (err error) { conn, err = net.ListenPacket("udp4", "192.0.2.1:69"); return err }); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with conn
		b := make([]byte, 600)
		for {
			n, client, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var transfer net.PacketConn
			if err := server.Do(func() (err error) { transfer, err = net.ListenPacket("udp4", "192.0.2.1:0"); return err }); err != nil {
				return
			}
			go send(transfer, client, string(b[:n]), content, lie)
		}
	}()
	return conn
}

// send is a transfer of it. It has no timer: what is lost comes again when the client asks.
func send(conn net.PacketConn, client net.Addr, rrq string, content []byte, lie func(packet) []byte) {
	defer conn.Close()
	n := 0
	out := func(b []byte) {
		if n++; lie != nil {
			b = lie(packet{n, b})
		}
		if b != nil {
			_, _ = conn.WriteTo(b, client)
		}
	}
	options := strings.Split(rrq[2:], "\x00")
	oack := "\x00\x06"
	blksize, windowsize := 512, 1
	for i := 2; i+1 < len(options); i += 2 {
		switch options[i] {
		case "blksize":
			blksize = 1468
			oack += "blksize\x001468\x00"
		case "windowsize":
			windowsize = 4
			oack += "windowsize\x004\x00"
		case "tsize":
			oack += "tsize\x00100000\x00"
		}
	}
	out([]byte(oack))
	ack := make([]byte, 100)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return
		}
		size, _, err := conn.ReadFrom(ack)
		if err != nil || size != 4 || ack[1] != 4 {
			return
		}
		from := int(binary.BigEndian.Uint16(ack[2:]))
		for block := from; block < from+windowsize && block*blksize <= len(content); block++ {
			data := content[block*blksize : min(len(content), (block+1)*blksize)]
			out(append([]byte{0, 3, byte((block + 1) >> 8), byte(block + 1)}, data...))
		}
	}
}

func TestAClientInLockStepWorksWithAForeignServer(t *testing.T) {
	server, clients := wire(t)
	want := file(100_000)
	library(t, server, want)
	p := plan(want)
	p.Clients, p.Options = 10, tftp.Options{Blksize: 1468}
	if r := run(t, clients, p); r.Done != 10 || r.Granted.Windowsize != 0 {
		t.Errorf("%d done, %v; granted %+v", r.Done, r.Errors, r.Granted)
	}
}

func TestAnAbortedSizeQueryIsDone(t *testing.T) {
	server, clients := wire(t)
	want := file(100_000)
	defer window(t, server, want, nil).Close()
	p := plan(want)
	p.Probe, p.Options = true, tftp.EDK2()
	if r := run(t, clients, p); r.Done != 1 || r.Bytes != 0 || !r.Granted.TSize {
		t.Errorf("%d done, %d bytes, granted %+v: %v", r.Done, r.Bytes, r.Granted, r.Errors)
	}
}

func TestAMissingBlockIsToldOnceAndSentAgain(t *testing.T) {
	server, clients := wire(t)
	want := file(100_000)
	defer window(t, server, want, func(p packet) []byte {
		if p.number == 7 { // the second of a window of four
			return nil
		}
		return p.bytes
	}).Close()
	p := plan(want)
	p.Options = tftp.EDK2()
	if r := run(t, clients, p); r.Done != 1 || r.Gaps != 1 || r.ACKs != 0 {
		t.Errorf("%d done, %d gaps told of, %d ACKs sent again: %v", r.Done, r.Gaps, r.ACKs, r.Errors)
	}
}

func TestASilentServerIsAskedAgain(t *testing.T) {
	server, clients := wire(t)
	want := file(3_000)
	var transfers atomic.Int32 // each runs in a goroutine of its own
	defer window(t, server, want, func(p packet) []byte {
		if p.number == 1 {
			if transfers.Add(1) == 1 { // the first OACK is lost, and so is, in the second transfer, a block
				return nil
			}
		}
		if transfers.Load() == 2 && p.number == 2 {
			return nil
		}
		return p.bytes
	}).Close()
	p := plan(want)
	p.Options = tftp.Options{Blksize: 1468}
	if r := run(t, clients, p); r.Done != 1 || r.RRQs != 1 || r.ACKs != 1 {
		t.Errorf("%d done, %d RRQs and %d ACKs sent again: %v", r.Done, r.RRQs, r.ACKs, r.Errors)
	}
}

func TestEveryLieOfAServerEndsTheTransfer(t *testing.T) {
	data := func(p packet) bool { return p.bytes[1] == 3 }
	for name, c := range map[string]struct {
		want string
		lie  func(packet) []byte
	}{
		"another byte": {"content differs", func(p packet) []byte {
			if p.number == 5 {
				p.bytes[100] ^= 1
			}
			return p.bytes
		}},
		"an early end": {"file ended early", func(p packet) []byte {
			if data(p) && p.number == 9 {
				return p.bytes[:50]
			}
			return p.bytes
		}},
		"a longer block": {"content differs", func(p packet) []byte {
			if data(p) && p.number == 9 {
				return append(p.bytes, 0)
			}
			return p.bytes
		}},
		"a larger block size": {"blksize", func(p packet) []byte { return bytes.Replace(p.bytes, []byte("1468"), []byte("1469"), 1) }},
		"a larger window": {"windowsize", func(p packet) []byte {
			return bytes.Replace(p.bytes, []byte("windowsize\x004"), []byte("windowsize\x005"), 1)
		}},
		"another size": {"tsize", func(p packet) []byte { return bytes.Replace(p.bytes, []byte("100000"), []byte("100001"), 1) }},
		"an option that was not asked for": {"timeout", func(p packet) []byte {
			if p.number == 1 {
				return append(p.bytes, "timeout\x001\x00"...)
			}
			return p.bytes
		}},
		"half an option": {"half an option", func(p packet) []byte {
			if p.number == 1 {
				return append(p.bytes, "blksize\x00"...)
			}
			return p.bytes
		}},
		"an error":       {`server says 1 "no"`, func(packet) []byte { return []byte("\x00\x05\x00\x01no\x00") }},
		"a short packet": {"malformed", func(packet) []byte { return []byte{0, 3} }},
		"silence":        {"not finished in time", func(packet) []byte { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			server, clients := wire(t)
			want := file(100_000)
			defer window(t, server, want, c.lie).Close()
			p := plan(want)
			p.Options = tftp.Options{Blksize: 1468, Windowsize: 4, TSize: true}
			if name == "silence" {
				p.Deadline = 500 * time.Millisecond
			}
			r := run(t, clients, p)
			if r.Done != 0 || r.Failed != 1 {
				t.Fatalf("%d done, %d failed", r.Done, r.Failed)
			}
			if timed := r.Took.Count() == 1; timed != (name == "silence") {
				t.Errorf("the transfer's time was counted: %t", timed) // the deadline is, other failures have none
			}
			for text := range r.Errors {
				if !strings.Contains(text, c.want) {
					t.Errorf("failed with %q, want %q", text, c.want)
				}
			}
		})
	}
}

func TestASlowWireThatLosesPacketsDelaysAndDamagesNothing(t *testing.T) {
	n := nettest.New(t)
	var spaces [3]*nettest.Space
	for i, name := range []string{"server", "wire", "clients"} {
		var err error
		if spaces[i], err = n.Space(name); err != nil {
			t.Fatal(err)
		}
	}
	server, between, clients := spaces[0], spaces[1], spaces[2]
	if err := server.Veth("srv0", between, "left"); err != nil {
		t.Fatal(err)
	}
	if err := clients.Veth("eth0", between, "right"); err != nil {
		t.Fatal(err)
	}
	address(t, server, clients)
	w := &relay.Wire{Delay: 2 * time.Millisecond, Loss: .05, Seed: 1}
	if err := between.Do(func() error { return w.Open("left", "right") }); err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()

	rtt, err := relay.RoundTrip(clients.Do, server.Do, serverIP)
	if err != nil || rtt < 4*time.Millisecond {
		t.Errorf("a round trip takes %v, %v", rtt, err)
	}
	want := file(100_000)
	conn := window(t, server, want, nil)
	p := plan(want)
	p.Clients, p.Options, p.Resend = 10, tftp.EDK2(), 50*time.Millisecond
	r := run(t, clients, p)
	conn.Close()
	cut()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.Close()
	if r.Done != 10 {
		t.Errorf("%d done: %v", r.Done, r.Errors)
	}
	c := w.Counts()
	if c.Oversized > 0 || c.Overrun > 0 {
		t.Errorf("%+v", c)
	}
	if share := float64(c.Lost) / float64(c.Lost+c.Carried); share < .03 || share > .07 {
		t.Errorf("%d of %d frames were lost", c.Lost, c.Lost+c.Carried)
	}
	if r.Gaps+r.ACKs+r.RRQs == 0 {
		t.Error("nobody noticed a loss")
	}
}
