package server

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// wordy is a plugin that answers with options of this many bytes.
func wordy(sizes map[dhcpv6.OptionCode]int) *plugins.Plugin {
	return &plugins.Plugin{Name: "wordy", Setup6: func(...string) (handler.Handler6, error) {
		return func(_, resp dhcpv6.DHCPv6) (dhcpv6.DHCPv6, bool) {
			for code, size := range sizes {
				resp.AddOption(&dhcpv6.OptionGeneric{OptionCode: code, OptionData: bytes.Repeat([]byte{'a'}, size)})
			}
			return resp, false
		}, nil
	}}
}

func TestADHCPv6ReplyFitsIntoAFrame(t *testing.T) {
	const unasked, asked, last = dhcpv6.OptionCode(200), dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionCode(201)
	url := dhcpv6.OptionBootfileURL
	for _, c := range []struct {
		sizes map[dhcpv6.OptionCode]int
		kept  []dhcpv6.OptionCode // nil: there is no reply
	}{
		{map[dhcpv6.OptionCode]int{unasked: 400, asked: 320, last: 320, url: 300}, []dhcpv6.OptionCode{unasked, asked, last, url}},
		{map[dhcpv6.OptionCode]int{unasked: 500, asked: 320, last: 320, url: 300}, []dhcpv6.OptionCode{asked, last, url}},
		{map[dhcpv6.OptionCode]int{unasked: 500, asked: 320, last: 900, url: 300}, []dhcpv6.OptionCode{asked, url}},
		{map[dhcpv6.OptionCode]int{unasked: 500, asked: 1200, last: 900, url: 300}, []dhcpv6.OptionCode{url}},
		{map[dhcpv6.OptionCode]int{url: 1500}, []dhcpv6.OptionCode{}},
		{map[dhcpv6.OptionCode]int{dhcpv6.OptionIAPD: 1500}, nil},
	} {
		o := open(t, Options{Workers: 1}, nil, wordy(c.sizes))
		msg, err := dhcpv6.NewSolicit(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}, dhcpv6.WithRequestedOptions(asked, last))
		if err != nil {
			t.Fatal(err)
		}
		o.accept(through(t, msg.ToBytes(), 0, "2001:db8::1"), o.six, relayed())
		o.work()
		if c.kept == nil {
			if len(o.sent.letters) > 0 {
				t.Errorf("%v: sent", c.sizes)
			}
			continue
		}
		if len(o.sent.letters) != 1 || len(o.sent.letters[0].payload) > maxSize6 {
			t.Errorf("%v: %d replies, or it is too long", c.sizes, len(o.sent.letters))
			continue
		}
		reply, err := dhcpv6.FromBytes(o.sent.letters[0].payload)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := reply.GetInnerMessage()
		if err != nil {
			t.Fatal(err)
		}
		var kept []dhcpv6.OptionCode
		for _, code := range []dhcpv6.OptionCode{unasked, asked, last, url} {
			if inner.GetOneOption(code) != nil {
				kept = append(kept, code)
			}
		}
		if fmt.Sprint(kept) != fmt.Sprint(c.kept) || inner.Options.ClientID() == nil {
			t.Errorf("%v: kept %v, want %v", c.sizes, kept, c.kept)
		}
		if said := o.hook.LastEntry(); (len(c.kept) < len(c.sizes)) != (said != nil && said.Message == "reply shortened") {
			t.Errorf("%v: logged %v", c.sizes, said)
		}
	}
}
