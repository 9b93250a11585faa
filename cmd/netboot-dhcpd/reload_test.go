package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/logtest"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// A mount is a directory as Kubernetes keeps one: each version in its own, and a link that is turned to the newest.
type mount struct {
	t   *testing.T
	dir string
	n   int
}

func (m *mount) holds(text string) {
	m.t.Helper()
	m.n++
	version := fmt.Sprintf("..v%d", m.n)
	if err := errors.Join(
		os.Mkdir(filepath.Join(m.dir, version), 0o755),
		os.WriteFile(filepath.Join(m.dir, version, "boot.yml"), []byte(text), 0o644),
		os.Symlink(version, filepath.Join(m.dir, "..new")),
		os.Rename(filepath.Join(m.dir, "..new"), filepath.Join(m.dir, "..data")),
	); err != nil {
		m.t.Fatal(err)
	}
}

// numbered is a map whose answers tell in three places which one it is.
func numbered(n int) string {
	return fmt.Sprintf("next-server: 192.0.2.1\nrules:\n  - {arch: bios, file: file-%d, server-name: name-%[1]d, options: {root-path: root-%[1]d}}\n", n)
}

// A relay sends one request after the other from its own address and port 67.
type relay struct {
	conn *net.UDPConn
	addr net.IP
}

// asks waits for the answer, and tells which map gave it.
func (r *relay) asks(mac net.HardwareAddr) (n int, err error) {
	req, err := dhcpv4.NewDiscovery(mac,
		dhcpv4.WithGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 0}),
		dhcpv4.WithGeneric(dhcpv4.OptionClassIdentifier, []byte("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithRelay(r.addr))
	if err != nil {
		return 0, err
	}
	if _, err := r.conn.Write(req.ToBytes()); err != nil {
		return 0, err
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	b := make([]byte, 2000)
	size, err := r.conn.Read(b)
	if err != nil {
		return 0, fmt.Errorf("no answer: %w", err)
	}
	resp, err := dhcpv4.FromBytes(b[:size])
	if err != nil {
		return 0, err
	}
	var name, root int
	fmt.Sscanf(resp.BootFileName, "file-%d", &n)
	fmt.Sscanf(resp.ServerHostName, "name-%d", &name)
	fmt.Sscanf(resp.RootPath(), "root-%d", &root)
	if resp.TransactionID != req.TransactionID || n == 0 || n != name || name != root {
		return 0, fmt.Errorf("an answer of two maps, or of none: %s", resp.Summary())
	}
	return n, nil
}

// hammers asks until ctx ends. It counts the answers, and notes the newest map; an older one must not come back.
func (r *relay) hammers(ctx context.Context, answers, newest *atomic.Int64) error {
	mac := append(net.HardwareAddr{0x52, 0x54}, r.addr.To4()...)
	for last := 0; ctx.Err() == nil; answers.Add(1) {
		n, err := r.asks(mac)
		if err != nil {
			return err
		}
		if n < last {
			return fmt.Errorf("is answered from map %d after %d", n, last)
		}
		last = n
		newest.Store(max(newest.Load(), int64(n)))
	}
	return nil
}

// page is what the daemon shows on its socket.
func page(socket, path string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	resp, err := client.Get("http://daemon" + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	return string(must(io.ReadAll(resp.Body)))
}

// The daemon is built with the race detector, which would end it.
func TestUnderLoadNoRequestIsLostOrAnsweredFromHalfAMap(t *testing.T) {
	network := nettest.New(t)
	site, err := network.Space("site")
	if err != nil {
		t.Fatal(err)
	}
	dir := files(t, map[string]string{"config.yml": config("127.0.0.1", "server_id: 127.0.0.1", "boot: map/boot.yml")})
	m := &mount{t, filepath.Join(dir, "map"), 0}
	if err := errors.Join(os.Mkdir(m.dir, 0o755), os.Symlink("..data/boot.yml", filepath.Join(m.dir, "boot.yml"))); err != nil {
		t.Fatal(err)
	}
	m.holds(numbered(1))

	program := filepath.Join(t.TempDir(), "netboot-dhcpd")
	if out, err := exec.Command("go", "build", "-race", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	socket := filepath.Join(t.TempDir(), "m.sock")
	var log logtest.Text
	cmd := site.Command(program, "-c", filepath.Join(dir, "config.yml"), "-L", "warning", "--metrics", "unix:"+socket)
	cmd.Stderr = &log
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	daemon, err := site.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	page := func(path string) string { return page(socket, path) }
	until := func(what string, holds func() bool) {
		t.Helper()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for limit := time.After(60 * time.Second); !holds(); {
			select {
			case <-tick.C:
			case <-daemon.Done():
				t.Fatalf("the daemon ended (%v):\n%s", daemon.Err(), log.String())
			case <-limit:
				t.Fatalf("never: %s\n%s", what, log.String())
			}
		}
	}
	until("its health is good", func() bool { return page("/healthz") == "ok\n" })

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	var answers, newest atomic.Int64
	for i := range 4 {
		r := &relay{addr: net.IPv4(127, 0, 0, byte(10+i))}
		if err := site.Do(func() (err error) {
			r.conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: r.addr, Port: 67}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 67})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer r.conn.Close()
		all.Add(1)
		go func() {
			defer all.Done()
			if err := r.hammers(ctx, &answers, &newest); err != nil {
				t.Errorf("%s: %v", r.addr, err)
			}
		}()
	}
	path := filepath.Join(dir, "map", "boot.yml")
	for n := 2; n <= 12; n++ {
		if n%3 == 0 { // a broken one comes between, and is not taken
			refused := fmt.Sprintf("netboot_config_reloads_total{file=%q,result=\"refused\"} %d", path, n/3)
			m.holds(numbered(99) + "  - {arch: boss, file: x}\n")
			until("the broken map is refused", func() bool {
				p := page("/metrics")
				return strings.Contains(p, refused) && strings.Contains(p, fmt.Sprintf("netboot_config_last_reload_successful{file=%q} 0", path))
			})
		}
		m.holds(numbered(n))
		if n%2 == 0 {
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		until(fmt.Sprintf("map %d is served", n), func() bool { return newest.Load() == int64(n) })
	}
	stop()
	all.Wait()
	t.Logf("%d answers from 12 maps", answers.Load())
	if answers.Load() < 1000 {
		t.Errorf("only %d answers: this was no load", answers.Load())
	}
	p := page("/metrics")
	generation := regexp.MustCompile(`netboot_config_generation\{[^}]*\} (\d+)`).FindStringSubmatch(p)
	taken := regexp.MustCompile(`netboot_config_last_reload_success_timestamp_seconds\{[^}]*\} 1\.\d+e\+09`).FindString(p)
	if generation == nil || len(generation[1]) < 2 || taken == "" || !strings.Contains(p, fmt.Sprintf("netboot_config_last_reload_successful{file=%q} 1", path)) {
		t.Errorf("the gauges say %v, %q", generation, taken)
	}
	if !regexp.MustCompile(`netboot_boot_decisions_total\{.*rule="[^"]*boot\.yml:3"\} \d+`).MatchString(p) {
		t.Errorf("no decision of the map's rule is counted:\n%s", p)
	}
	if err := daemon.Stop(); err != nil || strings.Contains(log.String(), "DATA RACE") {
		t.Errorf("ended with %v:\n%s", err, log.String())
	}
}
