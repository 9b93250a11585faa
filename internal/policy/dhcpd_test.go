package policy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
)

// referee is a real dhcpd, asked as by a relay.
type referee struct {
	conn   net.PacketConn
	server netip.AddrPort
	log    string
}

var (
	serverAddr = netip.MustParseAddr("10.1.1.1")
	relayAddr  = netip.MustParseAddr("10.1.1.2")
)

var (
	serverAddr6 = netip.MustParseAddr("2001:db8::1")
	relayAddr6  = netip.MustParseAddr("2001:db8::2")
)

func newReferee(t *testing.T, text string) *referee { return startReferee(t, "-4", text) }

// startReferee runs dhcpd -4 or -6.
func startReferee(t *testing.T, family, text string) *referee {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(nettest.Need("dhcpd"))
	dir := t.TempDir()
	must(os.Chmod(dir, 0o755))
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	n := nettest.New(t)
	server, err := n.Space("dhcpd")
	must(err)
	client, err := n.Space("relay")
	must(err)
	must(server.Veth("srv0", client, "cli0"))
	must(server.Address("srv0", netip.PrefixFrom(serverAddr, 24)))
	must(client.Address("cli0", netip.PrefixFrom(relayAddr, 24)))
	// nodad: until the kernel has looked for another machine with the address nobody could bind to it.
	must(server.IP("addr", "add", netip.PrefixFrom(serverAddr6, 64).String(), "dev", "srv0", "nodad"))
	must(client.IP("addr", "add", netip.PrefixFrom(relayAddr6, 64).String(), "dev", "cli0", "nodad"))
	r := &referee{log: filepath.Join(dir, "log")}
	log, err := os.Create(r.log)
	must(err)
	t.Cleanup(func() { log.Close() })
	cmd := server.Command("dhcpd", family, "-f", "-d", "--no-pid", "-cf", file("dhcpd.conf", text), "-lf", file("leases", ""), "srv0")
	cmd.Stdout, cmd.Stderr = log, log
	process, err := server.Start(cmd)
	must(err)
	network, at := "udp4", netip.AddrPortFrom(relayAddr, 67)
	r.server = netip.AddrPortFrom(serverAddr, 67)
	if family == "-6" {
		network, at, r.server = "udp6", netip.AddrPortFrom(relayAddr6, 547), netip.AddrPortFrom(serverAddr6, 547)
	}
	must(client.Do(func() (err error) {
		r.conn, err = net.ListenPacket(network, at.String())
		return err
	}))
	t.Cleanup(func() { r.conn.Close() })
	for deadline := time.Now().Add(time.Minute); !r.said("Server starting service"); {
		select {
		case <-process.Done():
			t.Fatalf("dhcpd ended: %v\n%s", process.Err(), r.words())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("dhcpd is not ready: %s", r.words())
		}
	}
	return r
}

func (r *referee) words() string {
	b, _ := os.ReadFile(r.log)
	return string(b)
}

func (r *referee) said(text string) bool { return strings.Contains(r.words(), text) }

// answer is dhcpd's reply to a request.
func (r *referee) answer(t *testing.T, request *dhcpv4.DHCPv4) (reply *dhcpv4.DHCPv4) {
	t.Helper()
	request.GatewayIPAddr = relayAddr.AsSlice()
	r.exchange(t, request.ToBytes(), func(b []byte) bool {
		m, err := dhcpv4.FromBytes(b)
		reply = m
		return err == nil && m.TransactionID == request.TransactionID
	})
	return reply
}

// exchange sends a message, again every few seconds as a client does, and reads what comes until one is the reply.
func (r *referee) exchange(t *testing.T, message []byte, reply func([]byte) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := r.conn.WriteTo(message, net.UDPAddrFromAddrPort(r.server)); err != nil {
			t.Fatal(err)
		}
		if err := r.conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			b := make([]byte, 1500)
			n, _, err := r.conn.ReadFrom(b)
			if err == nil && reply(b[:n:n]) {
				return
			}
			if err != nil && time.Now().After(deadline) {
				t.Fatalf("no reply: %v\n%s", err, r.words())
			}
			if err != nil {
				break
			}
		}
	}
}

