package pool_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	rangeplugin "github.com/coredhcp/coredhcp/plugins/range"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/plugins/pool"
	"github.com/coredhcp-netboot/suite/server/request"
)

// lab is the plugin with three addresses, in a chain behind server_id.
type lab struct {
	t       *testing.T
	handle  handler.Handler4
	metrics *prometheus.Registry
	log     strings.Builder
	mask    net.IPMask // of netmask, if it stands before range
	facts   *request.Facts
}

var serverIP = net.IPv4(192, 0, 2, 1).To4()

func newLab(t *testing.T, args ...string) *lab {
	t.Helper()
	l := &lab{t: t, metrics: prometheus.NewRegistry()}
	log := logrus.New()
	log.SetOutput(&l.log)
	log.SetLevel(logrus.DebugLevel)
	if len(args) == 0 {
		args = []string{filepath.Join(t.TempDir(), "leases"), "192.0.2.100", "192.0.2.102", "10m"}
	}
	var err error
	if l.handle, err = pool.New(pool.Env{Log: logrus.NewEntry(log), Metrics: l.metrics}).Setup4(args...); err != nil {
		t.Fatal(err)
	}
	return l
}

// machine is one with a hardware address.
type machine struct {
	*lab
	mac  net.HardwareAddr
	more []dhcpv4.Modifier
}

func (l *lab) machine(last byte, more ...dhcpv4.Modifier) *machine {
	return &machine{l, net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, last}, more}
}

func ip(s string) net.IP { return net.ParseIP(s).To4() }

func asks(s string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip(s)))
}
func chooses(s string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip(s)))
}

// sends is the reply; nil: silence.
func (m *machine) sends(t dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m.t.Helper()
	all := append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(m.mac), dhcpv4.WithMessageType(t)}, m.more...)
	req, err := dhcpv4.New(append(all, more...)...)
	if err != nil {
		m.t.Fatal(err)
	}
	req.HWType = iana.HWTypeEthernet
	resp, err := dhcpv4.NewReplyFromRequest(req, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(serverIP)), dhcpv4.WithOption(dhcpv4.OptDNS(serverIP)))
	if err != nil {
		m.t.Fatal(err)
	}
	reply := dhcpv4.MessageTypeAck
	if t == dhcpv4.MessageTypeDiscover {
		reply = dhcpv4.MessageTypeOffer
	}
	resp.UpdateOption(dhcpv4.OptMessageType(reply))
	if m.mask != nil {
		resp.UpdateOption(dhcpv4.OptSubnetMask(m.mask))
	}
	if m.facts != nil {
		defer request.Open(req, *m.facts).Close()
	}
	resp, _ = m.handle(req, resp)
	return resp
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

// boots is a whole exchange.
func (m *machine) boots(want string, more ...dhcpv4.Modifier) {
	m.t.Helper()
	offer := m.sends(dhcpv4.MessageTypeDiscover, more...)
	m.gets(offer, want)
	if offer == nil {
		return
	}
	ack := m.sends(dhcpv4.MessageTypeRequest, append(more, asks(offer.YourIPAddr.String()), chooses("192.0.2.1"))...)
	m.gets(ack, want)
	if ack != nil && ack.IPAddressLeaseTime(0).Minutes() != 10 && ack.IPAddressLeaseTime(0).Minutes() < 9 {
		m.t.Errorf("for %s", ack.IPAddressLeaseTime(0))
	}
}

// Vectors F42, F49 and F52 of the clients' field notes.
func TestROMAndIPXEAndSystemOfOneMachineHaveOneAddress(t *testing.T) {
	l := newLab(t)
	dell := l.machine(1)
	dell.boots("192.0.2.100")
	dell.boots("192.0.2.100", dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{1}, dell.mac...))))
	l.machine(2).boots("192.0.2.101")
	dell.boots("192.0.2.100", dhcpv4.WithOption(dhcpv4.OptClientIdentifier([]byte("\xff12345"))), dhcpv4.WithOption(dhcpv4.OptHostName("dell\n")))
	renew := dell.sends(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(ip("192.0.2.100")))
	dell.gets(renew, "192.0.2.100")
	if renew != nil && !renew.ClientIPAddr.Equal(ip("192.0.2.100")) {
		t.Error("an ACK of a renewal has its ciaddr")
	}
	if strings.Contains(l.log.String(), "dell\n") {
		t.Error("a client's text is in the log as it came")
	}
}

