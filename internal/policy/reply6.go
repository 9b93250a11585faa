package policy

import "github.com/coredhcp-netboot/suite/internal/policy/option"

// Numbers of DHCPv6 options that have rules of their own.
const (
	code6Request       = 6  // OPTION_ORO
	code6Preference    = 7  // comes unasked
	code6ReconfAccept  = 20 // likewise
	code6VendorOptions = 17
)

// Reply6 are the options of a DHCPv6 reply that statements set, in the order in which they are sent: the preference,
// then those that the client asks for (OPTION_ORO), in its order and, unlike dhcpd, once each; vendor options last, one
// for each enterprise. What the protocol needs (identifiers, IAs, status codes) is the server's own.
func (o *Outcome) Reply6() (list []Option) {
	asked, _ := o.env.Options.Get(code6Request)
	codes := []uint32{code6Preference, code6ReconfAccept}
	for ; len(asked) >= 2; asked = asked[2:] {
		codes = append(codes, uint32(option.Number(asked[:2])))
	}
	main := o.policy.options.Space(option.DHCP6)
	seen := map[uint32]bool{}
	for _, code := range codes {
		d := main.Code(code)
		if seen[code] || d == nil {
			continue
		}
		seen[code] = true
		if o.env.Settings.Lookup(d) != nil {
			if value, ok := o.Option(d); ok {
				list = append(list, Option{code, value})
			}
		} else if in := d.Type.Encapsulates(); in != "" && code != code6VendorOptions {
			if value := o.encapsulate(o.policy.options.Space(in), 0); len(value) > 0 {
				list = append(list, Option{code, value})
			}
		}
	}
	if seen[code6VendorOptions] {
		list = append(list, o.enterprises(main.Code(code6VendorOptions).Type.Encapsulates())...)
	}
	return list
}

// enterprises are the vendor options: the number of each enterprise, then its options.
func (o *Outcome) enterprises(space string) (list []Option) {
	for _, d := range o.policy.options.Space(space).Definitions() {
		value, ok := o.Option(d)
		if !ok {
			value = o.encapsulate(o.policy.options.Space(d.Type.Encapsulates()), 0)
		}
		if len(value) > 0 {
			list = append(list, Option{code6VendorOptions, d.AppendWire(nil, value)})
		}
	}
	return list
}
