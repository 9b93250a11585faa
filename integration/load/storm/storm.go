// Package storm is the morning on which the power comes back: machines that all switch on at the same moment and boot
// by PXE, each through every step that UEFI firmware and iPXE take.
package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/integration/load"
	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/integration/load/tftp"
)

// File is something to fetch.
type File struct {
	Name    string
	Content []byte
}

// Plan is a storm.
type Plan struct {
	Machines       int
	Server         [4]byte
	Rules          dhcp.Rules // of the machines' leases; File is set by Run
	Loader, Script File
	Deadline       time.Duration // after which the machines that have not booted count as lost
}

// Result is how the morning went.
type Result struct {
	Booted    int
	Stuck     [Booted]int   // where the others were when time was up
	All       time.Duration // until the last machine had its script
	Boot      load.Histogram
	Steps     [Booted]load.Histogram
	DHCPAgain int // messages sent again
	TFTPAgain int
	Faults    dhcp.Faults
	Errors    map[string]int // of transfers
}

type storm struct {
	Plan
	port      *dhcp.Port
	fleet     *tftp.Fleet
	speakers  [2]*dhcp.Speaker
	ledgers   [2]*dhcp.Ledger
	machines  []machine
	start     time.Time
	random    *rand.Rand
	result    *Result
	remaining int
}

// profiles of the two programs that take a lease.
func profiles() [2]dhcp.Profile {
	return [2]dhcp.Profile{{Firmware: dhcp.PXE, Arch: 7}, {Firmware: dhcp.IPXE, Arch: 7}}
}