// Vector F03.
func TestWhoChoosesAnotherServerGetsSilenceAndItsOfferIsFree(t *testing.T) {
	l := newLab(t)
	rom := l.machine(1)
	rom.gets(rom.sends(dhcpv4.MessageTypeDiscover), "192.0.2.100")
	rom.gets(rom.sends(dhcpv4.MessageTypeRequest, asks("192.0.2.150"), chooses("192.0.2.2")), "silence")
	l.machine(2).boots("192.0.2.100")
}

// Vector F53.
func TestRebootWithAnAddress(t *testing.T) {
	for _, c := range []struct{ name, asks, want string }{
		{"of another network", "192.168.9.9", "NAK"},
		{"that nobody has", "192.0.2.102", "192.0.2.102"},
		{"that somebody has", "192.0.2.100", "NAK"},
		{"that is not of the pool", "192.0.2.9", "silence"},
	} {
		l := newLab(t)
		l.mask = net.CIDRMask(24, 32)
		l.machine(1).boots("192.0.2.100")
		m := l.machine(2)
		t.Log(c.name)
		m.gets(m.sends(dhcpv4.MessageTypeRequest, asks(c.asks)), c.want)
	}
	l := newLab(t) // which network the pool is in is not known
	m := l.machine(2)
	m.gets(m.sends(dhcpv4.MessageTypeRequest, asks("192.168.9.9")), "silence")
	l.facts = &request.Facts{Interface: request.Interface{Index: 1, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}
	m.gets(m.sends(dhcpv4.MessageTypeRequest, asks("192.168.9.9")), "NAK")
	m.boots("192.0.2.100")
	m.gets(m.sends(dhcpv4.MessageTypeRequest, asks("192.0.2.101")), "NAK") // its own is another one
	m.gets(m.sends(dhcpv4.MessageTypeRequest), "silence")
}

func TestANAKHasNothingBesideWhatItNeeds(t *testing.T) {
	l := newLab(t)
	l.mask = net.CIDRMask(24, 32)
	nak := l.machine(1).sends(dhcpv4.MessageTypeRequest, asks("192.168.9.9"), dhcpv4.WithRelay(ip("192.0.2.7")),
		dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte("eth0")))))
	if nak == nil || nak.MessageType() != dhcpv4.MessageTypeNak || !nak.IsBroadcast() || nak.Message() == "" || !nak.ServerIdentifier().Equal(serverIP) {
		t.Fatalf("%v", nak)
	}
	for code := range nak.Options {
		switch code {
		case 53, 54, 56, 61, 82:
		default:
			t.Errorf("it has option %d", code)
		}
	}
}

func TestRelayedMachinesAreServedInTheNetworkOfThePoolOnly(t *testing.T) {
	l := newLab(t)
	l.mask = net.CIDRMask(24, 32)
	m := l.machine(1)
	m.gets(m.sends(dhcpv4.MessageTypeDiscover, dhcpv4.WithRelay(ip("10.9.0.1"))), "silence")
	m.gets(m.sends(dhcpv4.MessageTypeDiscover, dhcpv4.WithRelay(ip("192.0.2.254"))), "192.0.2.100")
	link := dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.LinkSelectionSubOption, ip("192.0.2.0"))))
	m.gets(m.sends(dhcpv4.MessageTypeDiscover, dhcpv4.WithRelay(ip("10.9.0.1")), link), "192.0.2.100")
	if !strings.Contains(l.log.String(), "its relay is in another network than the pool") {
		t.Error(l.log.String())
	}
}