// crowd are clients of all sorts.
func crowd(t *testing.T) map[string]*dhcpv4.DHCPv4 {
	t.Helper()
	list := map[string]*dhcpv4.DHCPv4{}
	client := func(name string, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
		m, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0, 0, byte(len(list) + 1)})
		if err != nil {
			t.Fatal(err)
		}
		m.Options = dhcpv4.Options{53: {1}, 57: {5, 192}}
		for _, o := range options {
			m.UpdateOption(o)
		}
		list[name] = m
		return m
	}
	raw := func(code uint8, value string) dhcpv4.Option {
		return dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value))
	}
	ipxe := raw(175, "\xb1\x05\x01\x1a\xf4\x10\x00\x13\x01\x01\x24\x01\x01")
	client("none")
	client("bios", raw(60, "PXEClient:Arch:00000:UNDI:002001"), raw(93, "\x00\x00"))
	client("uefi", raw(60, "PXEClient:Arch:00007:UNDI:003016"), raw(93, "\x00\x07"), raw(12, "host-a"))
	client("two", raw(60, "PXEClient:Arch:00007:UNDI:003016"), raw(93, "\x00\x07\x00\x09"), raw(61, "\x01\x52\x54\x00\x00\x00\x04"))
	client("known", raw(60, "PXEClient:Arch:00007"), raw(93, "\x00\x07"), raw(77, "iPXE"), ipxe).BootFileName = "x"
	client("ipxe", raw(77, "iPXE"), raw(93, "\x00\x00"), ipxe).ServerHostName = "PXE"
	client("rfc3004", raw(77, "\x04iPXE"), raw(93, "\x00\x07"), ipxe)
	client("short", raw(60, "PX"), raw(12, "x"))
	client("http", raw(60, "HTTPClient:Arch:00016:UNDI:003016"), raw(93, "\x00\x10"))
	client("relayed", raw(60, "PXEClient:Arch:00007"), raw(93, "\x00\x07"), raw(82, "\x01\x04\xde\xad\xbe\xef\x02\x03PXE"))
	client("fqdn", raw(81, "\x04\x00\x00\x06host-a\x07example\x03net\x00"), raw(60, ""), raw(12, ""))
	client("ascii", raw(81, "\x03\x00\xffPXE.x"), raw(60, "PXE"), raw(43, "\x01\x01\x07\xff"))
	client("odd", raw(60, "a\x00b"), raw(93, "\x07"), raw(12, "PXEClient"), raw(175, "\x13\x05\x01"))
	client("long", raw(60, strings.Repeat("x", 200)), raw(77, strings.Repeat("iPXE", 50)), raw(175, "\x00\x00\x24\x01\x01\xff\x13\x01\x01"))
	return list
}

// environment is what a server tells the policy of this exchange.
func (c *config) environment(request, reply *dhcpv4.DHCPv4) (*policy.Env, policy.Path) {
	env, at := c.request(request.ClientHWAddr, request.Options)
	env.Packet = request.ToBytes()
	env.File, env.ServerName = []byte(request.BootFileName), []byte(request.ServerHostName)
	env.Address, _ = netip.AddrFromSlice(reply.YourIPAddr.To4())
	return env, at
}

func TestRandomConditionsAreWhatDhcpdFindsThem(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { compares(t, writer{rand.New(rand.NewPCG(seed, 2026))}) })
	}
}

// compares asks dhcpd and the policy for the same conditions over the same clients.
func compares(t *testing.T, w writer) {
	conditions := make([]string, spaces*perSpace)
	for i := range conditions {
		conditions[i] = w.condition(3)
	}
	text := randomConfig(conditions)
	r, c := newReferee(t, text), readConfig(text)
	trues, all := 0, 0
	for name, request := range crowd(t) {
		reply := r.answer(t, request)
		env, at := c.environment(request, reply)
		sent := map[uint32][]byte{}
		for _, o := range c.policy.Evaluate(env, at).Reply4() {
			sent[o.Code] = o.Value
		}
		for s := range spaces {
			code := uint8(224 + s)
			want, got := results(reply.Options[code]), results(sent[uint32(code)])
			for o := range want {
				if want[o] != got[o] {
					t.Errorf("%s: is %v to us and %v to dhcpd: %s", name, got[o], want[o], conditions[s*perSpace+o])
				}
				trues, all = trues+max(want[o], 0), all+1
			}
			if !bytes.Equal(reply.Options[code], sent[uint32(code)]) && !t.Failed() {
				t.Errorf("%s: option %d is in another order", name, code)
			}
		}
	}
	if trues < all/10 || trues > all*9/10 {
		t.Errorf("%d of %d answers are true: the conditions are too simple", trues, all)
	}
}

