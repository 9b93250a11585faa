package subnets_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Packets that ISC dhcpd 4.4.3-P1 was sent on a wire, and what it answered. Beside each file stands its dhcpd.conf in our words.
//
// Of the behaviours that were recorded, those of options and conditions (02, 11, 14, 16) are in internal/policy. 03 is about a
// reply that is too long, and 12 about a dhcpd.leases that is read; both are of no file in our words.

// sent is a packet, as the file has it. A text that begins with @ is a field of an earlier reply.
type sent struct {
	Type, MAC, Vendor, Undi, UUID, CIAddr, GIAddr, ReqIP, IPDst string
	ClientID                                                    string `json:"client_id"`
	ServerID                                                    string `json:"server_id"`
	UserClass                                                   string `json:"user_class"`
	Opt82, Opt175                                               string
	PRL                                                         []byte `json:"-"`
	List                                                        []int  `json:"prl"`
	Arch, MMS, Lease                                            *int
	Secs                                                        uint16
	Flags                                                       *int
	Options                                                     map[string]string
	Unicast                                                     bool
	NoCookie                                                    bool `json:"no_cookie"`
}

type replied struct {
	Type, YIAddr, CIAddr, SIAddr, GIAddr, Flags, File, SName string
	Options                                                  map[string]string
}

type step struct {
	Name  string
	Send  sent
	Reply *replied
}

// meant are the differences on purpose: by file and step, or by these and one field, what we answer, and why.
var meant = map[string]struct{ want, why string }{
	"06-nak-default: selecting-other-server":       {"silence", "a REQUEST for another server is not ours (RFC 2131 section 4.3.2)"},
	"06-nak-authoritative: selecting-other-server": {"silence", "likewise"},
	"04b-nouid-then-uid: b-offer":                  {"10.1.1.101", "by identity: client-id, who sends one and who sends none are two"},
	"04b-nouid-then-uid: b-ack":                    {"10.1.1.101", "likewise"},
	"04b-nouid-then-uid: c-offer":                  {"10.1.1.100", "likewise: and who sends none has its address again"},
	"04b-nouid-then-uid: c-ack":                    {"10.1.1.100", "likewise"},
	"08-bootp: no-cookie":                          {"silence", "a message without the cookie of RFC 1048 is not read"},
	"08-bootp: relay":                              {"10.1.1.112", "so this is the next address"},
	"13-pools: pxe2-limit":                         {"10.1.1.11", "the file has no lease limit"},
	"15-policies: secs0":                           {"10.1.1.100", "the file has no min-secs"},
	"15-policies: ok: flags":                       {"0000", "nor always-broadcast: the client's own flag comes back"},
	"15-policies: ok: option 54":                   {"0a010101", "nor server-identifier: it is the plugin server_id's"},
}

func TestWhatDhcpdAnswers(t *testing.T) {
	files, err := filepath.Glob("testdata/dhcpd/*.json")
	if err != nil || len(files) < 17 {
		t.Fatal(files, err)
	}
	used := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			var steps []step
			b, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(b, &steps)
			}
			if err != nil {
				t.Fatal(err)
			}
			config, err := os.ReadFile("testdata/dhcpd/" + name + ".yml")
			if err != nil {
				t.Fatal(err)
			}
			l := newLab(t, string(config))
			replies := map[string]*replied{}
			for _, s := range steps {
				at := name + ": " + s.Name
				got := l.sendsAsWritten(s.Send, replies)
				replies[s.Name] = got
				if d, known := meant[at]; known {
					used[at] = true
					if was := got.brief(); was != d.want {
						t.Errorf("%s: %s, want %s: %s", at, was, d.want, d.why)
					}
					continue
				}
				for _, d := range differences(s.Reply, got) {
					of := at + ": " + d.what
					m, known := meant[of]
					used[of] = true
					switch {
					case !known:
						t.Errorf("%s is %q, want %q", of, d.got, d.want)
					case d.got != m.want:
						t.Errorf("%s is %q, want %q: %s", of, d.got, m.want, m.why)
					}
				}
			}
		})
	}
	for at := range meant {
		if !used[at] {
			t.Errorf("%s: there is no such step, or no difference", at)
		}
	}
}

// brief is a reply in a word.
func (r *replied) brief() string {
	switch {
	case r == nil:
		return "silence"
	case r.Type == "NAK":
		return "NAK"
	}
	return r.YIAddr
}

// difference is one field of a reply that is another than dhcpd's.
type difference struct{ what, want, got string }

