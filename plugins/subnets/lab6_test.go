package subnets_test

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server"
	"github.com/coredhcp-netboot/suite/server/request"
)

// lab6 is a server of DHCPv6 without a socket, on an interface with 2001:db8:1::1/64.
type lab6 struct {
	*lab
	facts request.Facts
}

// ours is the server's DUID. The plugin before subnets says it and, unlike server_id, checks nothing.
const ours = "\x00\x03\x00\x01\x52\x54\x00\x00\x00\x01"

func serverID() *plugins.Plugin {
	return &plugins.Plugin{Name: "id", Setup6: func(...string) (handler.Handler6, error) {
		return func(_, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) {
			resp.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: []byte(ours)})
			return resp, false
		}, nil
	}}
}

func newLab6(t testing.TB, file string, more ...*plugins.Plugin) *lab6 {
	t.Helper()
	l := &lab6{lab: &lab{t: t, dir: t.TempDir(), clock: &clock{now: time.Hour}, more: more}}
	l.facts = request.Facts{
		Interface: request.Interface{Index: 2, Name: "lan0", Addresses: []netip.Prefix{netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("2001:db8:1::1/64")}},
		Peer:      netip.MustParseAddrPort("[fe80::99]:546"), Local: netip.MustParseAddrPort("[ff02::1:2]:547"),
	}
	l.write(file)
	l.start()
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *lab6) start() {
	l.t.Helper()
	log := logrus.New()
	log.SetOutput(&l.log)
	log.SetLevel(logrus.DebugLevel)
	plugin, closing, reload := subnets.NewClosing(subnets.Env{Log: logrus.NewEntry(log), Clock: l.clock})
	l.closing, l.reload = closing, reload
	path := filepath.Join(l.dir, "config.yml")
	config := "server6:\n  listen: \"%lo\"\n  plugins:\n    - id:\n    - subnets: " + filepath.Join(l.dir, "subnets.yml") + "\n"
	names := []string{"id", "subnets"}
	known := map[string]*plugins.Plugin{"id": serverID(), "subnets": &plugin}
	for _, p := range l.more {
		known[p.Name] = p
		names = append(names, p.Name)
		config += "    - " + p.Name + ":\n"
	}
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		l.t.Fatal(err)
	}
	c, err := server.Load(path, names)
	if err == nil {
		l.chain, err = server.NewChain(c, known)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab6) restarts() {
	l.t.Helper()
	l.stop()
	l.start()
}

// client is one with a DUID, by its IAID 1 unless it says otherwise.
type client struct {
	*lab6
	duid string
	from func(*dhcpv6.Message) dhcpv6.DHCPv6 // puts a message into those of relays; nil: the client is on the server's link
}

// client has a DUID-LL, and so a MAC.
func (l *lab6) client(n byte) *client {
	return &client{lab6: l, duid: "\x00\x03\x00\x01\x52\x54\x00\x00\x01" + string([]byte{n})}
}

// stranger has a DUID-UUID, which tells no MAC.
func (l *lab6) stranger(n byte) *client {
	return &client{lab6: l, duid: "\x00\x04" + strings.Repeat(string([]byte{n}), 16)}
}

// ia is what a message has of an association: na 1 [address ...], pd 1 [prefix ...] or ta 1.
func ia(text string) dhcpv6.Option {
	words := strings.Fields(text)
	var id [4]byte
	_, _ = fmt.Sscan(words[1], &id[3])
	var inside dhcpv6.Options
	for _, w := range words[2:] {
		if p, err := netip.ParsePrefix(w); err == nil {
			inside.Add(&dhcpv6.OptIAPrefix{Prefix: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 128)}})
			continue
		}
		inside.Add(&dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP(w)})
	}
	switch words[0] {
	case "pd":
		return &dhcpv6.OptIAPD{IaId: id, Options: dhcpv6.PDOptions{Options: inside}}
	case "ta":
		return &dhcpv6.OptIATA{IaId: id}
	}
	return &dhcpv6.OptIANA{IaId: id, Options: dhcpv6.IdentityOptions{Options: inside}}
}

// message is a request: its type, and options or texts that ia reads.
func (c *client) message(t dhcpv6.MessageType, with ...any) *dhcpv6.Message {
	m := &dhcpv6.Message{MessageType: t, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	if c.duid != "" {
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: []byte(c.duid)})
	}
	for _, w := range with {
		switch w := w.(type) {
		case string:
			m.AddOption(ia(w))
		case dhcpv6.Option:
			m.AddOption(w)
		}
	}
	return m
}

