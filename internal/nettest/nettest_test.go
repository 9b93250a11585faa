package nettest_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

const names = "/run/netns"

// pair is a server and a client on one cable, the server with an address.
func pair(t *testing.T) (n *nettest.Net, server, client *nettest.Space) {
	t.Helper()
	n = nettest.New(t)
	server, err := n.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	client, err = n.Space("client")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Veth("srv0", client, "eth0"); err != nil {
		t.Fatal(err)
	}
	if err := server.Address("srv0", netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := client.Address("eth0", netip.MustParsePrefix("192.0.2.2/24")); err != nil {
		t.Fatal(err)
	}
	return n, server, client
}

func TestTwoSpacesTalkOverTheirCable(t *testing.T) {
	_, server, client := pair(t)

	var heard net.PacketConn
	err := server.Do(func() (err error) {
		heard, err = net.ListenPacket("udp4", "192.0.2.1:4011")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	err = client.Do(func() error {
		c, err := net.Dial("udp4", "192.0.2.1:4011")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.WriteString(c, "hello")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := heard.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	size, from, err := heard.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s from %s", buf[:size], from.(*net.UDPAddr).IP); got != "hello from 192.0.2.2" {
		t.Errorf("the server heard %q", got)
	}
}

func TestACallerComesBackFromASpaceUnmoved(t *testing.T) {
	_, server, _ := pair(t)
	before, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var inside string
	err = server.Do(func() (err error) {
		inside, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if inside == before || after != before {
		t.Errorf("outside %s, inside %s, outside again %s", before, inside, after)
	}
}

func TestClosingTheNetworkEndsItsProgramsAndRemovesItsSpaces(t *testing.T) {
	n, server, _ := pair(t)
	if _, err := os.Stat(filepath.Join(names, server.Name())); err != nil {
		t.Fatalf("an open namespace should have a name: %v", err)
	}
	p, err := server.Start(server.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("the program outlived its network")
	}
	if _, err := os.Stat(filepath.Join(names, server.Name())); !os.IsNotExist(err) {
		t.Errorf("the namespace outlived its network: %v", err)
	}
	if _, err := n.Space("late"); err == nil {
		t.Error("a closed network made a namespace")
	}
}

func TestARunThatWasKilledIsSweptByTheNextOne(t *testing.T) {
	n := nettest.New(t) // also shows that we may
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left := fmt.Sprintf("netboot-%d-abcdef-server", gone.Process.Pid)
	if out, err := exec.Command("ip", "netns", "add", left).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mine, err := n.Space("mine")
	if err != nil {
		t.Fatal(err)
	}
	if err := nettest.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(names, left)); !os.IsNotExist(err) {
		t.Errorf("the leftover is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(names, mine.Name())); err != nil {
		t.Errorf("a live run's namespace was swept: %v", err)
	}
}

func TestAMissingProgramIsNamedWithItsRemedy(t *testing.T) {
	err := nettest.Need("ip", "no-such-program")
	if err == nil {
		t.Fatal("a missing program was not noticed")
	}
	want := "no-such-program is not installed; run: sh integration/packages.sh test"
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
}

func TestAClientDoesNotAskAServerThatHasEnded(t *testing.T) {
	_, server, client := pair(t)
	ends, err := server.Start(server.Command("sh", "-c", "exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	serves, err := server.Start(server.Command("tail", "-f", "/dev/null"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Ask(client.Command("tail", "-f", "/dev/null"), serves, ends)
	if err == nil || !strings.Contains(err.Error(), "sh -c exit 3 ended (exit status 3) while it was asked by ") {
		t.Errorf("says %v", err)
	}
	out, err := client.Ask(client.Command("echo", "here"), serves)
	if err != nil || string(out) != "here\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := client.Ask(client.Command("cat", "/nowhere"), serves); err == nil || !strings.Contains(err.Error(), "/nowhere: No such file") {
		t.Errorf("says %v", err)
	}
}