// Run switches the machines on. It is called on a thread in the machines' network namespace, where all their
// addresses are local.
func (p Plan) Run(ctx context.Context, port *dhcp.Port) (*Result, error) {
	if p.Machines <= 0 || p.Machines > 1<<20 || p.Deadline == 0 {
		return nil, errors.New("a storm needs machines, no more than a million, and a deadline")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fleet, err := tftp.NewFleet()
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	s := &storm{Plan: p, port: port, fleet: fleet, machines: make([]machine, p.Machines), remaining: p.Machines,
		result: &Result{Errors: map[string]int{}}, random: rand.New(rand.NewPCG(1, uint64(p.Machines)))}
	for i, profile := range profiles() {
		rules := p.Rules
		rules.File = func(int, dhcp.Profile) string { return [2]string{p.Loader.Name, p.Script.Name}[i] }
		s.speakers[i] = dhcp.NewSpeaker(profile)
		s.ledgers[i] = dhcp.NewLedger(rules, []dhcp.Profile{profile}, p.Machines)
	}
	for i := range s.machines { // a machine that is off waits for nobody's answer
		s.machines[i].wait = time.Duration(s.random.Int64N(int64(together)))
	}
	s.start = time.Now()
	return s.result, s.run(ctx)
}

func (s *storm) run(ctx context.Context) error {
	for s.remaining > 0 && ctx.Err() == nil {
		now := time.Since(s.start)
		if now > s.Deadline {
			for _, m := range s.machines {
				if m.step != Booted {
					s.result.Stuck[m.step]++
				}
			}
			return nil
		}
		if err := s.port.Flush(); err != nil {
			return err
		}
		if _, err := load.Wait(unix.POLLIN, 5*time.Millisecond, s.port.FD(), s.fleet.FD()); err != nil {
			return err
		}
		if err := s.leases(); err != nil {
			return err
		}
		if err := s.files(); err != nil {
			return err
		}
		if err := s.again(time.Since(s.start)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// enter begins a step.
func (s *storm) enter(i int, step Step, now time.Duration) error {
	m := &s.machines[i]
	if step > m.step { // and not the same once more
		s.result.Steps[m.step].Record(now - m.entered)
	}
	m.step, m.entered, m.requested = step, now, [4]byte{}
	request := tftp.Request{From: m.address, Server: s.Server, Name: s.Loader.Name, Want: s.Loader.Content,
		Options: tftp.EDK2(), Resend: patient, Deadline: s.Deadline}
	switch step {
	case Firmware:
		m.wait = s.patience(patient)
		return s.discover(i, now)
	case IPXE:
		m.wait = s.patience(2 * impatient)
		return s.discover(i, now)
	case Size:
		request.Probe = true
	case Script:
		request.Name, request.Want, request.Options, request.Resend = s.Script.Name, s.Script.Content, tftp.IPXE(), impatient
	case Booted:
		s.remaining--
		s.result.Booted++
		s.result.All = now
		s.result.Boot.Record(now)
		return nil
	}
	return s.fleet.Start(request, i)
}

// patience is how long a machine waits for an answer that it waited for once already.
func (s *storm) patience(wait time.Duration) time.Duration {
	return wait + time.Duration(s.random.Int64N(int64(2*jitter))) - jitter
}

func (s *storm) discover(i int, now time.Duration) error {
	m := &s.machines[i]
	m.sent, m.requested = now, [4]byte{}
	return s.speakers[m.program()].Discover(s.port, dhcp.MAC(i), xid(i, m), uint16(now.Seconds()))
}

func (s *storm) request(i int, now time.Duration) error {
	m := &s.machines[i]
	m.sent = now
	return s.speakers[m.program()].Request(s.port, dhcp.MAC(i), xid(i, m), m.requested, m.server)
}

// leases takes the DHCP answers that have come.
func (s *storm) leases() error {
	n, err := s.port.Receive()
	if err != nil {
		return err
	}
	now := time.Since(s.start)
	var r dhcp.Reply
	for k := range n {
		message, from := s.port.Message(k)
		if err := r.Read(message); err != nil {
			s.result.Faults.Add(dhcp.Malformed, 0, &r, err)
			continue
		}
		i := int(r.XID >> 2 & (1<<20 - 1))
		if i >= len(s.machines) || !s.machines[i].leasing() || r.XID != xid(i, &s.machines[i]) {
			continue // a second answer
		}
		if err := s.lease(i, from, &r, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *storm) lease(i int, from [4]byte, r *dhcp.Reply, now time.Duration) error {
	m := &s.machines[i]
	offered := m.requested != [4]byte{}
	if offered && r.Type == dhcp.Offer {
		return nil // to a DISCOVER that was sent twice
	}
	fault := s.ledgers[m.program()].Check(i, dhcp.MAC(i), profiles()[m.program()], m.requested, from, r)
	switch {
	case fault == dhcp.Refused:
		s.result.DHCPAgain++
		return s.discover(i, now)
	case fault != dhcp.NoFault:
		s.result.Faults.Add(fault, i, r, nil)
		return nil
	case !offered:
		m.requested, m.server = r.Address, r.Server
		return s.request(i, now)
	}
	m.address = r.Address
	return s.enter(i, m.step+1, now)
}

// files takes the transfers that have ended.
func (s *storm) files() error {
	outcomes, err := s.fleet.Poll(0)
	if err != nil {
		return err
	}
	now := time.Since(s.start)
	for _, o := range outcomes {
		s.result.TFTPAgain += o.RRQs + o.ACKs
		m := &s.machines[o.Tag]
		next := m.step + 1
		if o.Err != nil { // the firmware tries the network once more
			s.result.Errors[fmt.Sprintf("%s: %v", m.step, o.Err)]++
			next = m.step
		}
		if err := s.enter(o.Tag, next, now); err != nil {
			return err
		}
	}
	return nil
}

// again sends the DHCP messages again that nothing answered, each time after twice as long.
func (s *storm) again(now time.Duration) error {
	for i := range s.machines {
		m := &s.machines[i]
		if m.step == Off && now >= m.wait {
			if err := s.enter(i, Firmware, now); err != nil {
				return err
			}
		}
		if !m.leasing() || now-m.sent < m.wait {
			continue
		}
		m.wait = s.patience(2 * m.wait)
		s.result.DHCPAgain++
		send := s.discover
		if m.requested != ([4]byte{}) {
			send = s.request
		}
		if err := send(i, now); err != nil {
			return err
		}
	}
	return nil
}
