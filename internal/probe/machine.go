// Package probe boots a machine that does not exist, on a real network: it asks for an address as firmware does, chooses
// among the answers by the firmware's own rules, fetches what it is told to boot, and says where the boot would stop and
// why. Every byte that it reads comes from servers that may be wrong or hostile.
package probe

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Config is the machine to play, and how far.
type Config struct {
	// Firmware is who asks. Without a MAC it gets one that is its own on this interface.
	Firmware firmware.Machine
	// Collect is how long offers are collected; EDK2 takes 4 s, whatever comes.
	Collect time.Duration
	// Timeout is how long the machine waits for a first offer, for an ACK, and for a file server's next word.
	Timeout time.Duration
	// OfferOnly: no address is requested. What needs one cannot be followed then.
	OfferOnly bool
	// AsMachine: files are fetched with the machine's own MAC and address, from a network namespace that exists only
	// meanwhile, instead of by the host's network stack.
	AsMachine bool
	// MaxSize is the most bytes of one file that are read.
	MaxSize int64
	// Told is called for each thing that happens, in order.
	Told func(Event)
}

// Event is a line of the timeline.
type Event struct {
	At    time.Duration `json:"at_ns"` // since the machine was made
	Stage string        `json:"stage"` // who runs: uefi-x64, or ipxe
	What  string        `json:"what"`  // DISCOVER, OFFER, CHOICE, TFTP, FILE, NOTE, ...
	Text  string        `json:"text"`
	Offer *Offer        `json:"reply,omitempty"`
	Note  string        `json:"note,omitempty"` // code of a Note
}

// Machine is a machine on a link.
type Machine struct {
	Config
	link    *Link
	station *station
	start   time.Time
	leases  []lease
	notes   []Note
	space   *namespace // with AsMachine, once something was fetched
}

// New puts a machine on the link. Close gives back what it took.
func New(link *Link, c Config) *Machine {
	if !c.Firmware.MAC.Known() {
		c.Firmware.MAC = ownMAC(link.Interface.HardwareAddr)
	}
	m := &Machine{Config: c, link: link, start: time.Now()}
	m.station = newStation(link, c.Firmware.MAC.Bytes())
	return m
}

// ownMAC is a locally administered address that is the same whenever the host probes on this interface, so that servers
// do not fill with leases of machines that never come back. The interface's own would get, and then release, the host's
// lease.
func ownMAC(hw net.HardwareAddr) netboot.MAC {
	sum := sha256.Sum256(append([]byte("netbootctl probe "), hw...))
	return netboot.MACFrom(append([]byte{2}, sum[:5]...))
}

// Notes are what the machine saw on its way that breaks others.
func (m *Machine) Notes() []Note { return m.notes }

// tell puts a line on the timeline.
func (m *Machine) tell(what string, o *Offer, text string, args ...any) {
	m.Told(Event{At: time.Since(m.start), Stage: m.stage(), What: what, Text: fmt.Sprintf(text, args...), Offer: o})
}

// remark adds notes, each once.
func (m *Machine) remark(notes ...Note) {
	for _, n := range notes {
		if !contains(m.notes, n) {
			m.notes = append(m.notes, n)
			m.Told(Event{At: time.Since(m.start), Stage: m.stage(), What: "NOTE", Text: n.Text, Note: n.Code})
		}
	}
}

func contains(list []Note, n Note) bool {
	for _, l := range list {
		if l == n {
			return true
		}
	}
	return false
}

func (m *Machine) stage() string {
	if m.Firmware.Firmware == netboot.FirmwareIPXE {
		return "ipxe"
	}
	return m.Firmware.Arch.String()
}

// Boot plays the machine until its boot ends. The error is this host's trouble, or the context's end; whatever servers
// do is in the verdict.
func (m *Machine) Boot(ctx context.Context) (Verdict, error) {
	v, err := m.boot(ctx)
	var s *Stop
	if !errors.As(err, &s) {
		return v, err
	}
	v = Verdict{Code: s.Code, Text: s.Text, Cause: s.Cause}
	for _, n := range m.notes {
		switch n.Code {
		case "two-servers":
			v.Cause = n.Text + ": if the one taken is not yours, switch it off. Or: " + v.Cause
		case "proxy-without-siaddr":
			v.Cause = n.Text
		}
	}
	return v, nil
}

// maxStages is how many programs are followed: the firmware, a poor iPXE, a full one, and one more that shows the loop.
const maxStages = 4

func (m *Machine) boot(ctx context.Context) (Verdict, error) {
	for range maxStages {
		s, net, err := m.askWhatToBoot(ctx)
		if err != nil {
			return Verdict{}, err
		}
		got, err := m.fetch(ctx, net, s)
		if err != nil {
			return Verdict{}, err
		}
		v, next, err := m.judge(got)
		if err != nil || !next {
			return v, err
		}
		m.becomeIPXE()
	}
	return Verdict{}, errLoop(m.Firmware.Arch)
}

// becomeIPXE is the machine after it ran iPXE as it is usually built.
func (m *Machine) becomeIPXE() {
	if m.Firmware.Firmware == netboot.FirmwareHTTP { // iPXE sends the code for PXE, whatever loaded it
		if codes, err := netboot.ParseArch(m.Firmware.Arch.String()); err == nil {
			m.Firmware.Arch = firmware.CodeFor(codes, netboot.FirmwareIPXE)
		}
	}
	m.Firmware.Firmware = netboot.FirmwareIPXE
	m.Firmware.Features = netboot.UsualFeatures(m.Firmware.Arch)
	m.tell("STARTS", nil, "iPXE runs, and asks anew")
}

func (m *Machine) askWhatToBoot(ctx context.Context) (Source, *stack, error) {
	if m.Firmware.V6 {
		return m.ask6(ctx)
	}
	return m.ask4(ctx)
}

// xid is a transaction id that nobody can guess.
func xid() (id firmware.XID) {
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // crypto/rand.Read never fails since Go 1.24
	}
	return id
}

// hear collects what comes for the machine until the deadline, or until enough says so.
func (m *Machine) hear(ctx context.Context, deadline time.Time, enough func(*datagram) bool) error {
	for {
		d, err := m.station.receive(ctx, deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case enough(d):
			return nil
		}
	}
}
