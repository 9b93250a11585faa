package dhcp

import (
	"bytes"
	"fmt"
)

// Fault is what can be wrong with an answer.
type Fault int

// The faults, in the order in which they are looked for.
const (
	NoFault      Fault = iota
	Malformed          // cut short, or an option out of bounds
	Stray              // a transaction that nobody began
	Late               // an answer after its machine gave up
	Duplicate          // a second answer to the same message
	Refused            // a NAK to an address that the server had offered
	WrongMachine       // another hardware address than the transaction's
	WrongType          // no OFFER to a DISCOVER, or no ACK to a REQUEST
	WrongServer        // an IP source or option 54 that is not the server's
	NoAddress          // an address was expected and there is none
	Doubled            // an address that another machine was given
	Changed            // another address than this machine was offered, or had before
	WrongFile          // not the boot file for this machine
	faults
)

func (f Fault) String() string {
	return [...]string{"none", "malformed", "stray", "late", "duplicate", "refused", "wrong machine", "wrong type", "wrong server",
		"no address", "doubled address", "changed address", "wrong file"}[f]
}

// Rules say what a right answer holds.
type Rules struct {
	// Server is the server's address: every answer comes from it, and names it in option 54. Zero: any.
	Server [4]byte
	// Leases: every answer must give an address of the machine's own.
	Leases bool
	// File is the boot file for a machine; nil: any.
	File func(machine int, p Profile) string
}

// Ledger remembers which machine was given which address.
type Ledger struct {
	rules  Rules
	owners map[[4]byte]int32
	given  [][4]byte
	files  [][]byte
}

// NewLedger starts a ledger for so many machines.
func NewLedger(rules Rules, profiles []Profile, machines int) *Ledger {
	l := &Ledger{rules: rules, owners: make(map[[4]byte]int32, machines), given: make([][4]byte, machines)}
	if rules.File != nil {
		l.files = make([][]byte, machines)
		for i := range l.files {
			l.files[i] = []byte(rules.File(i, profiles[i%len(profiles)]))
		}
	}
	return l
}

// Check looks for a fault in the answer to a message of a machine: to its DISCOVER, or, where requested is not zero, to
// its REQUEST for that address. An OFFER need not be a machine's own: servers that keep no note of their offers make the
// same to two machines, and refuse one of them later.
func (l *Ledger) Check(machine int, mac [6]byte, p Profile, requested, from [4]byte, r *Reply) Fault {
	want := byte(Offer)
	if requested != ([4]byte{}) {
		want = ACK
	}
	switch {
	case r.MAC != mac:
		return WrongMachine
	case want == ACK && r.Type == NAK:
		return Refused
	case r.Type != want:
		return WrongType
	case l.rules.Server != [4]byte{} && (from != l.rules.Server || r.Server != l.rules.Server):
		return WrongServer
	case l.rules.Leases && r.Address == [4]byte{}:
		return NoAddress
	}
	if l.rules.Leases && want == ACK {
		if f := l.own(machine, requested, r.Address); f != NoFault {
			return f
		}
	}
	if l.files != nil && !bytes.Equal(r.File(p), l.files[machine]) {
		return WrongFile
	}
	return NoFault
}

// own notes that a machine has an address.
func (l *Ledger) own(machine int, requested, address [4]byte) Fault {
	owner, taken := l.owners[address]
	if taken && owner != int32(machine) {
		return Doubled
	}
	if before := l.given[machine]; address != requested || before != address && before != [4]byte{} {
		return Changed
	}
	l.owners[address], l.given[machine] = int32(machine), address
	return NoFault
}

// Faults counts faults, and keeps an example of each for the reader of a report.
type Faults struct {
	Count    [faults]int
	Examples [faults]string
}

// Add counts a fault in the answer to a machine.
func (f *Faults) Add(fault Fault, machine int, r *Reply, err error) {
	if f.Count[fault]++; f.Examples[fault] != "" {
		return
	}
	mac := MAC(machine)
	f.Examples[fault] = fmt.Sprintf("machine %x: type %d xid %#x chaddr %x address %d.%d.%d.%d server %d.%d.%d.%d file %q %q",
		mac, r.Type, r.XID, r.MAC, r.Address[0], r.Address[1], r.Address[2], r.Address[3],
		r.Server[0], r.Server[1], r.Server[2], r.Server[3], r.field, r.bootFile)
	if err != nil {
		f.Examples[fault] = err.Error()
	}
}

// Wrong is how many answers were wrong. Those that come late or twice, and a NAK, are allowed.
func (f *Faults) Wrong() (n int) {
	for fault, count := range f.Count {
		if fault := Fault(fault); fault != Late && fault != Duplicate && fault != Refused {
			n += count
		}
	}
	return n
}
