package expr

import (
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// Env is what expressions are evaluated over: a message, and what the server knows of its sender. It belongs to one
// goroutine while it is evaluated.
type Env struct {
	Options    *option.Set   // of the message; nil: none
	Relays     []*option.Set // DHCPv6: of the relays' messages around it, the nearest to the client first
	Packet     []byte        // the message as it came; nil: packet() is null
	Hardware   []byte        // type of hardware, then the address; nil: hardware is null
	File       []byte        // of the message's header, up to the first NUL; empty: filename is null
	ServerName []byte        // likewise

	Known     bool          // some host declaration is this client's
	Static    bool          // its address is one that a host declaration gives
	Address   netip.Addr    // leased, or about to be; invalid: leased-address is null
	LeaseTime time.Duration // until the lease ends; 0: lease-time is null
	HostName  string        // of the host declaration, if Static; empty: host-decl-name is null

	Settings *Settings  // what statements have set so far; nil: nothing
	Trace    func(Step) // is told each decision; nil: nobody asks

	depth int // of settings that are evaluated inside of each other
}

// Step is one decision on the way: a condition, what it was and where it stands.
type Step struct {
	Condition *Expr
	Result    Truth
}

// Truth is what a condition can be. Where a part has no value, such as a match of a regular expression with an absent
// option, so has the whole: null, which counts as false and stays null behind not.
type Truth uint8

// The truth values.
const (
	Null Truth = iota
	False
	True
)

func (t Truth) String() string { return [...]string{"null", "false", "true"}[t] }

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}
