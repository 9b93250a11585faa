package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/internal/probe"
)

// leftovers are directories that outlive a test, for TestMain to remove.
var leftovers []string

// built makes netbootctl and our own two servers, once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "netbootctl-test-")
	if err != nil {
		return "", err
	}
	leftovers = append(leftovers, dir)
	out, err := exec.Command("go", "build", "-race", "-o", dir, ".", "../netboot-dhcpd", "../netboot-tftpd").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// A site is a network with a probing host, and as many servers as it is given.
type site struct {
	t       *testing.T
	net     *nettest.Net
	switch_ *nettest.Space
	host    *nettest.Space
	dir     string // of files to serve
	servers int
}

const hostAddress = "192.0.2.50/24"

func newSite(t *testing.T) *site {
	t.Helper()
	t.Parallel()
	if err := nettest.Need("ip", "dnsmasq", "busybox"); err != nil {
		t.Fatal(err)
	}
	if _, err := built(); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, net: nettest.New(t), dir: t.TempDir()}
	s.switch_, s.host = s.space("switch"), s.space("host")
	s.must(s.switch_.Bridge("br0"))
	s.plug(s.host, "eth0")
	s.must(s.host.Address("eth0", netip.MustParsePrefix(hostAddress)))
	for name, from := range map[string]string{"undionly.kpxe": "/usr/lib/ipxe/undionly.kpxe", "ipxe.efi": "/usr/lib/ipxe/ipxe.efi"} {
		b, err := os.ReadFile(from)
		s.must(err)
		s.file(name, string(b))
	}
	s.file("boot.ipxe", "#!ipxe\nkernel http://192.0.2.1/vmlinuz quiet\ninitrd initrd.img\nboot\n")
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) space(name string) *nettest.Space {
	s.t.Helper()
	space, err := s.net.Space(name)
	s.must(err)
	return space
}

func (s *site) plug(space *nettest.Space, name string) {
	s.t.Helper()
	port := fmt.Sprintf("port%d", s.servers)
	s.servers++
	s.must(space.Veth(name, s.switch_, port))
	s.must(s.switch_.Plug(port, "br0"))
}

func (s *site) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.WriteFile(path, []byte(content), 0o644))
	return path
}

// server is a machine that serves, at an address of the site's network.
func (s *site) server(address string) *nettest.Space {
	s.t.Helper()
	space := s.space(fmt.Sprintf("server%d", s.servers))
	s.plug(space, "srv0")
	s.must(space.Address("srv0", netip.MustParsePrefix(address+"/24")))
	s.must(space.IP("addr", "add", strings.Replace(address, "192.0.2.", "2001:db8::", 1)+"/64", "dev", "srv0", "nodad"))
	return space
}

// run starts a program and waits until it has what it listens on: "udp 67".
func (s *site) run(space *nettest.Space, listens []string, words ...string) string {
	s.t.Helper()
	log := filepath.Join(s.t.TempDir(), "log")
	f, err := os.Create(log)
	s.must(err)
	defer f.Close() // the program has its own
	cmd := space.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = f, f, s.dir
	p, err := space.Start(cmd)
	s.must(err)
	s.t.Cleanup(func() {
		if b, err := os.ReadFile(log); err == nil && s.t.Failed() {
			s.t.Logf("%s:\n%s", words[0], b)
		}
	})
	for _, l := range listens {
		s.await(p, space, l, words[0])
	}
	return log
}

func (s *site) await(p *nettest.Process, space *nettest.Space, listens, program string) {
	s.t.Helper()
	protocol, port, _ := strings.Cut(listens, " ")
	option := map[string]string{"udp": "-lun", "tcp": "-ltn", "packet": "-l0"}[protocol]
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; {
		out, err := space.Command("ss", "-H", option).CombinedOutput()
		s.must(err)
		if protocol == "packet" && len(out) > 0 || strings.Contains(string(out), ":"+port+" ") {
			return
		}
		select {
		case <-p.Done():
			s.t.Fatalf("%s ended: %v", program, p.Err())
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not listen on %s", program, listens)
		}
	}
}

