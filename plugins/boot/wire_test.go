package boot_test

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins/serverid"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/server/request"
)

type handler4 = handler.Handler4

// A chain is what CoreDHCP's loop makes of a request: bytes in, bytes out, with the stock server_id, a plugin that lends
// addresses, and boot.
type chain struct {
	t     testing.TB
	four  []handler.Handler4
	six   []handler.Handler6
	log   *logrus.Logger
	hook  *logtest.Hook
	asked *dhcpv4.DHCPv4 // the request as the plugins left it
}

// newChain serves the map with this text.
func newChain(t testing.TB, text string) *chain {
	t.Helper()
	path := filepath.Join(t.TempDir(), "boot.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return chainOf(t, path)
}

func chainOf(t testing.TB, path string) *chain {
	t.Helper()
	return chainIn(t, path, boot.Env{})
}

func chainIn(t testing.TB, path string, env boot.Env) *chain {
	t.Helper()
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	logger.GetLogger("test").Logger.SetOutput(io.Discard) // of the stock plugins
	c := &chain{t: t, log: log, hook: hook}
	env.Log = logrus.NewEntry(log)
	plugin := boot.New(env)
	id4, err := serverid.Plugin.Setup4("10.0.0.1")
	must(t, err)
	id6, err := serverid.Plugin.Setup6("LL", "52:54:00:00:00:01")
	must(t, err)
	boot4, err := plugin.Setup4(path)
	must(t, err)
	boot6, err := plugin.Setup6(path)
	must(t, err)
	c.four = []handler.Handler4{id4, lend, boot4}
	c.six = []handler.Handler6{id6, boot6}
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lend gives everybody but an INFORM the address 10.0.0.100.
func lend(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	resp.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))
	if req.MessageType() != dhcpv4.MessageTypeInform {
		resp.YourIPAddr = net.IPv4(10, 0, 0, 100).To4()
		resp.UpdateOption(dhcpv4.OptIPAddressLeaseTime(3600e9))
	}
	return resp, false
}

// ask4 does what CoreDHCP's HandleMsg4 does; nil is silence.
func (c *chain) ask4(message []byte) []byte { return c.ask4At(message, "") }

// ask4At is ask4 for a request that came to this address and port, as the packet engine tells it; empty: not told.
func (c *chain) ask4At(message []byte, local string) []byte {
	req, err := dhcpv4.FromBytes(message)
	if err != nil || req.OpCode != dhcpv4.OpcodeBootRequest {
		return nil
	}
	resp, err := dhcpv4.NewReplyFromRequest(req)
	must(c.t, err)
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
	case dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform:
		resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeAck))
	default:
		return nil
	}
	c.asked = req
	if local != "" {
		r := request.Open(req, request.Facts{
			Interface: request.Interface{Index: 7, Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
			Local:     netip.MustParseAddrPort(local),
		})
		defer r.Close()
	}
	for _, h := range c.four {
		var stop bool
		if resp, stop = h(req, resp); stop {
			break
		}
	}
	if resp == nil {
		return nil
	}
	return resp.ToBytes()
}

// hold asks like ask4At, and tells whether the reply is held back when the chain has ended.
func (c *chain) hold(asks request4, local string) (reply *dhcpv4.DHCPv4, held bool) {
	req, err := dhcpv4.FromBytes(asks.bytes())
	must(c.t, err)
	resp, err := dhcpv4.NewReplyFromRequest(req)
	must(c.t, err)
	kind := dhcpv4.MessageTypeAck
	if req.MessageType() == dhcpv4.MessageTypeDiscover {
		kind = dhcpv4.MessageTypeOffer
	}
	resp.UpdateOption(dhcpv4.OptMessageType(kind))
	r := request.Open(req, request.Facts{Local: netip.MustParseAddrPort(local)})
	for _, h := range c.four {
		resp, _ = h(req, resp)
	}
	r.Close()
	left := make(chan error, 1)
	r.Finish(func(err error) { left <- err })
	held = len(left) == 0
	must(c.t, <-left)
	return resp, held
}

