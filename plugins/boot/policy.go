package boot

import (
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Policy is a boot map, understood: immutable, and safe for any number of readers.
type Policy struct {
	// Warnings are places where the map does what it says, but perhaps not what was meant.
	Warnings conf.Problems
	// Preference goes into every DHCPv6 ADVERTISE; 0: none.
	Preference uint8
	// Mode is whether another server gives the addresses.
	Mode netboot.Mode
	// ReplyDelay is how long an offer waits in ModeProxy.
	ReplyDelay time.Duration

	// auto6 is the first entry whose answer needs our own IPv6 address; empty: none does.
	auto6 string

	defaultArch netboot.Arch // ArchUnknown: none
	byMAC       map[netboot.MAC]*answer
	byUUID      map[netboot.UUID]*answer
	rules       []rule
}

type rule struct {
	match  match
	answer answer
}

// match is a conjunction; each condition knows the word that it stands for.
type match []condition

type condition struct {
	word  Reason
	wants string // as the map has it, for a person
	holds func(*netboot.Client) bool
}

// refuses is the first condition that does not hold; nil: all do.
func (m match) refuses(c *netboot.Client) *condition {
	for i := range m {
		if !m[i].holds(c) {
			return &m[i]
		}
	}
	return nil
}

// answer is what a rule or a host gives, prepared for every kind of client, so that deciding only selects.
type answer struct {
	because string
	ignore  bool

	mode        netboot.Mode
	file        *file // nil: none
	menu        *menu // nil: none
	asksForIPXE bool  // iPXE may get iPXE

	server4, server6   netip.Addr // invalid: auto
	serverName         string
	options4, options6 []netboot.Option
	ipxe               []byte
	profile            netboot.Profile
}

// Trace hears why an entry of the map was passed over.
type Trace func(c *netboot.Client, r Refusal)

// Decide finds the answer for a client: its host entry's, or else that of the first rule that matches and whose file
// the client can fetch and run. False: this client gets no boot answer. It fills in the site's default architecture
// where the client told none, and changes nothing else.
func (p *Policy) Decide(c *netboot.Client) (netboot.Answer, bool) { return p.DecideTraced(c, nil) }

// DecideTraced is Decide, telling trace about each entry that was considered and did not answer.
func (p *Policy) DecideTraced(c *netboot.Client, trace Trace) (netboot.Answer, bool) {
	if !c.Boots() {
		return netboot.Answer{}, false
	}
	if p.defaultArch != netboot.ArchUnknown {
		c.Assume(p.defaultArch)
	}
	for _, a := range p.hosts(c) {
		if a == nil {
			continue
		}
		out, why := a.give(c)
		if why == ReasonNone {
			return out, !a.ignore
		}
		if trace != nil {
			trace(c, Refusal{Entry: a.because, Why: why, answer: a})
		}
	}
	for i := range p.rules {
		r := &p.rules[i]
		refused := Refusal{Entry: r.answer.because, answer: &r.answer}
		if unmet := r.match.refuses(c); unmet != nil {
			refused.Why, refused.wants = unmet.word, unmet.wants
		} else {
			var out netboot.Answer
			if out, refused.Why = r.answer.give(c); refused.Why == ReasonNone {
				return out, !r.answer.ignore
			}
		}
		if trace != nil {
			trace(c, refused)
		}
	}
	return netboot.Answer{}, false
}

// hosts are a client's own entries, by MAC and by UUID; nil: none.
func (p *Policy) hosts(c *netboot.Client) (own [2]*answer) {
	if c.MAC.Known() {
		own[0] = p.byMAC[c.MAC]
	}
	if c.UUID.Known() {
		own[1] = p.byUUID[c.UUID]
	}
	return own
}

// give is the answer in the form that this client takes, or why it cannot have it.
func (a *answer) give(c *netboot.Client) (netboot.Answer, Reason) {
	out := netboot.Answer{Because: a.because}
	if a.ignore {
		return out, ReasonNone
	}
	out.Mode, out.Arch, out.Firmware = a.mode, c.Arch, c.Firmware
	out.Profile = a.profile
	server, options := a.server4, a.options4
	if c.V6 {
		server, options = a.server6, a.options6
	}
	if !server.IsValid() {
		server = c.Local
	}
	if !server.IsValid() && !c.V6 {
		return out, ReasonNoServer
	}
	out.Server, out.Options, out.ServerName = server, options, a.serverName
	if c.Firmware == netboot.FirmwareIPXE {
		out.IPXE = a.ipxe
	}
	if a.menu != nil {
		return a.menu.give(c, out)
	}
	if a.file == nil {
		if c.V6 && a.profile == netboot.ProfileRaspberryPi && server.IsValid() {
			out.File = "tftp://[" + server.String() + "]/" // a Pi takes the host from the URL and asks for its own names
		}
		return out, ReasonNone
	}
	if a.file.isIPXE && c.Firmware == netboot.FirmwareIPXE && !a.asksForIPXE {
		return out, ReasonLoop
	}
	var why Reason
	out.File, why = a.file.form(c, server)
	if why == ReasonNone && c.Firmware == netboot.FirmwareIPXE && !a.asksForIPXE && netboot.IsIPXEBinary(out.File) {
		return out, ReasonLoop // by what the client put into a placeholder
	}
	return out, why
}

// Reason is why an entry of the map does not answer a client.
type Reason uint8

// The reasons: a word of the match that does not hold, or something about the answer.
const (
	ReasonNone Reason = iota
	ReasonArch
	ReasonIPXE
	ReasonFeatures
	ReasonLacks
	ReasonFirmware
	ReasonUserClass
	ReasonVendorClass
	ReasonMAC
	ReasonUUID
	ReasonHostname
	ReasonRelay
	ReasonSubnet
	ReasonClass
	ReasonNot
	ReasonAny
	ReasonLoop
	ReasonScript
	ReasonScheme
	ReasonFeatureHTTP
	ReasonNoBase
	ReasonNoServer
	ReasonNoValue
	ReasonUnsafe
	ReasonTooLong
	ReasonMenu
	ReasonNoItem
)

var reasonTexts = [...]string{
	"", "arch does not match", "ipxe does not match", "an iPXE feature is missing", "no iPXE feature is missing",
	"firmware does not match", "user-class does not match", "vendor-class does not match", "mac does not match",
	"uuid does not match", "hostname does not match", "relay does not match", "subnet does not match", "class does not match", "a not matches", "no any matches",
	"iPXE is not handed iPXE again", "only iPXE runs an iPXE script", "this firmware cannot fetch such a URL",
	"this iPXE was built without that protocol", "HTTP firmware needs the map's http: base",
	"no server address is known: put server_id before boot, or give server:",
	"the client did not send what a placeholder needs", "what the client sent would leave the directory or the name",
	"the name is longer than 254 bytes with what the client sent",
	"only PXE firmware shows a menu", "the client chose what is not on the menu",
}

// String is for people.
func (r Reason) String() string { return reasonTexts[r] }

// matched tells a reason that is about the answer of an entry which the client does match.
func (r Reason) matched() bool { return r >= ReasonLoop }

// suspicious tells reasons that somebody should look at: a client that sends what it should not.
func (r Reason) suspicious() bool { return r == ReasonUnsafe || r == ReasonTooLong }
