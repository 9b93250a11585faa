package tftp

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load"
)

// Plan is a load: clients, each with an address of its own, that fetch the same file again and again.
type Plan struct {
	Request               // From is the first client's address; the others follow it
	Clients int           // at the same time
	Each    int           // files that each of them fetches, one after the other
	For     time.Duration // after which nothing more is begun; 0: no limit
	CPU     int           // the core that the clients are kept on; negative: any
}

// Result is what a server made of a load.
type Result struct {
	Done, Failed     int
	Bytes            int // of the files that were fetched to their end
	Elapsed          time.Duration
	Took             load.Histogram // of each file, the deadline where it was not fetched in time
	Granted          Options        // to the last of them
	RRQs, ACKs       int            // sent again after silence
	Gaps, Duplicates int
	Errors           map[string]int
	CPU              time.Duration // of the clients
}

// Run fetches.
func (p Plan) Run(ctx context.Context) (*Result, error) {
	if p.Clients == 0 || p.Each == 0 || p.Resend == 0 || p.Deadline == 0 {
		return nil, errors.New("a plan needs clients, files for each, a time to send again, and a deadline")
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
	fleet, err := NewFleet()
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	r := &Result{Errors: map[string]int{}}
	cpu, begun := load.ThreadTime(), time.Now()
	left := make([]int, p.Clients)
	for i := range left {
		left[i] = p.Each - 1
		if err := fleet.Start(p.of(i), i); err != nil {
			return nil, err
		}
	}
	for fleet.Running() > 0 && ctx.Err() == nil {
		outcomes, err := fleet.Poll(time.Second)
		if err != nil {
			return nil, err
		}
		for _, o := range outcomes {
			r.add(o)
			if left[o.Tag] == 0 || p.For > 0 && time.Since(begun) >= p.For {
				continue
			}
			left[o.Tag]--
			if err := fleet.Start(p.of(o.Tag), o.Tag); err != nil {
				return nil, err
			}
		}
	}
	r.Elapsed, r.CPU = time.Since(begun), load.ThreadTime()-cpu
	return r, ctx.Err()
}

// of is the request of one client.
func (p Plan) of(client int) Request {
	r := p.Request
	r.From = Neighbour(p.From, client)
	return r
}

// Neighbour is the n-th address after one.
func Neighbour(ip [4]byte, n int) [4]byte {
	v := uint32(ip[0])<<24 | uint32(ip[1])<<16 | uint32(ip[2])<<8 | uint32(ip[3]) + uint32(n)
	return [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

func (r *Result) add(o Outcome) {
	r.RRQs += o.RRQs
	r.ACKs += o.ACKs
	r.Gaps += o.Gaps
	r.Duplicates += o.Duplicates
	if o.Err != nil {
		if errors.Is(o.Err, errDeadline) {
			r.Took.Record(o.Took)
		}
		r.Failed++
		r.Errors[o.Err.Error()]++
		return
	}
	r.Done++
	r.Bytes += o.Bytes
	r.Took.Record(o.Took)
	r.Granted = o.Granted
}