// differences of what is told to a client. The text of a NAK depends on dhcpd's earlier traffic, a client identifier comes
// back from us (RFC 6842), and a second may pass.
func differences(want, got *replied) (all []difference) {
	differ := func(what, want, got string) {
		if want != got {
			all = append(all, difference{what, want, got})
		}
	}
	differ("the reply", want.brief(), got.brief())
	if want == nil || got == nil {
		return all
	}
	differ("type", want.Type, got.Type)
	differ("ciaddr", want.CIAddr, got.CIAddr)
	differ("siaddr", want.SIAddr, got.SIAddr)
	differ("giaddr", want.GIAddr, got.GIAddr)
	differ("flags", want.Flags, got.Flags)
	differ("file", want.File, got.File)
	differ("sname", want.SName, got.SName)
	codes := slices.Concat(slices.Collect(maps.Keys(want.Options)), slices.Collect(maps.Keys(got.Options)))
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		switch code {
		case "56", "61":
		case "51":
			w, _ := strconv.ParseInt(want.Options[code], 16, 64)
			g, err := strconv.ParseInt(got.Options[code], 16, 64)
			if err != nil || w-g > 5 || g-w > 5 {
				differ("option 51", want.Options[code], got.Options[code])
			}
		default:
			differ("option "+code, want.Options[code], got.Options[code])
		}
	}
	return all
}

func (l *lab) sendsAsWritten(s sent, replies map[string]*replied) *replied {
	l.t.Helper()
	value := func(text string) string {
		at, field, refers := strings.Cut(strings.TrimPrefix(text, "@"), ".")
		if !refers || !strings.HasPrefix(text, "@") {
			return text
		}
		r := replies[at]
		if r == nil {
			l.t.Fatalf("%s: there was no reply", text)
		}
		if code, isOption := strings.CutPrefix(field, "opt"); isOption {
			b, _ := hex.DecodeString(r.Options[code])
			return net.IP(b).String()
		}
		return r.YIAddr
	}
	mac, err := net.ParseMAC(s.MAC)
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := dhcpv4.New(dhcpv4.WithHwAddr(mac))
	if err != nil {
		l.t.Fatal(err)
	}
	req.HWType, req.NumSeconds, req.Flags = iana.HWTypeEthernet, s.Secs, 0x8000
	facts := l.facts
	if s.GIAddr != "" {
		req.Flags, req.HopCount, req.GatewayIPAddr = 0, 1, ip(s.GIAddr)
		facts.Peer = netip.AddrPortFrom(netip.MustParseAddr(s.GIAddr), 67)
	}
	if s.Unicast || s.GIAddr != "" {
		facts.Local = netip.MustParseAddrPort("10.1.1.1:67")
	}
	if s.Flags != nil {
		req.Flags = uint16(*s.Flags)
	}
	if s.CIAddr != "" {
		req.ClientIPAddr = ip(value(s.CIAddr))
	}
	set := func(code uint8, b []byte) {
		if len(b) > 0 {
			req.Options[code] = b
		}
	}
	raw := func(text string) []byte { b, _ := hex.DecodeString(text); return b }
	number := func(n *int, width int) []byte {
		if n == nil {
			return nil
		}
		return binary.BigEndian.AppendUint64(nil, uint64(*n))[8-width:]
	}
	types := map[string]dhcpv4.MessageType{
		"": 1, "DISCOVER": 1, "REQUEST": 3, "DECLINE": 4, "RELEASE": 7, "INFORM": 8, "BOOTP": 0,
	}
	if kind := types[s.Type]; kind != 0 {
		set(53, []byte{byte(kind)})
	}
	for _, code := range s.List {
		s.PRL = append(s.PRL, byte(code))
	}
	set(55, s.PRL)
	set(57, number(s.MMS, 2))
	set(51, number(s.Lease, 4))
	set(93, number(s.Arch, 2))
	set(60, []byte(s.Vendor))
	set(77, []byte(s.UserClass))
	for code, text := range map[uint8]string{94: s.Undi, 97: s.UUID, 61: s.ClientID, 82: s.Opt82, 175: s.Opt175} {
		set(code, raw(text))
	}
	for code, text := range map[uint8]string{50: s.ReqIP, 54: s.ServerID} {
		if text != "" {
			set(code, ip(value(text)))
		}
	}
	for code, text := range s.Options {
		n, _ := strconv.ParseUint(code, 10, 8)
		set(uint8(n), raw(text))
	}
	b := req.ToBytes()
	if s.NoCookie {
		copy(b[236:], "\x00\x00\x00\x00")
		if _, err := l.chain.AnswerFrom4(b, facts, nil); err == nil {
			l.t.Error("a message without a cookie was read")
		}
		return nil
	}
	reply := l.sends(b, facts)
	if reply == nil {
		return nil
	}
	r := &replied{
		Type: strings.ToUpper(reply.MessageType().String()), YIAddr: reply.YourIPAddr.String(), CIAddr: reply.ClientIPAddr.String(),
		SIAddr: reply.ServerIPAddr.String(), GIAddr: reply.GatewayIPAddr.String(), Flags: fmt.Sprintf("%04x", reply.Flags),
		File: reply.BootFileName, SName: reply.ServerHostName, Options: map[string]string{},
	}
	if reply.MessageType() == dhcpv4.MessageTypeNone {
		r.Type = "BOOTREPLY"
	}
	for code, b := range reply.Options {
		r.Options[strconv.Itoa(int(code))] = hex.EncodeToString(b)
	}
	return r
}
