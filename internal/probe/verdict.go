package probe

import "fmt"

// Verdict is how the machine's boot ends.
type Verdict struct {
	Boots bool `json:"boots"`
	// Code is a word for programs that does not change between versions: "boots", or that of a Stop.
	Code string `json:"code"`
	Text string `json:"text"`
	// Cause is the likely cause and what to do; empty where the machine boots.
	Cause string `json:"cause,omitempty"`
}

// Stop is a place where a boot ends, and why. It is the error of every step that a server can make fail; other errors
// are this host's.
type Stop struct {
	Code  string
	Text  string
	Cause string
}

// Error is the text.
func (s *Stop) Error() string { return s.Text }

func stop(code, cause, text string, args ...any) *Stop {
	return &Stop{Code: code, Text: fmt.Sprintf(text, args...), Cause: cause}
}

// Note is something about an answer that breaks other machines, or this one elsewhere.
type Note struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func note(code, text string, args ...any) Note { return Note{code, fmt.Sprintf(text, args...)} }

// Sentences that several rules say.
const (
	causeNoOffer = "no DHCP server serves this network or knows this machine, a relay is missing, or the port is blocked (a " +
		"switch's DHCP snooping or spanning tree, a hypervisor or Wi-Fi that drops a foreign MAC: try --mac with the interface's own); a server on this very host does not hear the probe, run it on another machine"
	causeProxyOnly = "a proxyDHCP server only adds a boot file; a DHCP server for the addresses must answer too"
	causeNoFile    = "give the machine a boot file: siaddr and file (dhcpd: next-server and filename; dnsmasq: dhcp-boot), or a " +
		"rule for this architecture"
	causeBINL = "leave option 60 out, or send 43 = 06 01 08 ff with it, or let the server answer on port 4011 (and let the " +
		"firewall pass it)"
)

func stopNoOffer(waited any) *Stop {
	return stop("no-offer", causeNoOffer, "nobody answered DISCOVER within %s: PXE-E51, PXE-E16", waited)
}
