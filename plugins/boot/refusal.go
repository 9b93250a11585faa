package boot

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Decision is what a map said to one request.
type Decision struct {
	Policy   *Policy
	Client   netboot.Client
	Refused  []Refusal // entries that were considered and did not answer, in their order
	Answer   netboot.Answer
	Answered bool // false: no boot answer; Answer.Because then names the entry that says ignore, if one does
}

// Refusal is why an entry of the map does not answer a client.
type Refusal struct {
	Entry string // its place: boot.yml:41
	Why   Reason

	wants  string // of the word that does not match
	answer *answer
}

// Entries are how many rules and how many hosts' identities the map has.
func (p *Policy) Entries() (rules, hosts int) {
	return len(p.rules), len(p.byMAC) + len(p.byUUID)
}

// NeedsLocal6 tells a map whose answers hold our own IPv6 address for DHCPv6 clients.
func (p *Policy) NeedsLocal6() bool { return p.auto6 != "" }

// HostEntries are the places of the entries that name this client by its MAC or its UUID.
func (p *Policy) HostEntries(c *netboot.Client) (places []string) {
	for _, a := range p.hosts(c) {
		if a != nil {
			places = append(places, a.because)
		}
	}
	return places
}

// Text is the refusal for a person: what the entry wants, and what the client sent. Client text in it is quoted.
func (r Refusal) Text(c *netboot.Client) string {
	if r.Why.matched() {
		return r.Why.String() + r.about(c)
	}
	return fmt.Sprintf("%s: the rule wants %s, the client %s", r.Why, r.wants, sent(r.Why, c))
}

// about is what of the answer the reason is about.
func (r Refusal) about(c *netboot.Client) string {
	f := r.answer.file
	if f == nil {
		return ""
	}
	switch r.Why {
	case ReasonNoValue:
		return ": " + quoted(f.written) + " needs " + strings.Join(f.missing(c), " and ")
	case ReasonUnsafe:
		return ": " + quoted(f.written) + " with hostname " + quoted(c.Hostname)
	case ReasonNoServer:
		return ""
	}
	return ": " + f.written
}

// missing are the placeholders that a client's request leaves empty.
func (f *file) missing(c *netboot.Client) (names []string) {
	for _, t := range []text{f.name, f.http, f.tftp6} {
		if t.template == nil {
			continue
		}
		for _, p := range t.template.parts {
			if p.value != nil && p.text != "server" && p.value(c, c.Local) == "" {
				names = append(names, "{"+p.text+"}")
			}
		}
		return names // the other forms have the same
	}
	return names
}

// sent is what a client sent of the kind that a word tests.
func sent(word Reason, c *netboot.Client) string {
	switch word {
	case ReasonArch:
		if c.ArchBy == netboot.ArchNotTold {
			return "told none"
		}
		return "is " + ArchText(c.Arch) + " by " + c.ArchBy.String()
	case ReasonIPXE, ReasonFirmware:
		return "is " + c.Firmware.String()
	case ReasonFeatures, ReasonLacks:
		switch {
		case c.Firmware != netboot.FirmwareIPXE:
			return "is not iPXE"
		case !c.FeaturesKnown:
			return "did not tell its features"
		}
		return "has " + strings.Join(c.Features.Names(), ", ")
	case ReasonUserClass:
		return "sent " + texted(c.UserClasses...)
	case ReasonVendorClass:
		return "sent " + texted(c.VendorClass)
	case ReasonHostname:
		return "sent " + texted(c.Hostname)
	case ReasonMAC:
		if !c.MAC.Known() {
			return "told none"
		}
		return "has " + c.MAC.String()
	case ReasonUUID:
		if !c.UUID.Known() {
			return "told none"
		}
		return "has " + c.UUID.String()
	case ReasonSubnet:
		return "is in " + texted(c.Place.Network, c.Place.Subnet)
	case ReasonClass:
		return "is in " + texted(c.Place.Classes...)
	case ReasonRelay:
		if !c.Relay.Addr.IsValid() && c.Relay.CircuitID == "" && c.Relay.RemoteID == "" {
			return "came through none"
		}
		return fmt.Sprintf("came through %s, circuit-id %s, remote-id %s", addrOr(c.Relay), texted(c.Relay.CircuitID), texted(c.Relay.RemoteID))
	}
	return "is " + ArchText(c.Arch) + "/" + c.Firmware.String()
}

func addrOr(r netboot.Relay) string {
	if !r.Addr.IsValid() {
		return "no address"
	}
	return r.Addr.String()
}

// ArchText is an architecture's name with its code: "uefi-x64 (9)", since a map may name either.
func ArchText(a netboot.Arch) string {
	if name, code := a.String(), strconv.Itoa(int(a)); name != code {
		return name + " (" + code + ")"
	}
	return a.String()
}

// texted are client texts, quoted, or "none".
func texted(list ...string) string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, quoted(s))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return some(out)
}

// quoted is text from the network as it can stand in a terminal, cut to a length that fits one.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// some joins a list that may be long.
func some(list []string) string {
	const most = 8
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" or %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}
