package netboot

import (
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Write6 puts the answer into the reply. The boot file's URL comes first of all options: EDK2 takes the length of a
// string that it does not terminate, so the byte behind it must be 0, as the first byte of any following option's code
// is. Only HTTP firmware gets a vendor class (option 16); PXE firmware that sees one asks port 4011 once more and
// fails without an answer. Boot parameters (option 60) are left out: EDK2 takes the first for the file's size.
func (a Answer) Write6(resp *dhcpv6.Message) {
	for _, code := range []dhcpv6.OptionCode{dhcpv6.OptionBootfileURL, dhcpv6.OptionVendorClass, dhcpv6.OptionBootfileParam} {
		resp.Options.Del(code)
	}
	for _, o := range a.Options {
		code := dhcpv6.OptionCode(o.Code)
		resp.Options.Del(code)
		resp.Options.Add(&dhcpv6.OptionGeneric{OptionCode: code, OptionData: o.Value})
	}
	if a.File == "" {
		return
	}
	if a.Firmware == FirmwareHTTP {
		resp.Options.Add(&dhcpv6.OptVendorClass{EnterpriseNumber: enterpriseIntel, Data: [][]byte{[]byte("HTTPClient")}})
	}
	resp.Options.Options = append(dhcpv6.Options{dhcpv6.OptBootFileURL(a.File)}, resp.Options.Options...)
}

// WritePreference6 sets the preference of an ADVERTISE (RFC 8415 section 18.2.1). EDK2 waits 5 seconds for other
// servers unless it is 255.
func WritePreference6(resp *dhcpv6.Message, preference uint8) {
	if resp.MessageType != dhcpv6.MessageTypeAdvertise {
		return
	}
	resp.Options.Del(dhcpv6.OptionPreference)
	if preference > 0 {
		resp.Options.Add(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionPreference, OptionData: []byte{preference}})
	}
}
