package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// State is what an address is in. That it is offered is no state, since an offer is forgotten by a restart.
type State uint8

// The states. A lease that ended is Free and keeps the last owner, who gets the address again if nobody else needed it.
const (
	Free State = iota
	Active
	Abandoned // somebody uses it without a lease: nobody gets it until the end
)

// String is the state's name in metrics and logs.
func (s State) String() string {
	switch s {
	case Free:
		return "free"
	case Active:
		return "active"
	case Abandoned:
		return "abandoned"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Client is who has an address. Its parts are bytes from the network. What is longer than MaxField is cut, except Owner.
type Client struct {
	// Owner is the identity that decides: two requests are of one client if their owners are equal. The front end chooses
	// it, such as a hardware address. It is never empty.
	Owner     string
	MAC       string
	ID        string // option 61
	Hostname  string // option 12
	CircuitID string // option 82.1
	RemoteID  string // option 82.2
}

// MaxField is the length of a client's part in bytes.
const MaxField = 255

// Lease is what is known of one address, or of one prefix.
type Lease struct {
	Addr   netip.Addr   // the first one of a prefix
	Prefix netip.Prefix // all of it; of full length: an address
	State  State
	Client
	// Start and End are seconds of the Book's time, which began as Unix time and is never stepped; see Clock. Free: End is
	// since when.
	Start, End int64
}

// facts is a Client as it stands in a record: its parts in the order of the struct, each behind its length as a uvarint.
// Entries keep it so, because one string takes much less memory than six.
type facts string

var (
	errNoOwner   = errors.New("a client without an identity")
	errLongOwner = fmt.Errorf("an identity of more than %d bytes", MaxField)
)

func factsOf(c *Client) (facts, error) {
	switch {
	case c.Owner == "":
		return "", errNoOwner
	case len(c.Owner) > MaxField:
		return "", errLongOwner
	}
	b := make([]byte, 0, 128)
	for _, s := range []string{c.Owner, c.MAC, c.ID, c.Hostname, c.CircuitID, c.RemoteID} {
		s = s[:min(len(s), MaxField)]
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return facts(b), nil
}

// client reads the parts, which share their memory with f.
func (f facts) client() (c Client) {
	rest := f
	for _, part := range []*string{&c.Owner, &c.MAC, &c.ID, &c.Hostname, &c.CircuitID, &c.RemoteID} {
		*part, rest, _ = rest.cut()
	}
	return c
}

// owner is the first part.
func (f facts) owner() string {
	owner, _, _ := f.cut()
	return owner
}

func (f facts) cut() (part string, rest facts, ok bool) {
	var n, used int // a length of 255 takes two bytes
	switch {
	case len(f) == 0:
		return "", "", false
	case f[0] < 0x80:
		n, used = int(f[0]), 1
	case len(f) > 1 && f[1] == 1:
		n, used = int(f[0]&0x7f)|0x80, 2
	default:
		return "", "", false
	}
	if n > len(f)-used {
		return "", "", false
	}
	return string(f[used : used+n]), f[used+n:], true
}

// valid tells whether f is what factsOf makes, or empty: an address that nobody has had.
func (f facts) valid() bool {
	if f == "" {
		return true
	}
	rest := f
	for range 6 {
		var ok bool
		if _, rest, ok = rest.cut(); !ok {
			return false
		}
	}
	return rest == "" && f.owner() != ""
}
