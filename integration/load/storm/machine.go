package storm

import "time"

// Step is what a machine is doing.
type Step int

// The steps of a boot. A lease is a DISCOVER and a REQUEST.
const (
	Off      Step = iota // until the power reaches it
	Firmware             // UEFI takes a lease
	Size                 // asks for the loader's size, and aborts
	Loader               // fetches it, windowsize 4
	IPXE                 // iPXE takes a lease
	Script               // fetches its script
	Booted
)

func (s Step) String() string {
	return [...]string{"off", "firmware's lease", "size query", "loader", "iPXE's lease", "script", "booted"}[s]
}

// What firmware does where nothing answers: EDK2 sends a DISCOVER again after 4 s, then 8, and a TFTP packet after 4 s;
// iPXE begins with 1 s (its TFTP with a quarter, which would help only the servers that lose packets).
const (
	patient   = 4 * time.Second
	impatient = time.Second

	// jitter is by how much a machine waits longer or shorter, at random (RFC 2131 section 4.1).
	jitter = time.Second
	// together is the time within which "at the same moment" is: power supplies and clocks differ, self-tests even more.
	together = 250 * time.Millisecond
)

// machine is one of them.
type machine struct {
	step      Step
	entered   time.Duration // that step
	requested [4]byte
	address   [4]byte
	server    [4]byte
	sent      time.Duration // its last DHCP message
	wait      time.Duration // how long it waits for the answer
}

// program is which of the two that take a lease runs.
func (m *machine) program() int {
	if m.step == IPXE {
		return 1
	}
	return 0
}

func (m *machine) leasing() bool { return m.step == Firmware || m.step == IPXE }

// xid is one for each lease that a machine takes.
func xid(i int, m *machine) uint32 { return 0xb0<<24 | uint32(i)<<2 | uint32(m.program()) }
