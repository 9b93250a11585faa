package subnets_test

import (
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Mutated messages never panic, and one that names another server, or one that must name us and does not, is never answered.
func FuzzDHCPv6(f *testing.F) {
	l := newLab6(f, "rapid-commit: true\n"+office6)
	c := l.client(1)
	for _, m := range []*dhcpv6.Message{
		c.message(solicit, rapid(), "na 1 2001:db8:1::1000", "pd 1 2001:db8:8000::/48", "ta 1"),
		c.message(request6, names(ours), "na 1", "na 2", "pd 1"), c.message(confirm, "na 1 2001:db8:1::77"),
		c.message(renew, names(ours), "na 1 2001:db8:1::1000 2001:db8:7::1"), c.message(rebind, "na 1 2001:db8:1::1000", "pd 1 ::/0"),
		c.message(release6, names(ours), "na 1 2001:db8:1::1000"), c.message(decline6, names(ours), "na 1 2001:db8:1::1000"),
		c.message(information, dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer)), c.message(request6, names("another"), "na 1"),
	} {
		f.Add(m.ToBytes())
		f.Add(relayed("2001:db8:1::2", "::")(m).ToBytes())
		f.Add(tells("52:54:00:aa:bb:01")(m).ToBytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l.t = t
		reply, err := l.chain.AnswerFrom6(b, l.facts, nil)
		req, unreadable := dhcpv6.FromBytes(b)
		if unreadable != nil {
			return
		}
		msg, unreadable := req.GetInnerMessage()
		if unreadable != nil {
			return
		}
		if err != nil && msg.Type() <= dhcpv6.MessageTypeInformationRequest && msg.GetOneOption(dhcpv6.OptionClientID) != nil {
			switch msg.Type() {
			case solicit, request6, confirm, renew, rebind, release6, decline6, information:
				t.Fatalf("%x: %v", b, err)
			}
		}
		if reply == nil {
			return
		}
		named := ""
		if o := msg.GetOneOption(dhcpv6.OptionServerID); o != nil {
			named = string(o.ToBytes())
		}
		switch kind := msg.Type(); {
		case named != "" && named != ours:
			t.Errorf("%s for another server is answered: %x", kind, reply)
		case named == "" && (kind == request6 || kind == renew || kind == release6 || kind == decline6):
			t.Errorf("%s for nobody is answered: %x", kind, reply)
		}
	})
}