func TestAddressesThatAreGivenBackOrFoundInUse(t *testing.T) {
	l := newLab(t)
	dell, pi := l.machine(1), l.machine(2)
	dell.boots("192.0.2.100")
	dell.gets(dell.sends(dhcpv4.MessageTypeDecline, asks("192.0.2.100"), chooses("192.0.2.1")), "silence")
	dell.boots("192.0.2.101")
	pi.gets(pi.sends(dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(ip("192.0.2.101"))), "silence") // not its own
	pi.boots("192.0.2.102")
	third := l.machine(3)
	third.boots("silence")
	third.boots("silence")
	if n := strings.Count(l.log.String(), "no address is free"); n != 1 {
		t.Errorf("the log says %d times that the pool is exhausted", n)
	}
	dell.gets(dell.sends(dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(ip("192.0.2.101"))), "silence")
	third.boots("192.0.2.101")
	want := `
		# HELP netboot_range_addresses Addresses that can be lent.
		# TYPE netboot_range_addresses gauge
		netboot_range_addresses{range="192.0.2.100-192.0.2.102"} 3
		# HELP netboot_range_exhausted_total Requests that found no free address.
		# TYPE netboot_range_exhausted_total counter
		netboot_range_exhausted_total{range="192.0.2.100-192.0.2.102"} 2
		# HELP netboot_range_leases Addresses that are active, abandoned, offered, or were lent and are free.
		# TYPE netboot_range_leases gauge
		netboot_range_leases{range="192.0.2.100-192.0.2.102",state="abandoned"} 1
		netboot_range_leases{range="192.0.2.100-192.0.2.102",state="active"} 2
		netboot_range_leases{range="192.0.2.100-192.0.2.102",state="free"} 0
		netboot_range_leases{range="192.0.2.100-192.0.2.102",state="offered"} 0
	`
	if err := testutil.GatherAndCompare(l.metrics, strings.NewReader(want), pool.MetricAddresses, pool.MetricExhausted, pool.MetricLeases); err != nil {
		t.Error(err)
	}
}

func TestWhoNeedsNoAddressGetsNone(t *testing.T) {
	l := newLab(t)
	m := l.machine(1)
	m.gets(m.sends(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(ip("192.0.2.77"))), "0.0.0.0")
	m.mac = nil
	m.gets(m.sends(dhcpv4.MessageTypeDiscover), "silence")
	l.machine(2).boots("192.0.2.100")
}

// Vector F46: it never sends a REQUEST.
func TestARaspberryPisROMHasItsLeaseWithTheOffer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases")
	l := newLab(t, file, "192.0.2.100", "192.0.2.102", "10m")
	uuid := append([]byte{0}, strings.Repeat("\x44", 16)...)
	pi := l.machine(1, dhcpv4.WithGeneric(dhcpv4.OptionClassIdentifier, []byte("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 0}),
		dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(97), uuid))
	pi.mac = net.HardwareAddr{0xb8, 0x27, 0xeb, 1, 2, 3}
	pi.gets(pi.sends(dhcpv4.MessageTypeDiscover), "192.0.2.100")
	if !strings.Contains(l.log.String(), "msg=leased") {
		t.Errorf("no lease:\n%s", l.log.String())
	}
}

func TestEachMistakeInTheArgumentsIsExplained(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("this is no database, nor is it ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"x", "takes 4 words, but has 1; write a file"},
		{":memory: 1 ::1 0s", "\":memory:\" names no file; name one for the leases\n\"1\" is no IPv4 address; write one like 192.0.2.100\n\"::1\" is no IPv4 address; write one like 192.0.2.100\n\"0s\" is no lease time; write one like 1h or 10m"},
		{"x 192.0.2.9 192.0.2.1 1h", "comes after the last"},
		{"x 10.0.0.0 12.0.0.0 1h", "a pool can have 16777216"},
		{"x 192.0.2.1 192.0.2.9 1h relaxed durability=none hook=sh color=red hook=", `"relaxed" is too much; behind the lease time can stand durability=relaxed, hook=PROGRAM and dhcpd-leases=PATH
durability "none" is unknown; use strict or relaxed
the hook "sh" has no whole path; write it from / on
"color" is unknown; use durability, hook or dhcpd-leases
"hook=" is too much`},
		{dir + "/x 192.0.2.1 192.0.2.9 1h dhcpd-leases=/nowhere/x", "the copy of the leases for other programs: open /nowhere/x.new: no such file or directory; name a file where the daemon's user can write"},
		{dir + "/none/x 192.0.2.1 192.0.2.9 1h", "there is no directory " + dir + "/none; create it"},
		{dir + "/text 192.0.2.1 192.0.2.9 1h", dir + "/text is not what stock range keeps leases in, and would not be touched; name another file"},
	} {
		if _, err := pool.New(pool.Env{}).Setup4(strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.args, err)
		}
	}
	args := []string{dir + "/leases", "192.0.2.1", "192.0.2.9", "1h"}
	newLab(t, args...)
	if _, err := pool.New(pool.Env{}).Setup4(args...); err == nil || !strings.Contains(err.Error(), "are in use by another process; stop it, or name another file") {
		t.Errorf("the second one: %v", err)
	}
}

