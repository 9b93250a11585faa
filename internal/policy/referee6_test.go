package policy_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

const config6 = `
option space acme code width 2 length width 2;
option acme.url code 5 = text;
option acme.level code 6 = unsigned integer 16;
option vsio.acme code 343 = encapsulate acme;
option acme.url "http://acme.example";
option dhcp6.name-servers 2001:db8::53, 2001:db8::54;
option dhcp6.domain-search "a.example", "b.a.example";
option dhcp6.preference 7;
option dhcp6.info-refresh-time 3600;
option dhcp6.bootfile-url "global";
class "uefi" { match if option dhcp6.client-arch-type = 00:10; option dhcp6.bootfile-url "http://[2001:db8::1]/uefi.efi"; }
subnet6 2001:db8::/64 {
	range6 2001:db8::1000 2001:db8::2000;
	if exists dhcp6.user-class-x { option dhcp6.bootfile-url "user"; }
	if v6relay(1, option dhcp6.interface-id) = "eth7" { option acme.level 7; }
	if v6relay(2, option dhcp6.interface-id) = "uplink" { option dhcp6.sntp-servers 2001:db8::123; }
	if v6relay(0, option dhcp6.interface-id) = null { option dhcp6.bootfile-param 00:01:61; }
	if v6relay(33, option dhcp6.interface-id) = "uplink" { option dhcp6.sip-servers-names "far.example"; }
	if v6relay(9, option dhcp6.interface-id) != null { option dhcp6.bootfile-url "never"; }
	if substring(option dhcp6.client-id, 0, 2) = 00:03 { option dhcp6.nis-domain-name "duid-ll.example"; }
}
`

// wire6 are the options of a reply but those that are the server's own.
func wire6(m *dhcpv6.Message) string {
	var list []string
	for _, o := range m.Options.Options {
		if o.Code() > 2 {
			list = append(list, fmt.Sprintf("%d=%x", o.Code(), o.ToBytes()))
		}
	}
	return strings.Join(list, " ")
}

func TestDHCPv6RepliesAreThoseOfDhcpd(t *testing.T) {
	text := "option dhcp6.user-class-x code 15 = string;\n" + config6
	r, c := startReferee(t, "-6", text), readConfigFor(option.DHCP6, text)
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	generic := func(code dhcpv6.OptionCode, value string) dhcpv6.Option {
		return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: []byte(value)}
	}
	for name, options := range map[string][]dhcpv6.Option{
		"nothing asked":  nil,
		"everything":     {dhcpv6.OptRequestedOption(59, 24, 23, 17, 32, 60, 31, 29, 21, 99)},
		"uefi":           {dhcpv6.OptRequestedOption(59, 17), generic(61, "\x00\x10")},
		"a user class":   {dhcpv6.OptRequestedOption(23, 59), generic(15, "\x00\x04iPXE"), generic(61, "\x00\x10")},
		"vendor options": {dhcpv6.OptRequestedOption(17, 59)},
	} {
		for _, hops := range []int{1, 2} {
			m, err := dhcpv6.NewMessage()
			check(err)
			m.MessageType = dhcpv6.MessageTypeInformationRequest
			m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: mac}))
			for _, o := range options {
				m.AddOption(o)
			}
			var packet dhcpv6.DHCPv6 = m
			env := &policy.Env{Options: set6(m.Options.Options)}
			for hop := range hops {
				relay, err := dhcpv6.EncapsulateRelay(packet, dhcpv6.MessageTypeRelayForward, relayAddr6.AsSlice(), net.ParseIP("fe80::1"))
				check(err)
				relay.AddOption(dhcpv6.OptInterfaceID([]byte([]string{"eth7", "uplink"}[hop])))
				env.Relays = append(env.Relays, set6(relay.Options.Options))
				packet = relay
			}
			var want *dhcpv6.Message
			r.exchange(t, packet.ToBytes(), func(b []byte) bool {
				reply, err := dhcpv6.FromBytes(b)
				if err != nil {
					return false
				}
				want, err = reply.GetInnerMessage()
				return err == nil && want.TransactionID == m.TransactionID
			})
			var got []string
			for _, o := range c.policy.Evaluate(env, policy.Path{Network: c.network, Classes: policy.Match(nil, env, c.classes)}).Reply6() {
				got = append(got, fmt.Sprintf("%d=%x", o.Code, o.Value))
			}
			if strings.Join(got, " ") != wire6(want) {
				t.Errorf("%s, %d relays:\nwe say\n%s\ndhcpd says\n%s", name, hops, strings.Join(got, " "), wire6(want))
			}
		}
	}
}

func set6(options dhcpv6.Options) *option.Set {
	s := &option.Set{}
	for _, o := range options {
		s.Add(uint32(o.Code()), o.ToBytes())
	}
	return s
}
