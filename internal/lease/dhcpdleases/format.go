// Package dhcpdleases writes leases as ISC dhcpd keeps them, in the file dhcpd.leases, so that tools which read that file
// go on working. It follows dhcpd.leases(5) and what dhcpd 4.4.3 writes.
package dhcpdleases

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// Head begins a file.
const Head = `# The format of this file is documented in the dhcpd.leases(5) manual page.
# It is a copy for programs that read it: changes of it change nothing.

authoring-byte-order little-endian;

`

// Append adds a lease's block to b, in which the last block of an address counts.
func Append(b []byte, l view.Lease) []byte {
	if !l.Address.Is4() {
		return b // another file of dhcpd's has those
	}
	starts, ends := date(l.Starts), date(l.Ends)
	if l.Ends.Sub(l.Starts) >= forever && l.State == lease.Active.String() {
		ends = "never"
	}
	b = fmt.Appendf(b, "lease %s {\n  starts %s;\n  ends %s;\n", l.Address, starts, ends)
	if l.State == lease.Free.String() {
		b = fmt.Appendf(b, "  tstp %s;\n", ends)
	}
	b = fmt.Appendf(b, "  cltt %s;\n  binding state %s;\n", starts, l.State)
	if l.State == lease.Active.String() {
		b = append(b, "  next binding state free;\n  rewind binding state free;\n"...)
	}
	switch octets := strings.Count(l.MAC, ":") + 1; octets { // dhcpd has names for few types
	case 6:
		b = fmt.Appendf(b, "  hardware ethernet %s;\n", l.MAC)
	case 20:
		b = fmt.Appendf(b, "  hardware infiniband %s;\n", l.MAC)
	}
	if l.ClientID != "" {
		b = fmt.Appendf(b, "  uid %s;\n", quoted(l.ClientID))
	}
	// What view.Text makes of a text is what may stand between quotes.
	for _, text := range []struct{ name, value string }{
		{"option agent.circuit-id", l.CircuitID}, {"option agent.remote-id", l.RemoteID}, {"client-hostname", l.Hostname},
	} {
		if text.value != "" {
			b = fmt.Appendf(b, "  %s \"%s\";\n", text.name, text.value)
		}
	}
	return append(b, "}\n"...)
}

// forever is the time of a lease that has no end (RFC 2131 section 3.3).
const forever = (1<<32 - 1) * time.Second

// date is a weekday, from Sunday 0, and the time in UTC.
func date(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%d %s", t.Weekday(), t.Format("2006/01/02 15:04:05"))
}

// quoted is a string of dhcpd's, from hex with colons.
func quoted(octets string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(octets, ":", ""))
	if err != nil {
		b = nil // view.Hex made it
	}
	return `"` + view.Text(string(b)) + `"`
}
