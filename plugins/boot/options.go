package boot

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// An option that a rule gives: its code in each family (0: none there) and its value, encoded.
type option struct {
	code4, code6   uint16
	value4, value6 []byte
}

type optionList []option

// optionNames are the options that have a name here, as dhcpd.conf calls them. Those with a second code exist in DHCPv6
// too.
var optionNames = map[string]struct {
	code4, code6 uint16
	kind         string
}{
	"routers":                     {3, 0, "ip"},
	"time-servers":                {4, 0, "ip"},
	"domain-name-servers":         {6, 23, "ip"},
	"log-servers":                 {7, 0, "ip"},
	"host-name":                   {12, 0, "text"},
	"domain-name":                 {15, 0, "text"},
	"root-path":                   {17, 0, "text"},
	"interface-mtu":               {26, 0, "uint16"},
	"ntp-servers":                 {42, 31, "ip"},
	"vendor-encapsulated-options": {43, 0, "hex"},
	"domain-search":               {119, 24, "domains"},
	"tftp-server-address":         {150, 0, "ip"},
	"pxelinux-config-file":        {209, 0, "text"},
	"pxelinux-path-prefix":        {210, 0, "text"},
	"pxelinux-reboot-time":        {211, 0, "uint32"},
}

// ownOptions are written by the answer or by the server itself; set by hand they would break what depends on them.
var ownOptions = map[uint16]string{
	0: "it is padding", 255: "it ends the options", 13: "it breaks EDK2's size query", 50: "only clients send it",
	51: "the lease decides it", 52: "iPXE misreads it", 53: "it is the message type", 54: "use the plugin server_id",
	55: "only clients send it", 57: "only clients send it", 58: "the lease decides it", 59: "the lease decides it",
	60: "the client's firmware decides it", 61: "only clients send it", 66: "use server", 67: "use file",
	77: "iPXE would take it as its own user class", 82: "it belongs to the relay", 93: "only clients send it",
	94: "only clients send it", 97: "it is the client's own", 175: "use ipxe-options",
}

var optionKinds = []string{"text", "ip", "uint8", "uint16", "uint32", "bool", "hex", "domains"}

// DecodeConf reads options by name ({root-path: "..."}) or by number and type ({209: {text: "..."}}). Numbers are
// DHCPv4 codes.
func (l *optionList) DecodeConf(v conf.Value) {
	v.Pairs(func(key string, at conf.Pos, value conf.Value) {
		known, ok := optionNames[key]
		if ok {
			l.add(value, known.code4, known.code6, known.kind)
			return
		}
		code, err := strconv.ParseUint(key, 10, 8)
		if err != nil {
			value.FailAt(at, "option %q is unknown; %s (others by number and type, like 209: {text: value})", key, conf.Suggest(key, sortedKeys(optionNames)))
			return
		}
		if slices.ContainsFunc(*l, func(o option) bool { return o.code4 == uint16(code) }) {
			value.FailAt(at, "option %d is already given; keep one of the two", code)
			return
		}
		if why, own := ownOptions[uint16(code)]; own {
			value.FailAt(at, "option %d cannot be given here: %s", code, why)
			return
		}
		if !value.IsMap() {
			value.Fail("option %d needs a type; write %d: {text: value}, with one of %s", code, code, strings.Join(optionKinds, ", "))
			return
		}
		types := 0
		value.Pairs(func(kind string, at conf.Pos, value conf.Value) {
			if types++; types > 1 {
				value.FailAt(at, "option %d has two types; keep one of them", code)
				return
			}
			if !slices.Contains(optionKinds, kind) {
				value.FailAt(at, "option type %q is unknown; use one of %s", kind, strings.Join(optionKinds, ", "))
				return
			}
			l.add(value, uint16(code), 0, kind)
		})
		if types == 0 {
			value.Fail("option %d needs a type; write %d: {text: value}, with one of %s", code, code, strings.Join(optionKinds, ", "))
		}
	})
}

func (l *optionList) add(v conf.Value, code4, code6 uint16, kind string) {
	o := option{code4: code4, code6: code6}
	if v.IsList() && len(v.Items()) == 0 {
		v.Fail("must have at least one item; add one or remove the key")
		return
	}
	if slices.ContainsFunc(*l, func(o option) bool { return o.code4 == code4 }) {
		v.Fail("option %d is already given; keep one of the two", code4)
		return
	}
	var texts []string
	for _, item := range v.Items() {
		text, ok := item.Text()
		if !ok || text == "" {
			item.Fail("an option's value must be a text, a number or a list of them")
			return
		}
		texts = append(texts, text)
		b4, b6, err := encode(kind, text)
		if err != nil {
			item.Fail("%v", err)
			return
		}
		if code6 == 0 && len(b4) == 0 && len(b6) > 0 {
			item.Fail("%s is an IPv6 address, and DHCPv6 has no such option; give an IPv4 address", text)
			return
		}
		o.value4, o.value6 = append(o.value4, b4...), append(o.value6, b6...)
	}
	if kind == "domains" {
		b := (&rfc1035label.Labels{Labels: texts}).ToBytes()
		o.value4, o.value6 = b, b
	}
	if len(texts) > 1 && !slices.Contains([]string{"ip", "domains", "uint8", "uint16", "uint32"}, kind) {
		v.Fail("takes one value, not a list")
		return
	}
	if len(o.value4) > 255 {
		v.Fail("the value has %d bytes; firmware reads at most 255", len(o.value4))
		return
	}
	*l = append(*l, o)
}

