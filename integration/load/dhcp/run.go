package dhcp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load"
)

// Plan is a load: who asks, how often, and what a right answer is.
type Plan struct {
	Profiles []Profile // the machines take them in turn
	Machines int       // how many there are; those that have finished begin again
	First    int       // which machine is the first: see MAC
	Rules    Rules

	// OfferOnly: an exchange ends with the OFFER. Otherwise it goes on to the ACK.
	OfferOnly bool

	// Window is how many exchanges run at any time. Zero: Rate of them are begun each second, however many still run.
	Window int
	Rate   float64

	Exchanges int           // how many are begun at most; 0: no limit
	For       time.Duration // how long exchanges are begun at most
	Timeout   time.Duration // after which an answer counts as lost; nothing is sent again
	CPU       int           // the core that the generator is kept on; negative: any
}

// Result is what a server made of a load. Times run from the moment when a message was due, not from when the
// generator came to send it, so that a stall shows in all the exchanges that it delayed.
type Result struct {
	Begun, Done, Lost int
	Elapsed           time.Duration // of the time in which exchanges were begun; over 0
	DoneInTime        int           // exchanges done in that time
	Faults            Faults
	Offer, ACK        load.Histogram
	CPU               time.Duration // of the generator
}

// PerSecond is the rate of finished exchanges while new ones were begun.
func (r *Result) PerSecond() float64 { return float64(r.DoneInTime) / r.Elapsed.Seconds() }

// LostShare is the part of the exchanges that did not finish.
func (r *Result) LostShare() float64 { return float64(r.Lost) / float64(max(r.Begun, 1)) }

// The states of a machine.
const (
	idle    = iota // has not begun, or its exchange is finished
	offered        // waits for an OFFER
	bound          // waits for an ACK
	gaveUp
)

// machine is one machine's exchange.
type machine struct {
	serial uint32
	state  int8
	since  time.Duration // when the message that it waits on was due

	requested [4]byte // zero: it has not got so far
}

// Serial numbers become transaction ids by an odd factor, which spreads them over all 32 bits and has an inverse.
const (
	spread  = 0x9E3779B1
	inverse = 0x0E8B2F51 // spread * inverse = 1 mod 1<<32; a test checks it
	salt    = 0x5bd1e995
)

// generator is a run of a plan.
type generator struct {
	Plan
	port     *Port
	speakers []*Speaker
	macs     [][6]byte
	machines []machine
	ledger   *Ledger
	waiting  queue
	inFlight int
	serial   uint32
	start    time.Time
	reply    Reply
	result   *Result
}

// Run offers the load at a port. It returns when all that was begun is answered or lost.
func (p Plan) Run(ctx context.Context, port *Port) (*Result, error) {
	if p.Machines == 0 || p.Timeout == 0 || p.For == 0 || len(p.Profiles) == 0 || (p.Window == 0) == (p.Rate == 0) {
		return nil, errors.New("a plan needs profiles, machines, a duration, a timeout, and either a window or a rate")
	}
	if !p.OfferOnly && !p.Rules.Leases {
		return nil, errors.New("a plan whose machines send REQUESTs needs a server that gives addresses")
	}
	if p.Window > p.Machines || p.Rate*p.Timeout.Seconds() > float64(p.Machines) {
		return nil, fmt.Errorf("%d machines are too few: one would have to begin again before its exchange can end", p.Machines)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if p.CPU >= 0 {
		undo, err := load.PinThread(p.CPU)
		if err != nil {
			return nil, err
		}
		defer undo()
	}
	g := &generator{Plan: p, port: port, machines: make([]machine, p.Machines), macs: make([][6]byte, p.Machines),
		ledger: NewLedger(p.Rules, p.Profiles, p.Machines), result: new(Result)}
	for _, profile := range p.Profiles {
		g.speakers = append(g.speakers, NewSpeaker(profile))
	}
	for i := range g.macs {
		g.macs[i] = MAC(p.First + i)
	}
	g.waiting.init(p.Machines)
	cpu := load.ThreadTime()
	err := g.run(ctx)
	g.result.CPU = load.ThreadTime() - cpu
	return g.result, err
}

func (g *generator) run(ctx context.Context) error {
	g.start = time.Now()
	for now, was := time.Duration(0), true; ; {
		open := now < g.For && ctx.Err() == nil && (g.Exchanges == 0 || g.result.Begun < g.Exchanges)
		if was { // the first look after the end counts: on a busy machine it may be the only one
			g.result.Elapsed, g.result.DoneInTime, was = now, g.result.Done, open
		}
		if open {
			if err := g.begin(now); err != nil {
				return err
			}
		} else if g.inFlight == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := g.port.Flush(); err != nil {
			return err
		}
		n, err := g.port.Receive()
		if n == 0 && err == nil {
			if err = g.port.Wait(g.patience(now, open)); err == nil {
				n, err = g.port.Receive()
			}
		}
		if err != nil {
			return err
		}
		now = time.Since(g.start)
		for i := range n {
			if err := g.answer(i, now); err != nil {
				return err
			}
		}
		g.expire(now)
	}
}

// begin sends the DISCOVERs that are due.
func (g *generator) begin(now time.Duration) error {
	for g.Exchanges == 0 || g.result.Begun < g.Exchanges {
		due := now
		if g.Window > 0 {
			if g.inFlight >= g.Window {
				return nil
			}
		} else if due = g.due(); due > now {
			return nil
		}
		g.serial++
		who := int(g.serial) % g.Machines
		m := &g.machines[who]
		if m.state == offered || m.state == bound { // the server is so slow that the machine's turn comes again
			g.giveUp(m)
		}
		*m = machine{serial: g.serial, state: offered, since: due}
		g.waiting.push(entry{serial: g.serial, state: offered, since: due})
		g.inFlight++
		g.result.Begun++
		if err := g.speaker(who).Discover(g.port, g.macs[who], xid(g.serial), 0); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) speaker(who int) *Speaker { return g.speakers[who%len(g.speakers)] }

// due is when the next exchange is to begin, where the rate is fixed.
func (g *generator) due() time.Duration {
	return time.Duration(float64(g.result.Begun) / g.Rate * float64(time.Second))
}

// patience is how long nothing happens unless an answer arrives.
func (g *generator) patience(now time.Duration, open bool) time.Duration {
	d := 20 * time.Millisecond
	if oldest, any := g.waiting.oldest(); any {
		d = min(d, oldest.since+g.Timeout-now)
	}
	if open && g.Rate > 0 {
		d = min(d, g.due()-now)
	}
	return d
}

func xid(serial uint32) uint32   { return serial*spread + salt }
func serialOf(xid uint32) uint32 { return (xid - salt) * inverse }