// ask6 does what CoreDHCP's HandleMsg6 does.
func (c *chain) ask6(request []byte) []byte {
	req, err := dhcpv6.FromBytes(request)
	if err != nil {
		return nil
	}
	msg, err := req.GetInnerMessage()
	if err != nil {
		return nil
	}
	var resp dhcpv6.DHCPv6
	switch msg.Type() {
	case dhcpv6.MessageTypeSolicit:
		resp, err = dhcpv6.NewAdvertiseFromSolicit(msg)
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeInformationRequest, dhcpv6.MessageTypeRenew:
		resp, err = dhcpv6.NewReplyFromMessage(msg)
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	for _, h := range c.six {
		var stop bool
		if resp, stop = h(req, resp); stop {
			break
		}
	}
	if resp == nil {
		return nil
	}
	if relay, ok := req.(*dhcpv6.RelayMessage); ok {
		if resp, err = dhcpv6.NewRelayReplFromRelayForw(relay, resp.(*dhcpv6.Message)); err != nil {
			return nil
		}
	}
	return resp.ToBytes()
}

// A tlv is one DHCPv4 option as it stands on the wire.
type tlv struct {
	code  uint8
	value []byte
}

func opt(code uint8, value string) tlv { return tlv{code, []byte(value)} }

// bin is an option of hex digits, with spaces where they help.
func bin(code uint8, digits string) tlv {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	return tlv{code, b}
}

// A request4 is a DHCPv4 request; the zero value of a field is what an ordinary client has there.
type request4 struct {
	flags, secs uint16
	ciaddr      string
	giaddr      string
	hops        uint8
	file        string
	mac         string
	options     []tlv
	noEnd       bool
	cut         int // bytes missing at the end
}

// with is the request with these options in place of those of the same code, or added.
func (r request4) with(options ...tlv) request4 {
	out := r
	out.options = nil
	for _, o := range r.options {
		if !hasCode(options, o.code) {
			out.options = append(out.options, o)
		}
	}
	for _, o := range options {
		if o.value != nil {
			out.options = append(out.options, o)
		}
	}
	return out
}

// without is the request without these options.
func (r request4) without(codes ...uint8) request4 {
	var gone []tlv
	for _, c := range codes {
		gone = append(gone, tlv{code: c})
	}
	return r.with(gone...)
}

func hasCode(options []tlv, code uint8) bool {
	for _, o := range options {
		if o.code == code {
			return true
		}
	}
	return false
}

func (r request4) bytes() []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2], b[3] = 1, 1, 6, r.hops
	binary.BigEndian.PutUint32(b[4:], 0x11223344)
	binary.BigEndian.PutUint16(b[8:], r.secs)
	binary.BigEndian.PutUint16(b[10:], r.flags)
	if r.ciaddr != "" {
		copy(b[12:], net.ParseIP(r.ciaddr).To4())
	}
	if r.giaddr != "" {
		copy(b[24:], net.ParseIP(r.giaddr).To4())
	}
	mac := r.mac
	if mac == "" {
		mac = "52:54:00:aa:bb:cc"
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	copy(b[28:], hw)
	copy(b[108:], r.file)
	copy(b[236:], []byte{99, 130, 83, 99})
	for _, o := range r.options {
		b = append(append(b, o.code, byte(len(o.value))), o.value...)
	}
	if !r.noEnd {
		b = append(b, 255)
	}
	return b[:len(b)-r.cut]
}

// A reply4 is a reply taken apart byte by byte, by none of the code under test.
type reply4 struct {
	raw     []byte
	options []tlv
	end     bool
}

func parse4(t testing.TB, raw []byte) *reply4 {
	t.Helper()
	if raw == nil {
		return nil
	}
	r := &reply4{raw: raw}
	for b := raw[240:]; len(b) > 0; {
		switch b[0] {
		case 0:
			b = b[1:]
			continue
		case 255:
			r.end = true
			return r
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			t.Fatalf("option %d is cut short", b[0])
		}
		r.options = append(r.options, tlv{b[0], b[2 : 2+int(b[1])]})
		b = b[2+int(b[1]):]
	}
	return r
}

// get is an option's value; nil if it is not there.
func (r *reply4) get(code uint8) []byte {
	for _, o := range r.options {
		if o.code == code {
			return o.value
		}
	}
	return nil
}

func (r *reply4) count(code uint8) (n int) {
	for _, o := range r.options {
		if o.code == code {
			n++
		}
	}
	return n
}

func (r *reply4) siaddr() net.IP { return net.IP(r.raw[20:24]) }
func (r *reply4) yiaddr() net.IP { return net.IP(r.raw[16:20]) }
func (r *reply4) file() string   { return cString(r.raw[108:236]) }
func (r *reply4) sname() string  { return cString(r.raw[44:108]) }

// bootFile is the file that option 67 names, without its NUL.
func (r *reply4) bootFile() string { return strings.TrimSuffix(string(r.get(67)), "\x00") }

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
