package subnets_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/logtest"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
	"github.com/coredhcp-netboot/suite/server/request"
)

// lab is a server with the plugin, without a socket: bytes in, bytes out.
type lab struct {
	t       testing.TB
	dir     string
	chain   *server.Chain
	reload  func() error
	closing func() error
	quiet   func() // logs warnings alone
	facts   request.Facts
	metrics *prometheus.Registry
	clock   *clock
	log     logtest.Text
	// more are plugins behind subnets.
	more []*plugins.Plugin
}

// clock is a host's, which goes on when a test says so.
type clock struct {
	mu      sync.Mutex
	now     time.Duration // since the boot
	wall    time.Duration // that the wall's clock is ahead of now
	reboots int
}

func (c *clock) Boot() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Repeat("re", c.reboots) + "boot"
}

func (c *clock) Since() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wall() time.Time {
	since := c.Since()
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(1_800_000_000, 0).Add(since + c.wall)
}

// steps sets the wall's clock, and nothing else.
func (c *clock) steps(d time.Duration) {
	c.mu.Lock()
	c.wall += d
	c.mu.Unlock()
}

// boots begins the time since the boot anew.
func (c *clock) boots() {
	c.mu.Lock()
	c.now, c.wall, c.reboots = 0, c.wall+c.now, c.reboots+1
	c.mu.Unlock()
}

func (c *clock) passes(d time.Duration) {
	c.mu.Lock()
	c.now += d
	c.mu.Unlock()
}

// newLab serves a file whose leases are kept beside it, on an interface with 10.1.1.1/24.
func newLab(t testing.TB, file string, more ...*plugins.Plugin) *lab {
	t.Helper()
	l := &lab{
		t: t, dir: t.TempDir(), clock: &clock{now: time.Hour}, more: more,
		facts: request.Facts{
			Interface: request.Interface{Index: 2, Name: "lan0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.1.1/24")}},
			Peer:      netip.MustParseAddrPort("0.0.0.0:68"), Local: netip.MustParseAddrPort("255.255.255.255:67"),
		},
	}
	l.write(file)
	if err := l.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *lab) write(file string) {
	l.t.Helper()
	if !strings.Contains(file, "leases:") {
		file = "leases: leases\n" + file
	}
	if err := os.WriteFile(filepath.Join(l.dir, "subnets.yml"), []byte(file), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) start() error {
	log := logrus.New()
	log.SetOutput(&l.log)
	log.SetLevel(logrus.DebugLevel)
	l.quiet = func() { log.SetLevel(logrus.WarnLevel) }
	l.metrics = prometheus.NewRegistry()
	plugin, closing, reload := subnets.NewClosing(subnets.Env{Log: logrus.NewEntry(log), Metrics: l.metrics, Clock: l.clock})
	l.closing, l.reload = closing, reload
	known := map[string]*plugins.Plugin{"subnets": &plugin}
	names := []string{"subnets"}
	config := "server4:\n  listen: \"%lo\"\n  plugins:\n    - subnets: " + filepath.Join(l.dir, "subnets.yml") + "\n"
	for _, p := range l.more {
		known[p.Name] = p
		names = append(names, p.Name)
		config += "    - " + p.Name + ":\n"
	}
	path := filepath.Join(l.dir, "config.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return err
	}
	c, err := server.Load(path, names)
	if err != nil {
		return err
	}
	l.chain, err = server.NewChain(c, known)
	return err
}

func (l *lab) stop() {
	if l.closing == nil {
		return
	}
	if err := l.closing(); err != nil {
		l.t.Error(err)
	}
	l.closing = nil
}

// restarts loses what was only in the memory.
func (l *lab) restarts() {
	l.t.Helper()
	l.stop()
	if err := l.start(); err != nil {
		l.t.Fatal(err)
	}
}

// becomes changes the file.
func (l *lab) becomes(file string) {
	l.t.Helper()
	l.write(file)
	if err := l.reload(); err != nil {
		l.t.Fatal(err)
	}
}

// sends is the reply; nil: silence.
func (l *lab) sends(request []byte, f request.Facts) *dhcpv4.DHCPv4 {
	l.t.Helper()
	b, err := l.chain.AnswerFrom4(request, f, nil)
	if err != nil {
		l.t.Fatalf("%v\n%s", err, l.log.String())
	}
	if b == nil {
		return nil
	}
	reply, err := dhcpv4.FromBytes(b)
	if err != nil {
		l.t.Fatal(err)
	}
	return reply
}

// machine is one with a hardware address.
type machine struct {
	*lab
	mac  net.HardwareAddr
	more []dhcpv4.Modifier
}

func (l *lab) machine(n int, more ...dhcpv4.Modifier) *machine {
	mac := binary.BigEndian.AppendUint16([]byte{0x52, 0x54, 0, 0xaa}, uint16(n))
	return &machine{l, mac, more}
}

func ip(s string) net.IP { return net.ParseIP(s).To4() }

func asks(s string) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip(s))) }
func has(s string) dhcpv4.Modifier  { return dhcpv4.WithClientIP(ip(s)) }
func via(s string) dhcpv4.Modifier  { return dhcpv4.WithRelay(ip(s)) }
func chooses(s string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip(s)))
}
func option(code uint8, value string) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), []byte(value))
}

const (
	vendorClass = 60
	clientID    = 61
	relayInfo   = 82
)

func (m *machine) sends(t dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m.t.Helper()
	all := append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(m.mac)}, m.more...)
	req, err := dhcpv4.New(append(all, more...)...)
	if err != nil {
		m.t.Fatal(err)
	}
	if t != dhcpv4.MessageTypeNone {
		req.UpdateOption(dhcpv4.OptMessageType(t))
	}
	req.HWType = iana.HWTypeEthernet
	facts := m.facts
	if !req.ClientIPAddr.IsUnspecified() {
		facts.Local = netip.MustParseAddrPort("10.1.1.1:67")
	}
	return m.lab.sends(req.ToBytes(), facts)
}

// gets checks a reply that gives an address, or that is a NAK or silence.
func (m *machine) gets(resp *dhcpv4.DHCPv4, want string) {
	m.t.Helper()
	got := "silence"
	switch {
	case resp == nil:
	case resp.MessageType() == dhcpv4.MessageTypeNak:
		got = "NAK"
	default:
		got = resp.YourIPAddr.String()
	}
	if got != want {
		m.t.Errorf("%s gets %s, want %s\n%s", m.mac, got, want, m.log.String())
	}
}

func (m *machine) discovers(want string, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m.t.Helper()
	offer := m.sends(dhcpv4.MessageTypeDiscover, more...)
	m.gets(offer, want)
	return offer
}

// requests is a REQUEST in one of its states.
func (m *machine) requests(want string, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m.t.Helper()
	ack := m.sends(dhcpv4.MessageTypeRequest, more...)
	m.gets(ack, want)
	return ack
}

// boots is a whole exchange.
func (m *machine) boots(want string, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m.t.Helper()
	offer := m.discovers(want, more...)
	if offer == nil {
		return nil
	}
	return m.requests(want, append(more, asks(offer.YourIPAddr.String()), chooses("10.1.1.1"))...)
}
