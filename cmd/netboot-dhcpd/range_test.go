package main_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

var rounds = flag.Int("rounds", 10, "how often the daemon is killed under load")

// site is a daemon without cgo that is killed and started again, in a network of its own.
type leaseSite struct {
	t     *testing.T
	space *nettest.Space
	dir   string
	run   *nettest.Process
	cmd   *exec.Cmd
	log   *lockedBuffer

	mu    sync.Mutex
	acked map[string]string // MAC: the address that was acknowledged
	owner map[string]string // and the other way round

	checked map[string]bool
}

func newLeaseSite(t *testing.T, dir string) *leaseSite {
	t.Helper()
	space, err := nettest.New(t).Space("site")
	if err != nil {
		t.Fatal(err)
	}
	s := &leaseSite{t: t, space: space, dir: dir, acked: map[string]string{}, owner: map[string]string{}, checked: map[string]bool{}}
	text := config("127.0.0.1", "server_id: 127.0.0.1", "range: leases 10.0.0.1 10.0.255.254 1h", "netmask: 255.255.0.0")
	if err := os.WriteFile(filepath.Join(dir, "config.yml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the daemon, by a program before it if there is one.
func (s *leaseSite) start(before ...string) {
	s.t.Helper()
	s.log = new(lockedBuffer)
	args := append(before, build(s.t, "0"), "-c", filepath.Join(s.dir, "config.yml"), "-L", "warning", "--metrics", "unix:"+filepath.Join(s.dir, "m.sock"))
	s.cmd = s.space.Command(args[0], args[1:]...)
	s.cmd.Stderr = s.log
	var err error
	if s.run, err = s.space.Start(s.cmd); err != nil {
		s.t.Fatal(err)
	}
	s.until("it is healthy", func() bool { return page(filepath.Join(s.dir, "m.sock"), "/healthz") == "ok\n" })
}

func (s *leaseSite) until(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(60 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-s.run.Done():
			s.t.Fatalf("the daemon ended (%v):\n%s", s.run.Err(), s.log.String())
		case <-limit:
			s.t.Fatalf("never: %s\n%s", what, s.log.String())
		}
	}
}

func (s *leaseSite) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.run.Done()
}

// relay is one that machines ask through, from an address of its own.
func (s *leaseSite) relay(n byte) *relay {
	s.t.Helper()
	r := &relay{addr: net.IPv4(127, 0, 0, n)}
	if err := s.space.Do(func() (err error) {
		r.conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: r.addr, Port: 67}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 67})
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.conn.Close() })
	return r
}

// exchange sends a message of a machine, and waits for the answer to it.
func (r *relay) exchange(mac net.HardwareAddr, wait time.Duration, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	req, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac), dhcpv4.WithRelay(r.addr)}, more...)...)
	if err != nil {
		return nil, err
	}
	if _, err := r.conn.Write(req.ToBytes()); err != nil {
		return nil, err
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	for b := make([]byte, 2000); ; {
		n, err := r.conn.Read(b)
		if err != nil {
			return nil, err
		}
		if resp, err := dhcpv4.FromBytes(b[:n]); err == nil && resp.TransactionID == req.TransactionID {
			return resp, nil
		}
	}
}

func (r *relay) discovers(mac net.HardwareAddr, wait time.Duration) (*dhcpv4.DHCPv4, error) {
	return r.exchange(mac, wait, dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover))
}

func (r *relay) requests(mac net.HardwareAddr, ip net.IP, wait time.Duration) (*dhcpv4.DHCPv4, error) {
	return r.exchange(mac, wait, dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(127, 0, 0, 1))))
}

