package lease

import (
	"fmt"
	"slices"
	"strings"
)

// Event is something that became of an address.
type Event struct {
	Kind  Kind
	Lease Lease // afterwards
}

// Kind is what happened.
type Kind uint8

// The kinds of events.
const (
	Offered  Kind = iota // reserved for a while
	Leased               // the lease, or its renewal, is on stable storage
	Released             // given back, or left for another address
	Declined             // found in use, and quarantined
	Expired              // a lease, or a quarantine, ended
)

var kindNames = [...]string{"offered", "leased", "released", "declined", "expired"}

// String is the kind's name in metrics.
func (k Kind) String() string { return kindNames[k] }

// UnmarshalText reads the kind's name.
func (k *Kind) UnmarshalText(b []byte) error {
	i := slices.Index(kindNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("event %q is unknown; use one of %s", b, strings.Join(kindNames[:], ", "))
	}
	*k = Kind(i)
	return nil
}