// stock has the stock plugin lend addresses, and leaves its file.
func stock(t *testing.T, file string, last ...byte) {
	t.Helper()
	lend, err := rangeplugin.Plugin.Setup4(file, "192.0.2.100", "192.0.2.110", "1h")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, handle: lend}
	for _, n := range last {
		l.machine(n, dhcpv4.WithOption(dhcpv4.OptHostName("a b|c\nd"))).sends(dhcpv4.MessageTypeDiscover)
	}
	nobody := l.machine(0)
	nobody.mac = nil
	nobody.sends(dhcpv4.MessageTypeDiscover) // which the stock plugin cannot read again
}

func TestLeasesOfStockRangeMoveIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases.sqlite3")
	stock(t, file, 1, 2, 3)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, file+"?_busy_timeout=1", "192.0.2.100", "192.0.2.110", "1h")
	if !strings.Contains(l.log.String(), "imported=3") {
		t.Errorf("%s", l.log.String())
	}
	for n := byte(1); n <= 3; n++ {
		want := "192.0.2." + []string{"100", "101", "102"}[n-1]
		m := l.machine(n)
		m.gets(m.sends(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(ip(want))), want)
	}
	l.machine(9).boots("192.0.2.103")
	after, err := os.ReadFile(file)
	if err != nil || string(before) != string(after) {
		t.Errorf("the file has changed, %v", err)
	}
}

func TestWithoutSQLitesProgramItSaysHowToMove(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases.sqlite3")
	stock(t, file, 1)
	t.Setenv("PATH", t.TempDir())
	_, err := pool.New(pool.Env{}).Setup4(file, "192.0.2.100", "192.0.2.110", "1h")
	if err == nil || !strings.Contains(err.Error(), "sqlite3, which reads them, is not installed; install it for this start, or move the file away") {
		t.Error(err)
	}
}

func TestSQLitesProgramIsThere(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Error("sqlite3 is not installed; run: sh integration/packages.sh test")
	}
}

func TestWhoOnlyLooksRunsNoHookAndWritesNoCopy(t *testing.T) {
	args, err := pool.Private(strings.Fields("x 192.0.2.1 192.0.2.9 1h hook=/bin/true durability=relaxed dhcpd-leases=/x"))
	if got := strings.Join(args, " "); err != nil || got != "x 192.0.2.1 192.0.2.9 1h durability=relaxed" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := pool.Private(strings.Fields("x 192.0.2.1 192.0.2.9 1h hook=/nowhere")); err == nil || !strings.Contains(err.Error(), "is no program") {
		t.Errorf("%v", err)
	}
}

// A reply must have the identifier unaltered, and one of more than 255 bytes leaves no room for the rest (RFC 6842).
func TestAClientIdentifierThatNoReplyCouldHaveGetsSilence(t *testing.T) {
	l := newLab(t)
	id := func(n int) dhcpv4.Modifier {
		return dhcpv4.WithGeneric(dhcpv4.OptionClientIdentifier, []byte(strings.Repeat("i", n)))
	}
	m := l.machine(1)
	m.gets(m.sends(dhcpv4.MessageTypeDiscover, id(255)), "192.0.2.100")
	m.gets(m.sends(dhcpv4.MessageTypeDiscover, id(256)), "silence")
	if !strings.Contains(l.log.String(), "its client identifier is too long") {
		t.Error(l.log.String())
	}
}