// results are the values of the options in a space, by their codes less one.
func results(b []byte) (list [perSpace]int) {
	for i := range list {
		list[i] = -1
	}
	for ; len(b) >= 3; b = b[3:] {
		list[b[0]-1] = int(b[2])
	}
	return list
}

// Each is wrong in its own way, or only looks so.
var doubtful = []string{
	`option arch = 00:07`, `(option arch = 00:07)`, `known and known`, `not known and known`,
	`not option arch = 00:07`, `not (option arch = 00:07)`, `option arch`, `substring(option arch, 0, 1)`,
	`option arch = `, `= option arch`, `option arch == 00:07`, `option arch = 00:07 and`, `exists`, `exists "arch"`,
	`exists nonesuch`, `option none.such = 1`, `option ipxe.nonesuch = 1`, `known = 1`,
	`option arch = 7`, `option arch = 300`, `option arch = 0x7`, `option arch = 00:0g`, `option arch = fade`, `option arch = 00:`,
	`extract-int(option arch, 16) = 7`, `extract-int(option arch, 24) = 7`, `extract-int(option arch, 16) = 00:07`,
	`substring(option arch, 0) = 00`, `substring(option arch, 0, 1, 2) = 00`, `substring(option arch 0, 1) = 00`,
	`substring(option arch, "0", 1) = 00`, `suffix(7, 1) = 07`, `concat(option arch) = 00`, `concat(option arch, 00, 01) = 00`,
	`pick-first-value(option arch) = 00`, `encode-int(7) = 07`, `option arch ~= "^a"`, `option arch ~= known`, `known ~= "a"`,
	`option arch !~ "a"`, `option arch ! 00`, `((known)`, `(known))`, `known or or known`, `known known`, `lease-time = 7`, `lease-time = known`,
	`option arch = "a`, `option host-name = "\x41\101\q"`, `hardware = 1:52:54:00:00:00:01`, `binary-to-ascii(10, 8, ".", hardware) = "1"`,
	`packet(0, 1) = 01`, `reverse(1, hardware) = 01`, `lcase(option arch, 1) = 00`, `option arch = null`, `null = null`, `defined(x-y)`,
	`x-y = "a"`, `static`, `static = known`, `known and option arch`, `option arch and known`, `option arch = known`,
	`(extract-int(option arch, 16) + 1) = 8`, `(option arch + 1) = 8`, `"a" = "a"`, `00:07 = option arch`, `option arch = 00:07 or 1`,
}

func TestDhcpdAndThePolicyRefuseTheSameConditions(t *testing.T) {
	if _, err := exec.LookPath("dhcpd"); err != nil {
		t.Fatal("dhcpd is not installed; run: sh integration/packages.sh test")
	}
	options := readConfig(declarations).options
	for _, text := range doubtful {
		file := filepath.Join(t.TempDir(), "dhcpd.conf")
		class := fmt.Sprintf("class \"c\" { match if %s; }\n", text)
		if err := os.WriteFile(file, []byte(declarations+class), 0o600); err != nil {
			t.Fatal(err)
		}
		said, refused := exec.Command("dhcpd", "-t", "-cf", file).CombinedOutput()
		_, err := expr.Condition(conf.Pos{File: "dhcpd.conf", Line: 1, Column: 1}, text, expr.Words{Options: options, Variables: true})
		if (refused != nil) != (err != nil) {
			t.Errorf("%s\nus: %v\ndhcpd: %v %s", text, err, refused, said)
		}
	}
}
