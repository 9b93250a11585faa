package main_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// cable is a server with two addresses and a machine, joined by a cable of some MTU, in namespaces of their own.
type cable struct {
	t               *testing.T
	server, machine *nettest.Space
}

func newCable(t *testing.T, mtu int) *cable {
	t.Helper()
	network := nettest.New(t)
	c := &cable{t: t}
	var err error
	c.server, err = network.Space("server")
	must(t, err)
	c.machine, err = network.Space("machine")
	must(t, err)
	for _, s := range []*nettest.Space{c.server, c.machine} { // addresses are good at once
		must(t, s.Sysctl("net/ipv6/conf/default/accept_dad", "0"))
		must(t, s.Sysctl("net/ipv6/conf/all/accept_dad", "0"))
	}
	must(t, c.server.Veth("eth0", c.machine, "eth0"))
	for _, s := range []*nettest.Space{c.server, c.machine} {
		must(t, s.IP("link", "set", "eth0", "mtu", fmt.Sprint(mtu)))
	}
	for _, a := range []string{"192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64"} {
		must(t, c.server.Address("eth0", netip.MustParsePrefix(a)))
	}
	for _, a := range []string{"192.0.2.100/24", "2001:db8::100/64"} {
		must(t, c.machine.Address("eth0", netip.MustParsePrefix(a)))
	}
	must(t, c.server.IP("addr", "add", "fe80::1/64", "dev", "eth0"))
	must(t, c.machine.IP("addr", "add", "fe80::100/64", "dev", "eth0"))
	return c
}

// serves starts the program and waits until it is ready.
func (c *cable) serves(args ...string) {
	c.t.Helper()
	cmd := c.server.Command(program, args...)
	out, err := cmd.StderrPipe()
	must(c.t, err)
	p, err := c.server.Start(cmd)
	must(c.t, err)
	c.t.Cleanup(func() { must(c.t, p.Stop()) })
	ready := make(chan bool)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "msg=ready") {
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case <-p.Done():
		c.t.Fatal(p.Err())
	}
}

// asks sends a read request, once, and returns the answer and who gave it. The network may still be coming up, so a file
// that does not exist is asked for first, until it is refused: that leaves no transfer behind, as a request that is
// repeated may, for which the server's stop would wait.
func (c *cable) asks(server, blksize string) (answer, from string) {
	c.t.Helper()
	must(c.t, c.machine.Do(func() error {
		to, err := net.ResolveUDPAddr("udp", server)
		if err != nil {
			return err
		}
		for tries := 1; ; tries++ {
			if _, _, err = exchange(to, "\x00\x01none\x00octet\x00", time.Second); err == nil {
				break
			} else if tries == 20 {
				return fmt.Errorf("%s says nothing: %w", server, err)
			}
		}
		answer, from, err = exchange(to, "\x00\x01ipxe.efi\x00octet\x00blksize\x00"+blksize+"\x00", 20*time.Second)
		return err
	}))
	return answer, from
}

// exchange sends a request from a port of its own, waits for the answer, and aborts what it began.
func exchange(to *net.UDPAddr, request string, patience time.Duration) (answer, from string, err error) {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if _, err := conn.WriteToUDP([]byte(request), to); err != nil {
		return "", "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", "", err
	}
	b := make([]byte, 10_000)
	n, a, err := conn.ReadFromUDP(b)
	if err != nil {
		return "", "", err
	}
	_, _ = conn.WriteToUDP([]byte("\x00\x05\x00\x00\x00"), a)
	return string(b[:n]), a.IP.String(), nil
}

func TestBlocksFitThePathAndAnswersComeFromTheAddressAsked(t *testing.T) {
	dir, _ := bootDir(t)
	for _, single := range []string{"--single-port=false", "--single-port"} {
		for mtu, blocks := range map[int][2]string{1400: {"1368", "1348"}, 1500: {"1468", "1448"}, 9000: {"8968", "8948"}} {
			t.Run(fmt.Sprintf("MTU %d %s", mtu, single), func(t *testing.T) {
				c := newCable(t, mtu)
				c.serves("--root", dir, single)
				for server, block := range map[string]string{
					"192.0.2.1": blocks[0], "192.0.2.9": blocks[0], "2001:db8::1": blocks[1], "fe80::1%eth0": blocks[1],
				} {
					answer, from := c.asks(net.JoinHostPort(server, "69"), "65464")
					if want := "\x00\x06blksize\x00" + block + "\x00"; answer != want {
						t.Errorf("%s answers %q, want %q", server, answer, want)
					}
					if want, _, _ := strings.Cut(server, "%"); from != want {
						t.Errorf("%s is asked, %s answers", want, from)
					}
				}
			})
		}
	}
}

func TestWindowsPassEveryKindOfInterface(t *testing.T) {
	dir, content := bootDir(t)
	c := newCable(t, 1500) // without checksum offload, which UDP_SEGMENT wants on some kernels
	c.serves("--root", dir)
	out, err := c.machine.Command("atftp", "--get", "--remote-file", "ipxe.efi", "--local-file", "/dev/stdout", "--option", "blksize 1468",
		"--option", "windowsize 16", "192.0.2.1").Output()
	if err != nil || string(out) != string(content) {
		t.Errorf("atftp gets %d bytes, %v", len(out), err)
	}
}
