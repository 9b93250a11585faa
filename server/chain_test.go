package server_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease/store"
	"github.com/coredhcp-netboot/suite/server"
)

// loaded is a configuration with this text.
func loaded(t *testing.T, text string, known ...string) *server.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range server.Stock() {
		known = append(known, p.Name)
	}
	c, err := server.Load(path, known)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// naming is a plugin that adds its argument to the reply's host name, or ends the chain there.
func naming(name string) *plugins.Plugin {
	return &plugins.Plugin{Name: name, Setup4: func(args ...string) (handler.Handler4, error) {
		if args[0] == "fails" {
			return nil, errors.New("will not")
		}
		return func(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
			if args[0] == "drops" {
				return nil, true
			}
			resp.UpdateOption(dhcpv4.OptHostName(resp.HostName() + args[0]))
			return resp, args[0] == "ends"
		}, nil
	}}
}

func asks(t *testing.T, kind dhcpv4.MessageType) []byte {
	t.Helper()
	req, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 1}, dhcpv4.WithMessageType(kind))
	if err != nil {
		t.Fatal(err)
	}
	return req.ToBytes()
}

func TestAChainRunsItsPluginsInOrderUntilOneEndsIt(t *testing.T) {
	for list, want := range map[string]string{"a b c": "abc", "a ends c": "aends", "a drops c": "", "a": "a"} {
		var text strings.Builder
		for _, word := range strings.Fields(list) {
			text.WriteString("\n    - names: " + word)
		}
		c := loaded(t, "server4:\n  plugins:"+text.String()+"\n", "names")
		ch, err := server.NewChain(c, map[string]*plugins.Plugin{"names": naming("names")})
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		reply, err := ch.Answer4(asks(t, dhcpv4.MessageTypeDiscover), func(l server.Link, reply []byte) {
			heard = append(heard, l.At.String())
		})
		if err != nil || (reply == nil) != (want == "") {
			t.Fatalf("%s: %x, %v", list, reply, err)
		}
		if want == "" {
			if last := heard[len(heard)-1]; !strings.HasSuffix(last, "config.yml:4") {
				t.Errorf("%s: the last heard of is %s", list, last)
			}
			continue
		}
		if resp, err := dhcpv4.FromBytes(reply); err != nil || resp.HostName() != want {
			t.Errorf("%s: %v, %v", list, resp, err)
		}
	}
}

func TestAPluginThatCannotBeSetUpIsNamedWithItsPlace(t *testing.T) {
	c := loaded(t, "server4:\n  plugins:\n    - names: fails\n", "names")
	_, err := server.NewChain(c, map[string]*plugins.Plugin{"names": naming("names")})
	if err == nil || !strings.HasSuffix(err.Error(), "config.yml:3: server4: plugin names: will not") {
		t.Errorf("got %v", err)
	}
}

func TestMessagesThatNobodyAnswersAreToldApart(t *testing.T) {
	ch, err := server.NewChain(loaded(t, "server4:\n  plugins:\n    - names: a\n", "names"), map[string]*plugins.Plugin{"names": naming("names")})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer))
	if err != nil {
		t.Fatal(err)
	}
	reply.OpCode = dhcpv4.OpcodeBootReply
	for want, message := range map[string][]byte{
		"cannot be read":          {1, 2, 3},
		"is a reply":              reply.ToBytes(),
		"has no message type":     asks(t, dhcpv4.MessageTypeDecline),
		"buffer too short at pos": asks(t, dhcpv4.MessageTypeDiscover)[:100],
	} {
		if got, err := ch.Answer4(message, nil); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%x, %v, not %s", got, err, want)
		}
	}
	for want, message := range map[string][]byte{"cannot be read": {1}, "has no message type": {2, 1, 2, 3}} {
		if got, err := ch.Answer6(message, nil); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("DHCPv6: %x, %v, not %s", got, err, want)
		}
	}
}

func TestARapidCommitIsRepliedTo(t *testing.T) {
	ch, err := server.NewChain(loaded(t, "server6:\n  plugins:\n    - dns: 2001:db8::53\n"), map[string]*plugins.Plugin{"dns": {Name: "dns"}})
	if err != nil {
		t.Fatal(err)
	}
	for want, modifiers := range map[dhcpv6.MessageType][]dhcpv6.Modifier{dhcpv6.MessageTypeAdvertise: nil, dhcpv6.MessageTypeReply: {dhcpv6.WithRapidCommit}} {
		solicit, err := dhcpv6.NewSolicit(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}, modifiers...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ch.Answer6(solicit.ToBytes(), nil)
		if err != nil || len(b) == 0 || dhcpv6.MessageType(b[0]) != want {
			t.Errorf("%x, %v, not a %s", b, err, want)
		}
	}
}

func TestAPrivateChainTouchesNoLeaseAndDoesNotSleep(t *testing.T) {
	c := loaded(t, "server4:\n  plugins:\n    - server_id: 192.0.2.1\n    - range: leases 192.0.2.2 192.0.2.9 1h\n    - range: leases 192.0.2.12 192.0.2.19 1h\n    - sleep: 24h\n")
	dir := filepath.Dir(c.Path)
	t.Chdir(dir)
	var heard []string
	ch, err := server.Private{Leases: store.Copies{Scratch: t.TempDir()}, Heard: func(_ logrus.Level, text string) { heard = append(heard, text) }}.Chain(c)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := ch.Answer4(asks(t, dhcpv4.MessageTypeDiscover), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := dhcpv4.FromBytes(reply); err != nil || resp.YourIPAddr.String() != "192.0.2.12" {
		t.Errorf("%v, %v", resp, err)
	}
	if len(heard) == 0 || !strings.Contains(strings.Join(heard, "\n"), "is new, leasing new IPv4 address") {
		t.Errorf("heard %q", heard)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside the configuration are %v, %v", left, err)
	}
}
