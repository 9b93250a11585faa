package policy

import (
	"slices"

	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// Option is one option of a reply, as it goes on the wire.
type Option struct {
	Code  uint32
	Value []byte
}

// Numbers of DHCPv4 options that have rules of their own.
const (
	codeSubnetMask    = 1
	codeRouters       = 3
	codeDNS           = 6
	codeHostName      = 12
	codeVendor        = 43
	codeRequested     = 50
	codeLeaseTime     = 51
	codeMessageType   = 53
	codeServerID      = 54
	codeRequestList   = 55
	codeMessage       = 56
	codeRenewal       = 58
	codeRebinding     = 59
	codeClientID      = 61
	codeFQDN          = 81
	codeRelayAgent    = 82
	codeAssociatedIP  = 92
	codeSubnetSelect  = 118
	typeDiscover      = 1
	typeRequest       = 3
	maxRequested      = 300 // dhcpd's bound of the list that it sends by
	hashBuckets       = 17  // of dhcpd's table of options
	hashBits, hashLow = 5, 31

	maxNested = 8 // spaces inside of spaces
)

// Reply4 are the options of a DHCPv4 reply in the order in which they are sent: the protocol's own, those that the
// client asks for in the order in which it asks, and, last, what the relay sent (which the server has Set). A client
// that asks for none gets all that are set.
func (o *Outcome) Reply4() []Option {
	env := o.env
	asked, ok := o.Option(o.policy.options.Main().Code(codeRequestList))
	if o.env.Settings.Lookup(o.policy.options.Main().Code(codeRequestList)) == nil {
		asked, ok = env.Options.Get(codeRequestList)
	}
	site := o.site()
	codes := []uint32{codeMessageType, codeServerID, codeLeaseTime, codeRenewal, codeRebinding, codeMessage, codeRequested, codeAssociatedIP}
	if ok && len(asked) > 0 {
		codes = o.requested(codes, asked)
	} else {
		codes = o.everything(codes, site)
	}
	codes = append(unique(codes), codeRelayAgent)
	o.reply = slices.Grow(o.reply[:0], len(codes))
	for _, code := range codes {
		if value, ok := o.wire(site, code); ok {
			o.reply = append(o.reply, Option{code, value})
		}
	}
	return o.reply
}

// requested are the codes for a client that says what it wants. The subnet mask comes unasked, but not in the answer to
// an INFORM.
func (o *Outcome) requested(codes []uint32, asked []byte) []uint32 {
	if _, ok := o.env.Options.Get(codeSubnetSelect); ok {
		codes = append(codes, codeSubnetSelect)
	}
	if o.Switch(EchoClientID, Off) == On {
		codes = append(codes, codeClientID)
	}
	for _, code := range asked[:min(len(asked), maxRequested-len(codes))] {
		if code != codeRelayAgent {
			codes = append(codes, uint32(code))
		}
	}
	if _, ok := o.env.Options.Get(codeFQDN); ok {
		codes = append(codes, codeFQDN)
	}
	if kind, _ := o.env.Options.Get(codeMessageType); len(kind) == 1 && (kind[0] == typeDiscover || kind[0] == typeRequest) {
		codes = append(codes, codeSubnetMask)
	}
	return codes
}

// everything are the codes for a client that does not say what it wants.
func (o *Outcome) everything(codes []uint32, site site) []uint32 {
	codes = append(codes, codeSubnetMask, codeRouters, codeDNS, codeHostName, codeFQDN)
	main := o.policy.options.Main()
	if site.space != main {
		codes = append(codes, o.set(main, 0, site.from)...)
	}
	codes = append(codes, o.set(site.space, site.from, 256)...)
	for _, d := range o.policy.options.Holders() {
		codes = append(codes, d.Code)
	}
	codes = append(codes, codeVendor)
	return slices.DeleteFunc(codes, func(c uint32) bool { return c == codeRelayAgent })
}

// set are the codes of a space that are set, in the order of dhcpd's table.
func (o *Outcome) set(space *option.Space, from, to uint32) (codes []uint32) {
	for _, s := range inTableOrder(o.env.Settings, space) {
		if s.Option.Code >= from && s.Option.Code < to {
			codes = append(codes, s.Option.Code)
		}
	}
	return codes
}

// inTableOrder are the settings of a space in the order in which dhcpd finds them: by bucket, and in each the newest
// first. It is the order of options inside of an option as well, so clients see it. Spaces that are built in are lists.
func inTableOrder(settings *expr.Settings, space *option.Space) []expr.Setting {
	var list []expr.Setting
	for _, s := range settings.List() {
		if s.Option.Space() == space {
			list = append(list, s)
		}
	}
	if space.Linked() {
		return list
	}
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b expr.Setting) int { return bucket(a.Option.Code) - bucket(b.Option.Code) })
	return list
}

