// Package view is a lease as it is shown outside of the process: in lists, to hooks and to other programs. Times are the
// host's, and nothing that a client sent is there as it came.
package view

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// Lease is one address and who has it. Bytes are in hex with colons; texts are escaped by Text. What is not known is left
// out of the JSON.
type Lease struct {
	Address   netip.Addr `json:"address"`
	Prefix    string     `json:"prefix,omitempty"` // that is delegated; Address is its first
	State     string     `json:"state"`            // active, free or abandoned
	Owner     string     `json:"owner,omitempty"`  // what the server knows the client by
	MAC       string     `json:"mac,omitempty"`
	ClientID  string     `json:"client_id,omitempty"` // option 61
	Hostname  string     `json:"hostname,omitempty"`  // option 12
	CircuitID string     `json:"circuit_id,omitempty"`
	RemoteID  string     `json:"remote_id,omitempty"` // options 82.1 and 82.2
	Starts    time.Time  `json:"starts"`
	Ends      time.Time  `json:"ends"` // free: since when
}

// Of shows a lease whose seconds are the Book's; wall makes the host's of them.
func Of(l lease.Lease, wall func(second int64) time.Time) Lease {
	prefix := ""
	if l.Prefix.IsValid() && !l.Prefix.IsSingleIP() {
		prefix = l.Prefix.String()
	}
	return Lease{
		Address: l.Addr, Prefix: prefix, State: l.State.String(), Owner: Hex(l.Owner), MAC: Hex(l.MAC), ClientID: Hex(l.ID), Hostname: Text(l.Hostname),
		CircuitID: Text(l.CircuitID), RemoteID: Text(l.RemoteID), Starts: wall(l.Start).UTC(), Ends: wall(l.End).UTC(),
	}
}

// Hex is bytes like 52:54:00:aa:bb:01.
func Hex(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(hex.EncodeToString([]byte{s[i]}))
	}
	return b.String()
}

// Text is a client's text with nothing in it that a terminal, a shell or a parser could take for more than text: letters,
// digits, and the characters of names and addresses stay, and every other byte becomes a backslash and three octal digits.
func Text(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#%+,-./:=@_"
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, `\%03o`, s[i])
		}
	}
	return b.String()
}
