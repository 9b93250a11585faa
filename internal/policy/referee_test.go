package policy_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// subnet is the network of every configuration here.
const subnet = "subnet 10.1.1.0 netmask 255.255.255.0 { "

// answersAlike asks dhcpd and the policy for every client of the crowd and compares all that goes on the wire.
func answersAlike(t *testing.T, text string) {
	t.Helper()
	text = "ping-check false;\n" + text
	r, c := newReferee(t, text), readConfig(text)
	for name, request := range crowd(t) {
		for _, list := range []string{"", "\x01\x03\x06\x0f\x2b\x0c\xaf\xd2\x77\x11\x51\x32", "\x77\x43\x03\x52\xe0\x01\x77"} {
			if list != "" {
				request.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionParameterRequestList, []byte(list)))
			}
			request.TransactionID[0]++
			want := r.answer(t, request)
			if got := c.answer(request, want); got != wire(want) {
				t.Errorf("%s, asking for %x:\nwe say\n%s\ndhcpd says\n%s", name, list, got, wire(want))
			}
		}
	}
}

// wire is a reply's boot fields and options in their order.
func wire(m *dhcpv4.DHCPv4) string {
	s := fmt.Sprintf("%s %q %q", m.ServerIPAddr, m.BootFileName, m.ServerHostName)
	b := m.ToBytes()[240:] // in the order of codes: the library sorts
	for len(b) > 1 && b[0] != 255 {
		s += fmt.Sprintf(" %d=%x", b[0], b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
	return s
}

// answer is the policy's reply, with what is the server's own taken from dhcpd's.
func (c *config) answer(request, like *dhcpv4.DHCPv4) string {
	env, at := c.environment(request, like)
	out := c.policy.Evaluate(env, at)
	reply := *like
	reply.ServerIPAddr = out.Address(policy.NextServer).AsSlice()
	if reply.ServerIPAddr == nil {
		reply.ServerIPAddr = make([]byte, 4)
	}
	reply.BootFileName, reply.ServerHostName = out.Text(policy.Filename), out.Text(policy.ServerName)
	for _, code := range []uint8{53, 54, 82} {
		if v := like.Options[code]; v != nil {
			out.Set(uint32(code), v)
		}
	}
	out.Set(51, binary.BigEndian.AppendUint32(nil, uint32(out.LeaseTime(0)/time.Second)))
	out.SetDefault(1, []byte{255, 255, 255, 0})
	reply.Options = dhcpv4.Options{}
	for _, o := range out.Reply4() {
		reply.Options[uint8(o.Code)] = o.Value
	}
	return wire(&reply)
}

func TestStatementsDoWhatTheyDoInDhcpd(t *testing.T) {
	for name, text := range map[string]string{
		"append, prepend, default": `option domain-name-servers 10.1.1.1; option domain-search "a.example", "b.example"; default domain-name "never"; option domain-name "global";
			` + subnet + `range 10.1.1.100 10.1.1.200; append domain-name-servers 10.1.1.2; prepend domain-name-servers 10.1.1.3; append domain-search "c.example";
			default domain-name "default"; append host-name "alone"; default ntp-servers 10.1.1.4; }`,
		"append in a subnet with a pool": subnet + `option domain-name "a"; append domain-name "b"; pool { append domain-name "c"; range 10.1.1.100 10.1.1.200; } }`,
		"append in shared network, subnet and pool": `shared-network s { option domain-name "s"; append host-name "s";
			` + subnet + `append domain-name "n"; append host-name "n"; pool { append domain-name "p"; append host-name "p"; range 10.1.1.100 10.1.1.200; } } }`,
		"values are evaluated at the end": `set var-x = "early"; option domain-name = var-x; option host-name = config-option domain-name; filename = concat("f-", config-option host-name);
			set var-x = "late"; option root-path = concat(var-x, option user-class); option arch code 93 = unsigned integer 16; ` + subnet + `range 10.1.1.100 10.1.1.200; option routers = leased-address; }`,
		"the smallest lease time beats the largest": `max-lease-time 100; min-lease-time 200; ` + subnet + `range 10.1.1.100 10.1.1.200; }`,
		"a small largest lease time":                `max-lease-time 100; ` + subnet + `range 10.1.1.100 10.1.1.200; }`,
		"default beats max":                         `default-lease-time 90000; ` + subnet + `range 10.1.1.100 10.1.1.200; }`,
		"known in a class": `class "k" { match if known; filename "class"; } host h { hardware ethernet 52:54:00:00:00:05; }
			` + subnet + `range 10.1.1.100 10.1.1.200; filename "subnet"; if known { option host-name "known"; } }`,
		"classes inside of a subnet, in text order": subnet + `range 10.1.1.100 10.1.1.200; class "one" { match if exists vendor-class-identifier; filename "one"; option host-name "one"; }
			filename "subnet"; class "two" { match if exists host-name or exists vendor-class-identifier; filename "two"; option domain-name "two"; } }`,
		"nested spaces": `option space in; option in.x code 1 = text; option space mid; option mid.a code 2 = text; option mid.in-encap code 3 = encapsulate in;
			option mid-encap code 210 = encapsulate mid; option in.x "deep"; ` + subnet + `range 10.1.1.100 10.1.1.200; if exists arch2 { option mid.a "flat"; } }`,
		"site option space": `option space pxelinux; option pxelinux.magic code 208 = string; option pxelinux.configfile code 209 = text; option pxelinux.pathprefix code 210 = text;
			option pxelinux.magic f1:00:74:7e; option pxelinux.pathprefix "/p"; site-option-space "pxelinux"; option root-path "/r"; ` + subnet + `range 10.1.1.100 10.1.1.200; }`,
		"vendor option space": `option space PXE; option PXE.mtftp-ip code 1 = ip-address; option PXE.discovery code 6 = unsigned integer 8; vendor-option-space PXE;
			option PXE.discovery 3; ` + subnet + `range 10.1.1.100 10.1.1.200; if exists user-class { option PXE.mtftp-ip 10.1.1.9; } if option vendor-class-identifier = "PX" { option vendor-encapsulated-options 01:02; } }`,
		"a request list in scope": subnet + `range 10.1.1.100 10.1.1.200; option routers 10.1.1.1; option domain-name "d"; option root-path "/r"; option host-name "h";
			if exists user-class { option dhcp-parameter-request-list = concat(option dhcp-parameter-request-list, 11, 0c); } elsif exists host-name { append dhcp-parameter-request-list 17, 3; } }`,
		"fqdn": subnet + `range 10.1.1.100 10.1.1.200; option fqdn.no-client-update on; option fqdn.rcode2 255; if exists fqdn.fqdn { option fqdn.encoded on; option fqdn.fqdn = concat(option fqdn.hostname, ".lab"); } }`,
		"boot fields": `next-server 10.1.1.9; server-name "s"; ` + subnet + `range 10.1.1.100 10.1.1.200; filename "f"; if known { filename ""; } elsif option user-class = "iPXE" { filename = option user-class; }
			option tftp-server-name "t"; option bootfile-name "b"; } group { next-server 10.1.1.8; host h { hardware ethernet 52:54:00:00:00:05; server-name "h"; } }`,
		"a host inside of another subnet": `option domain-name "global"; subnet 10.9.0.0 netmask 255.255.0.0 { option domain-name "other"; option host-name "other"; option routers 10.9.0.1; group { option root-path "/group";
			host h { hardware ethernet 52:54:00:00:00:05; filename "host"; } } } ` + subnet + `option domain-name "mine"; range 10.1.1.100 10.1.1.200; }`,
	} {
		if strings.Contains(text, "arch2") {
			text = "option arch2 code 93 = unsigned integer 16; " + text
		}
		t.Run(name, func(t *testing.T) { answersAlike(t, text) })
	}
}

// value is one at random for each field, in dhcpd.conf's form.
func value(w writer, kind option.Type) string {
	one := func(f option.Field) string {
		switch f.Kind {
		case option.Integer:
			return fmt.Sprint(w.IntN(1 << (f.Width - 1)))
		case option.Duration:
			return w.pick("infinite", "600")
		case option.Boolean:
			return w.pick("on", "false")
		case option.Address:
			return fmt.Sprintf("10.%d.0.%d", w.IntN(256), w.IntN(256))
		case option.Address6:
			return w.pick("2001:db8::1", "fe80::")
		case option.DomainName:
			return w.pick("a.example", "host")
		case option.DomainList:
			return w.pick(`"a.example"`, `"b.example", "c.b.example"`, `"example", "example.net", "a.example"`)
		case option.String, option.Encapsulated:
			return w.pick(`"text"`, "01:2:ff", "0a")
		}
		return w.pick(`"some text"`, `"\x01\"\\"`)
	}
	var items []string
	for range 1 + w.IntN(2) {
		var parts []string
		for _, f := range kind.Fields {
			part := one(f)
			if f.Array && w.IntN(2) == 0 {
				part += ", " + one(f)
			}
			parts = append(parts, part)
		}
		items = append(items, strings.Join(parts, " "))
		if !kind.Array {
			break
		}
	}
	return strings.Join(items, ", ")
}

func TestOptionsAreEncodedAsDhcpdDoesIt(t *testing.T) {
	w := writer{rand.New(rand.NewPCG(1, 2))}
	var lines []string
	for _, d := range option.NewRegistry(option.DHCP).Main().Definitions() {
		switch {
		case d.Code >= 50 && d.Code <= 61, d.Code == 1, d.Code == 81, d.Code == 82, d.Code == 118: // what a server or a relay says itself
			continue
		case d.Type.Encapsulates() != "" && d.Code != 43:
			continue
		}
		lines = append(lines, fmt.Sprintf("option %s %s;", d.Name, value(w, d.Type)))
	}
	for len(lines) > 0 {
		n := min(len(lines), 25)
		text := "ping-check false;\n" + strings.Join(lines[:n], "\n") + "\n" + subnet + "range 10.1.1.100 10.1.1.200; }"
		lines = lines[n:]
		r, c := newReferee(t, text), readConfig(text)
		request := crowd(t)["none"]
		want := r.answer(t, request)
		if got := c.answer(request, want); got != wire(want) || len(want.Options) < n {
			t.Errorf("%s\nwe say\n%s\ndhcpd says\n%s", text, got, wire(want))
		}
	}
}