func encode(kind, text string) (v4, v6 []byte, err error) {
	switch kind {
	case "text":
		return []byte(text), []byte(text), nil
	case "ip":
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%q is not an IP address", text)
		case addr.Is4():
			return addr.AsSlice(), nil, nil
		}
		return nil, addr.AsSlice(), nil
	case "bool":
		switch text {
		case "true":
			return []byte{1}, []byte{1}, nil
		case "false":
			return []byte{0}, []byte{0}, nil
		}
		return nil, nil, fmt.Errorf("%q is not a switch; use true or false", text)
	case "hex":
		b, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "").Replace(text))
		if err != nil || len(b) == 0 {
			return nil, nil, fmt.Errorf("%q is not hex bytes; write them like \"06 01 08 ff\"", text)
		}
		return b, b, nil
	case "domains":
		for _, label := range strings.Split(text, ".") {
			if label == "" || len(label) > 63 || len(text) > 253 {
				return nil, nil, fmt.Errorf("%q is not a domain; write it like example.net, with labels of 1 to 63 characters", text)
			}
		}
		return nil, nil, nil
	}
	bits, _ := strconv.Atoi(strings.TrimPrefix(kind, "uint"))
	n, err := strconv.ParseUint(text, 0, bits)
	if err != nil {
		return nil, nil, fmt.Errorf("%q is not a number from 0 to %d", text, uint64(1)<<bits-1)
	}
	b := binary.BigEndian.AppendUint64(nil, n)[8-bits/8:]
	return b, b, nil
}

// for4 and for6 are the options of one family; one without a value there is left out.
func (l optionList) for4() (out []netboot.Option) {
	for _, o := range l {
		if o.code4 != 0 && len(o.value4) > 0 {
			out = append(out, netboot.Option{Code: o.code4, Value: slices.Clip(o.value4)})
		}
	}
	return out
}

func (l optionList) for6() (out []netboot.Option) {
	for _, o := range l {
		if o.code6 != 0 && len(o.value6) > 0 {
			out = append(out, netboot.Option{Code: o.code6, Value: slices.Clip(o.value6)})
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// ipxeOptionNames are the settings that a server may give inside option 175 (iPXE: include/ipxe/dhcp.h).
var ipxeOptionNames = map[string]struct {
	code uint8
	kind string
}{
	"priority": {1, "int8"}, "keep-san": {8, "bool"}, "skip-san-boot": {9, "bool"}, "scriptlet": {81, "text"},
	"syslogs": {85, "text"}, "no-pxedhcp": {176, "bool"}, "san-filename": {188, "text"},
	"username": {190, "text"}, "password": {191, "text"}, "reverse-username": {192, "text"}, "reverse-password": {193, "text"},
}

type ipxeOption struct {
	code  uint8
	value []byte
}

type ipxeOptionList []ipxeOption

// What iPXE is told unless the operator says otherwise.
var (
	// noPXEDHCP is for ModeFull: there is no ProxyDHCP server to wait 2 to 3 seconds for.
	noPXEDHCP = ipxeOption{176, []byte{1}}
	// priority is for ModeProxy: our file goes before one that the other server names.
	priority = ipxeOption{1, []byte{1}}
)

// DecodeConf reads {scriptlet: "...", no-pxedhcp: true}.
func (l *ipxeOptionList) DecodeConf(v conf.Value) {
	v.Pairs(func(key string, at conf.Pos, value conf.Value) {
		known, ok := ipxeOptionNames[key]
		if !ok {
			value.FailAt(at, "iPXE option %q is unknown; %s", key, conf.Suggest(key, sortedKeys(ipxeOptionNames)))
			return
		}
		text, ok := value.Text()
		if !ok || text == "" {
			value.Fail("iPXE option %s needs one value", key)
			return
		}
		b, err := encodeIPXE(known.kind, text)
		if err != nil {
			value.Fail("%v", err)
			return
		}
		*l = append(*l, ipxeOption{known.code, b})
	})
	if n := len(l.bytes(netboot.ModeFull)); n > 255 {
		v.Fail("the iPXE options have %d bytes; option 175 holds 255", n)
	}
}

func encodeIPXE(kind, text string) ([]byte, error) {
	if kind == "int8" {
		n, err := strconv.ParseInt(text, 10, 8)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("priority %q is not a number from 0 to 127; iPXE never takes an offer with a negative one", text)
		}
		return []byte{byte(n)}, nil
	}
	b, _, err := encode(kind, text)
	return b, err
}

// bytes is the value of option 175.
func (l ipxeOptionList) bytes(mode netboot.Mode) []byte {
	var b []byte
	usual := noPXEDHCP
	if mode == netboot.ModeProxy {
		usual = priority
	}
	if !slices.ContainsFunc(l, func(o ipxeOption) bool { return o.code == usual.code }) {
		b = append(append(b, usual.code, byte(len(usual.value))), usual.value...)
	}
	for _, o := range l {
		b = append(append(b, o.code, byte(len(o.value))), o.value...)
	}
	return b
}