// leases has one machine take a lease. It fails the test if the address is somebody's, or another than the machine's.
func (s *leaseSite) leases(r *relay, n uint32, wait time.Duration) error {
	mac := binary.BigEndian.AppendUint32(net.HardwareAddr{0x52, 0x54}, n)
	offer, err := r.discovers(mac, wait)
	if err != nil {
		return err
	}
	ack, err := r.requests(mac, offer.YourIPAddr, wait)
	if err != nil {
		return err
	}
	if ack.MessageType() != dhcpv4.MessageTypeAck {
		return fmt.Errorf("%s for %s", ack.MessageType(), offer.YourIPAddr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := ack.YourIPAddr.String()
	if other := s.owner[ip]; other != "" && other != string(mac) {
		s.t.Errorf("%s has two owners: %s and %s", ip, net.HardwareAddr(other), mac)
	}
	if was := s.acked[string(mac)]; was != "" && was != ip {
		s.t.Errorf("%s had %s and gets %s", mac, was, ip)
	}
	s.owner[ip], s.acked[string(mac)] = string(mac), ip
	return nil
}

// knows checks that the daemon remembers the leases that it acknowledged and that were not checked yet: it offers a machine it does not know another
// address.
func (s *leaseSite) knows(r *relay) {
	s.t.Helper()
	for mac, ip := range s.acked {
		if s.checked[mac] {
			continue
		}
		s.checked[mac] = true
		offer, err := r.discovers(net.HardwareAddr(mac), 10*time.Second)
		if err != nil {
			s.t.Fatalf("%v\n%s", err, s.log.String())
		}
		if offer.YourIPAddr.String() != ip {
			s.t.Fatalf("%s was acknowledged %s, and is offered %s", net.HardwareAddr(mac), ip, offer.YourIPAddr)
		}
	}
}

func TestNoLeaseIsLostWhenTheDaemonIsKilledUnderLoad(t *testing.T) {
	s := newLeaseSite(t, t.TempDir())
	random := rand.New(rand.NewPCG(1, 1))
	var relays []*relay
	for n := range byte(8) {
		relays = append(relays, s.relay(10+n))
	}
	checker := s.relay(9)
	var next atomic.Uint32
	for round := range *rounds {
		s.start()
		s.knows(checker)
		var all sync.WaitGroup
		var acked atomic.Int64
		target := int64(50 + random.IntN(400))
		enough := make(chan struct{})
		var once sync.Once
		killed := make(chan struct{})
		for _, r := range relays {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					if err := s.leases(r, next.Add(1), 2*time.Second); err != nil {
						select {
						case <-killed:
						default:
							t.Error(err)
							once.Do(func() { close(enough) })
						}
						return
					}
					if acked.Add(1) >= target {
						once.Do(func() { close(enough) })
					}
				}
			}()
		}
		<-enough
		close(killed)
		s.kill()
		all.Wait()
		if t.Failed() {
			t.Fatalf("round %d:\n%s", round, s.log.String())
		}
	}
	s.start()
	clear(s.checked)
	s.knows(checker)
	t.Logf("%d kills, %d leases", *rounds, len(s.acked))
}

func TestAnACKLeavesAfterItsSync(t *testing.T) {
	if err := nettest.Need("strace"); err != nil {
		t.Fatal(err)
	}
	s := newLeaseSite(t, t.TempDir())
	trace := filepath.Join(t.TempDir(), "trace")
	s.start("strace", "-D", "-f", "-qq", "-o", trace, "-e", "trace=fdatasync,pwrite64,sendmmsg,sendmsg,sendto")
	r := s.relay(9)
	for n := range uint32(3) {
		if err := s.leases(r, n, 30*time.Second); err != nil {
			t.Fatalf("%v\n%s", err, s.log.String())
		}
	}
	reply := regexp.MustCompile(`sendmmsg\(`) // as it begins: its end may stand on a line of its own
	var b []byte
	s.until("the trace has every reply", func() bool {
		b = must(os.ReadFile(trace))
		return len(reply.FindAll(b, -1)) == 6
	})
	replies, written, synced := 0, false, false
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.Contains(line, "pwrite64("):
			written, synced = true, false
		case strings.Contains(line, "fdatasync") && strings.Contains(line, "= 0"):
			synced = written
		case reply.MatchString(line):
			if replies++; replies%2 == 0 && !synced {
				t.Errorf("reply %d leaves before its sync:\n%s", replies, b)
			}
			written, synced = false, false
		}
	}
}