// names is a server identifier.
func names(duid string) dhcpv6.Option {
	return &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: []byte(duid)}
}

func rapid() dhcpv6.Option { return &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit} }

// sends is what the reply to a message says, as told; "silence": there is none.
func (c *client) sends(m *dhcpv6.Message) string {
	c.t.Helper()
	reply := c.reply(m)
	if reply == nil {
		return "silence"
	}
	return told(reply)
}

func (c *client) reply(m *dhcpv6.Message) *dhcpv6.Message {
	c.t.Helper()
	var req dhcpv6.DHCPv6 = m
	if c.from != nil {
		req = c.from(m)
	}
	b, err := c.chain.AnswerFrom6(req.ToBytes(), c.facts, nil)
	if err != nil {
		c.t.Fatalf("%v\n%s", err, c.log.String())
	}
	if b == nil {
		return nil
	}
	reply, err := dhcpv6.FromBytes(b)
	if err != nil {
		c.t.Fatal(err)
	}
	inner, err := reply.GetInnerMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	if id := inner.GetOneOption(dhcpv6.OptionServerID); id == nil || string(id.ToBytes()) != ours {
		c.t.Errorf("a reply has the server identifier %v", id)
	}
	return inner
}

// told is a reply in words: "REPLY; na 1 2001:db8:1::1000 pref 5400 valid 7200; status Success".
func told(m *dhcpv6.Message) string {
	parts := []string{m.MessageType.String()}
	for _, o := range m.Options.Options {
		switch o := o.(type) {
		case *dhcpv6.OptIANA:
			parts = append(parts, fmt.Sprintf("na %d", o.IaId[3])+inside(o.Options.Options))
		case *dhcpv6.OptIAPD:
			parts = append(parts, fmt.Sprintf("pd %d", o.IaId[3])+inside(o.Options.Options))
		case *dhcpv6.OptIATA:
			parts = append(parts, fmt.Sprintf("ta %d", o.IaId[3])+inside(o.Options.Options))
		case *dhcpv6.OptStatusCode:
			parts = append(parts, o.StatusCode.String())
		case *dhcpv6.OptionGeneric:
			if o.OptionCode == dhcpv6.OptionRapidCommit {
				parts = append(parts, "rapid")
			}
		}
	}
	return strings.Join(parts, "; ")
}

func inside(options dhcpv6.Options) (text string) {
	for _, o := range options {
		switch o := o.(type) {
		case *dhcpv6.OptIAAddress:
			text += fmt.Sprintf(" %s for %d/%d", o.IPv6Addr, o.PreferredLifetime/time.Second, o.ValidLifetime/time.Second)
		case *dhcpv6.OptIAPrefix:
			text += fmt.Sprintf(" %s for %d/%d", o.Prefix, o.PreferredLifetime/time.Second, o.ValidLifetime/time.Second)
		case *dhcpv6.OptStatusCode:
			text += " " + o.StatusCode.String()
		}
	}
	return text
}

// hears checks what a message is answered with.
func (c *client) hears(want string, m *dhcpv6.Message) {
	c.t.Helper()
	if got := c.sends(m); got != want {
		c.t.Errorf("%s of %s hears %q, want %q\n%s", m.MessageType, hex.EncodeToString([]byte(c.duid)), got, want, c.log.String())
	}
}

// relayed puts messages into those of relays, the one nearest to the client first.
func relayed(links ...string) func(*dhcpv6.Message) dhcpv6.DHCPv6 {
	return func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
		var out dhcpv6.DHCPv6 = m
		for i, link := range links {
			r := &dhcpv6.RelayMessage{MessageType: dhcpv6.MessageTypeRelayForward, HopCount: uint8(i), LinkAddr: net.ParseIP(link), PeerAddr: net.ParseIP("fe80::77")}
			if i == 0 {
				r.AddOption(dhcpv6.OptInterfaceID([]byte("port 7")))
			}
			r.AddOption(dhcpv6.OptRelayMessage(out))
			out = r
		}
		return out
	}
}

// tells is the option by which a relay tells the client's MAC (RFC 6939).
func tells(mac string) func(*dhcpv6.Message) dhcpv6.DHCPv6 {
	hw, _ := net.ParseMAC(mac)
	return func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
		r := &dhcpv6.RelayMessage{MessageType: dhcpv6.MessageTypeRelayForward, LinkAddr: net.ParseIP("2001:db8:1::1"), PeerAddr: net.ParseIP("fe80::77")}
		r.AddOption(dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, hw))
		r.AddOption(dhcpv6.OptRelayMessage(m))
		return r
	}
}