// dnsmasq serves addresses, and files by TFTP, with further lines of configuration. It gives its leases' file and log.
func (s *site) dnsmasq(address string, lines ...string) (leases, log string) {
	s.t.Helper()
	leases = filepath.Join(s.t.TempDir(), "leases")
	base := []string{"port=0", "no-hosts", "no-resolv", "user=root", "no-ping", "bind-interfaces", "interface=srv0", "except-interface=lo",
		"dhcp-authoritative", "dhcp-leasefile=" + leases, "enable-tftp", "tftp-root=" + s.dir, "dhcp-userclass=set:ipxe,iPXE"}
	conf := filepath.Join(s.t.TempDir(), "dnsmasq.conf")
	s.must(os.WriteFile(conf, []byte(strings.Join(append(base, lines...), "\n")+"\n"), 0o644))
	port := "udp 67"
	if strings.Contains(strings.Join(lines, "\n"), "2001:db8::") {
		port = "udp 547"
	}
	log = s.run(s.server(address), []string{port}, "dnsmasq", "--keep-in-foreground", "--pid-file=", "--log-facility=-", "--conf-file="+conf)
	return leases, log
}

const pool = "dhcp-range=192.0.2.100,192.0.2.120,255.255.255.0,10m"

// httpd serves the files by HTTP on port 80.
func (s *site) httpd(space *nettest.Space, address string) {
	s.t.Helper()
	s.run(space, []string{"tcp 80"}, "busybox", "httpd", "-f", "-p", address+":80", "-h", s.dir)
}

// outcome is a probe that ended.
type outcome struct {
	t    *testing.T
	code int
	dir  string // of the site's files
	text string
	*probe.Report
}

func (s *site) command(args ...string) *exec.Cmd {
	dir, _ := built()
	return s.host.Command(filepath.Join(dir, "netbootctl"), append([]string{"probe", "--iface", "eth0", "--collect", "400ms", "--timeout", "2s"}, args...)...)
}

// probe plays a machine.
func (s *site) probe(args ...string) *outcome {
	s.t.Helper()
	o := &outcome{t: s.t, dir: s.dir, Report: &probe.Report{}}
	cmd := s.command(append(args, "--json")...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		o.code = exit.ExitCode()
	} else {
		s.must(err)
	}
	o.text = said.String()
	if o.code != 2 {
		if err := json.Unmarshal(out, o.Report); err != nil {
			s.t.Fatalf("%v: %s%s", err, out, said.String())
		}
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("probe %q ends with %d: %s%s", args, o.code, out, said.String())
		}
	})
	return o
}

func (o *outcome) boots(text string) *outcome {
	o.t.Helper()
	if o.code != 0 || !o.Verdict.Boots || !strings.Contains(o.Verdict.Text, text) {
		o.t.Errorf("exit status %d, verdict %+v, want a boot with %q", o.code, o.Verdict, text)
	}
	return o
}

// stops compares the verdict with the golden file of this name.
func (o *outcome) stops(code, golden string) *outcome {
	o.t.Helper()
	o.stopsAt(code)
	path := filepath.Join("testdata", "probe", golden+".want")
	got := strings.ReplaceAll(fmt.Sprintf("%s\n%s\n%s\n", o.Verdict.Code, o.Verdict.Text, o.Verdict.Cause), o.dir, "DIR")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		o.t.Errorf("verdict:\n%s\nis not that of %s (%v):\n%s", got, path, err, want)
	}
	return o
}

func (o *outcome) stopsAt(code string) *outcome {
	o.t.Helper()
	if o.code != 1 || o.Verdict.Boots || o.Verdict.Code != code {
		o.t.Errorf("exit status %d, verdict %+v, want %s", o.code, o.Verdict, code)
	}
	return o
}

func (o *outcome) notes(code string) *outcome {
	o.t.Helper()
	for _, n := range o.Notes {
		if n.Code == code {
			return o
		}
	}
	o.t.Errorf("no note %s in %v", code, o.Notes)
	return o
}

// happened tells whether the timeline has such a line.
func (o *outcome) happened(what, text string) *outcome {
	o.t.Helper()
	for _, e := range o.Timeline {
		if e.What == what && strings.Contains(e.Text, text) {
			return o
		}
	}
	o.t.Errorf("the timeline has no %s with %q", what, text)
	return o
}
