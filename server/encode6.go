package server

import (
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// maxSize6 is what one Ethernet frame has room for: firmware puts no fragments together.
const maxSize6 = 1500 - 40 - udpHeader

// encode6 is the reply to req as its relays want it, in at most limit bytes. What does not fit is left out of it and
// returned: first what the client did not ask for, then what it asked for last, boot options last of all. Not ok: what
// must be there does not fit.
func encode6(req, resp dhcpv6.DHCPv6, limit int) (b []byte, left []dhcpv6.OptionCode, ok bool) {
	b = wrap6(req, resp).ToBytes()
	reply, plain := resp.(*dhcpv6.Message)
	if len(b) <= limit || !plain {
		return b, nil, len(b) <= limit
	}
	var wanted dhcpv6.OptionCodes
	if msg, err := req.GetInnerMessage(); err == nil {
		wanted = msg.Options.RequestedOptions()
	}
	short := *reply // the plugins may keep theirs
	short.Options.Options = slices.Clone(reply.Options.Options)
	for len(b) > limit {
		at := -1
		for i, o := range short.Options.Options {
			d := dispensable6(o.Code(), wanted)
			if d != needed && (at < 0 || d >= dispensable6(short.Options.Options[at].Code(), wanted)) {
				at = i
			}
		}
		if at < 0 {
			return b, left, false
		}
		left = append(left, short.Options.Options[at].Code())
		short.Options.Options = slices.Delete(short.Options.Options, at, at+1)
		b = wrap6(req, &short).ToBytes()
	}
	return b, left, true
}

// dispensable6 is dispensable for DHCPv6.
func dispensable6(code dhcpv6.OptionCode, wanted dhcpv6.OptionCodes) int {
	switch code {
	case dhcpv6.OptionClientID, dhcpv6.OptionServerID, dhcpv6.OptionIANA, dhcpv6.OptionIATA, dhcpv6.OptionIAPD,
		dhcpv6.OptionPreference, dhcpv6.OptionStatusCode, dhcpv6.OptionRapidCommit:
		return needed
	case dhcpv6.OptionBootfileURL, dhcpv6.OptionBootfileParam, dhcpv6.OptionVendorClass:
		return forBoot
	}
	if at := slices.Index(wanted, code); at >= 0 {
		return requested + min(at, unrequested-requested-1)
	}
	return unrequested
}