// small mounts a file system of 3 MiB.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Fatalf("mount needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskStopsNewLeasesAndRoomBringsThemBack(t *testing.T) {
	s := newLeaseSite(t, small(t))
	s.start()
	r := s.relay(9)
	var n uint32
	lease := func(wait time.Duration) error { n++; return s.leases(r, n, wait) }
	if err := lease(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(s.dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	for lease(time.Second) == nil {
		if n == 60_000 {
			t.Fatal("the disk is full, and leases are given")
		}
	}
	s.until("it says so", func() bool {
		return strings.Contains(s.log.String(), "leases cannot be written: no client is told of a new one until they can") &&
			strings.Contains(s.log.String(), "no space left on device")
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.until("there is room, and leases are given", func() bool { return lease(time.Second) == nil })
	s.kill()
	s.start()
	s.knows(r)
	t.Logf("%d leases", len(s.acked))
}

func TestWhatIsWrongWithTheLeasesIsSaidWithItsRemedy(t *testing.T) {
	disk := small(t)
	s := newLeaseSite(t, disk)
	refuses := func(want ...string) {
		t.Helper()
		said := fails(t, "0", disk)
		for _, w := range append(want, "config.yml:5: server4: plugin range: leases.leases: ") {
			if !strings.Contains(said, w) {
				t.Errorf("says %s\nnot %s", said, w)
			}
		}
	}
	s.start()
	r := s.relay(9)
	for n := range uint32(20) {
		if err := s.leases(r, n, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	refuses("the leases are in use by another process; stop it, or name another file")
	s.kill()

	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	refuses("the leases cannot be written (read-only file system); let the daemon's user write there")
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}

	names, err := filepath.Glob(filepath.Join(disk, "leases.leases", "*.journal"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(b []byte) []byte) {
		t.Helper()
		if err := os.WriteFile(names[0], f(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	end := len(bytes.TrimRight(whole, "\x00"))
	change(func(b []byte) []byte { b[end/2] ^= 4; return b })
	refuses("damaged at byte ", "nothing is lent: restore the directory from a backup, or move it away to begin with none")
	change(func(b []byte) []byte { b[3] ^= 4; return b })
	refuses("damaged at byte 0: its header is damaged")

	change(func(b []byte) []byte { return b[:end-5] }) // the last write did not reach the disk
	last := binary.BigEndian.AppendUint32([]byte{0x52, 0x54}, 19)
	delete(s.owner, s.acked[string(last)])
	delete(s.acked, string(last))
	s.start()
	s.knows(r)
	if err := s.leases(r, 19, 10*time.Second); err != nil {
		t.Error(err)
	}
}

// A real client takes a lease, and gives it back when it ends.
func TestUdhcpcTakesAndReleasesALease(t *testing.T) {
	if err := nettest.Need("busybox"); err != nil {
		t.Fatal(err)
	}
	network := nettest.New(t)
	host, err := network.Space("server")
	if err != nil {
		t.Fatal(err)
	}
	laptop, err := network.Space("laptop")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(host.Veth("srv0", laptop, "eth0"), host.Address("srv0", netip.MustParsePrefix("192.0.2.1/24"))); err != nil {
		t.Fatal(err)
	}
	dir := files(t, map[string]string{
		"config.yml": config("%srv0", "server_id: 192.0.2.1", "range: leases 192.0.2.100 192.0.2.101 1h", "netmask: 255.255.255.0"),
		"lease.sh":   "#!/bin/sh\n[ $1 = bound ] && ip addr replace $ip/24 dev eth0 && echo $ip/$subnet $lease >>$LEASE\nexit 0\n",
	})
	if err := os.Chmod(filepath.Join(dir, "lease.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &leaseSite{t: t, space: host, dir: dir}
	s.start()
	got := filepath.Join(dir, "got")
	lines := func() int { b, _ := os.ReadFile(got); return bytes.Count(b, []byte("\n")) }
	for n := range 2 {
		client := laptop.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-R", "-t", "10", "-T", "1", "-s", filepath.Join(dir, "lease.sh"))
		client.Env = append(os.Environ(), "LEASE="+got)
		running, err := laptop.Start(client)
		if err != nil {
			t.Fatal(err)
		}
		s.until("it has a lease", func() bool { return lines() == n+1 })
		if err := running.Stop(); err != nil {
			t.Fatal(err)
		}
		s.until("it is released", func() bool {
			return strings.Contains(page(filepath.Join(dir, "m.sock"), "/metrics"), `netboot_range_leases{range="192.0.2.100-192.0.2.101",state="free"} 1`)
		})
	}
	if b, err := os.ReadFile(got); err != nil || string(b) != "192.0.2.100/255.255.255.0 3600\n192.0.2.100/255.255.255.0 3600\n" {
		t.Errorf("%q, %v", b, err)
	}
	if !strings.Contains(page(filepath.Join(dir, "m.sock"), "/metrics"), `netboot_range_events_total{event="released",range="192.0.2.100-192.0.2.101"} 2`) {
		t.Errorf("%s", page(filepath.Join(dir, "m.sock"), "/metrics"))
	}
}
