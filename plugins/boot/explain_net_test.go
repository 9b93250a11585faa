package boot_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// A wireNet is a server and a client on one cable.
type wireNet struct {
	server, client *nettest.Space
	frames         chan []byte // UDP payloads that the client's interface saw from a server
	v4             net.Conn
	v6             *net.UDPConn
}

// newNet makes the network. The client has every address that a vector is answered at.
func newNet(t *testing.T) *wireNet {
	t.Helper()
	n := nettest.New(t)
	w := &wireNet{frames: make(chan []byte, 64)}
	var err error
	w.server, err = n.Space("server")
	must(t, err)
	w.client, err = n.Space("client")
	must(t, err)
	for _, s := range []*nettest.Space{w.server, w.client} {
		must(t, s.Sysctl("net/ipv6/conf/default/accept_dad", "0")) // link-local addresses are usable at once
	}
	must(t, w.server.Veth("srv0", w.client, "eth0"))
	must(t, w.server.Address("srv0", netip.MustParsePrefix("10.0.0.1/24")))
	for _, a := range []string{"10.0.0.100/24", "10.0.0.150/24", "10.9.0.1/24"} {
		must(t, w.client.Address("eth0", netip.MustParsePrefix(a)))
	}
	must(t, w.server.IP("route", "add", "10.9.0.0/24", "dev", "srv0"))
	must(t, w.client.Do(func() error { return w.open(t) }))
	return w
}

func (w *wireNet) open(t *testing.T) error {
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}); err != nil {
		return err
	}
	seen := os.NewFile(uintptr(fd), "eth0")
	done := make(chan struct{})
	go func() { // ends when the socket is closed
		defer close(done)
		w.listen(seen)
	}()
	t.Cleanup(func() { seen.Close(); <-done })
	if w.v6, err = net.ListenUDP("udp6", &net.UDPAddr{Port: 546}); err != nil {
		return err
	}
	t.Cleanup(func() { w.v6.Close() })
	raw, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(raw, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		return err
	}
	w.v4 = fileConn{os.NewFile(uintptr(raw), "eth0")}
	t.Cleanup(func() { w.v4.Close() })
	return nil
}

// fileConn is a packet socket to write frames to.
type fileConn struct{ *os.File }

func (fileConn) LocalAddr() net.Addr  { return nil }
func (fileConn) RemoteAddr() net.Addr { return nil }

func (w *wireNet) listen(socket io.Reader) {
	buf := make([]byte, 65536)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return
		}
		p := gopacket.NewPacket(buf[:n], layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true})
		if udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && (udp.SrcPort == 67 || udp.SrcPort == 547 || udp.SrcPort == 4011) && fromServer(udp.Payload) {
			w.frames <- bytes.Clone(udp.Payload)
		}
	}
}

// fromServer tells a reply from what the client itself sent.
func fromServer(b []byte) bool {
	if len(b) > 240 && bytes.Equal(b[236:240], []byte{99, 130, 83, 99}) {
		return b[0] == 2
	}
	return len(b) > 0 && (b[0] == 2 || b[0] == 7 || b[0] == 13)
}

// serves runs the daemon on the server's side until it is ready.
func (w *wireNet) serves(t *testing.T, program, dir string) {
	t.Helper()
	cmd := w.server.Command(program, "-c", filepath.Join(dir, "config.yml"))
	stderr, err := cmd.StderrPipe()
	must(t, err)
	ready := make(chan string, 1)
	process, err := w.server.Start(cmd)
	must(t, err)
	go func() { // ends with the daemon
		var log strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "msg=ready") {
				ready <- ""
			}
		}
		ready <- log.String()
	}()
	select {
	case log := <-ready:
		if log != "" {
			t.Fatalf("the daemon ended at once:\n%s", log)
		}
	case <-process.Done():
		t.Fatal("the daemon ended at once")
	case <-time.After(30 * time.Second):
		t.Fatal("the daemon is not ready after 30 s")
	}
}

// sentinel is a request that is always answered, so that silence to another can be told.
func sentinel() asking {
	b := biosROM.bytes()
	copy(b[4:8], "done")
	return asking{name: "sentinel", request: b}
}

// answer sends a request, and returns what comes back. Where nothing should, it asks something else, and waits for that.
func (w *wireNet) answer(t *testing.T, a asking, expected bool) []byte {
	t.Helper()
	w.send(t, a)
	if !expected {
		w.send(t, sentinel())
	}
	for {
		select {
		case b := <-w.frames:
			switch done := bytes.Equal(b[4:8], []byte("done")); {
			case done && !expected:
				return nil
			case !done:
				return b
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing came back in 30 s")
		}
	}
}

func (w *wireNet) send(t *testing.T, a asking) {
	t.Helper()
	if !a.v6 {
		_, err := w.v4.Write(frame(t, a))
		must(t, err)
		return
	}
	_, err := w.v6.WriteToUDP(a.request, &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547, Zone: "eth0"})
	must(t, err)
}