func bucket(code uint32) int { return int((code&hashLow + code>>hashBits&hashLow) % hashBuckets) }

// unique leaves the first of each code, and puts the subnet mask before the routers (RFC 2132 section 3.3).
func unique(codes []uint32) []uint32 {
	var seen [256]bool
	codes = slices.DeleteFunc(codes, func(c uint32) bool {
		again := seen[c]
		seen[c] = true
		return again
	})
	mask, routers := slices.Index(codes, codeSubnetMask), slices.Index(codes, codeRouters)
	if mask > routers && routers >= 0 {
		codes[mask], codes[routers] = codes[routers], codes[mask]
	}
	return codes
}

// site is where options of high codes come from: site-option-space, or the protocol's own space.
type site struct {
	space *option.Space
	from  uint32 // the lowest code of it
}

func (o *Outcome) site() site {
	main := o.policy.options.Main()
	s := site{main, 0}
	space := o.policy.options.Space(o.Text(SiteOptionSpace))
	if space == nil || space == main {
		return s
	}
	s = site{space, 256}
	for _, d := range space.Definitions() {
		s.from = min(s.from, d.Code)
	}
	return s
}

// wire is an option's value: what it is set to, or the options of the space that it holds. An empty value is not sent.
func (o *Outcome) wire(s site, code uint32) ([]byte, bool) {
	space := o.policy.options.Main()
	if code >= s.from {
		space = s.space
	}
	d := space.Code(code)
	if d == nil {
		return nil, false
	}
	if o.env.Settings.Lookup(d) != nil {
		value, ok := o.Option(d)
		return value, ok && len(value) > 0
	}
	in := d.Type.Encapsulates()
	if in == "*" {
		in = o.Text(VendorOptionSpace)
	}
	if in == "" {
		return nil, false
	}
	value := o.encapsulate(o.policy.options.Space(in), 0)
	return value, len(value) > 0
}

// encapsulate has the options of a space that are set, each with its code and length. Spaces inside of a space that
// has none set itself are not looked at, as in dhcpd.
func (o *Outcome) encapsulate(space *option.Space, depth int) (b []byte) {
	if space == nil || depth > maxNested {
		return nil
	}
	list := inTableOrder(o.env.Settings, space)
	switch {
	case len(list) == 0:
		return nil
	case space.Name == option.FQDN:
		return o.fqdn(space)
	}
	for _, s := range list {
		if value, ok := o.Option(s.Option); ok {
			b = s.Option.AppendWire(b, value)
		}
	}
	for _, d := range space.Definitions() {
		in := d.Type.Encapsulates()
		if in == "" || space.Code(d.Code) != d || o.env.Settings.Lookup(d) != nil {
			continue
		}
		if value := o.encapsulate(o.policy.options.Space(in), depth+1); len(value) > 0 {
			b = d.AppendWire(b, value)
		}
	}
	return b
}

// fqdn is option 81 of its parts.
func (o *Outcome) fqdn(space *option.Space) []byte {
	return option.EncodeFQDN(func(code uint32) []byte {
		value, _ := o.Option(space.Code(code))
		return value
	})
}
