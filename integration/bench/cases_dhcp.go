package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
)

const (
	window = 64
	// lost is how long an answer is waited for. No client waits less.
	lost = time.Second
	// most is what the generator offers at most on one core.
	most = 200_000
	// prober is a machine of no load, which looks whether the server is up.
	prober = 1<<24 - 2
)

// firmwares are the machines of a boot load: BIOS and UEFI, each as plain PXE and as iPXE.
func firmwares(unicast bool) []dhcp.Profile {
	return []dhcp.Profile{
		{Firmware: dhcp.PXE, Arch: 7, Unicast: unicast}, {Firmware: dhcp.IPXE, Arch: 7},
		{Firmware: dhcp.PXE, Arch: 0, Unicast: unicast}, {Firmware: dhcp.IPXE, Arch: 0},
	}
}

func (b *Bench) dhcpCases() []Case {
	byName := b.installed(dhcpServers())
	var stateless, leasing []string
	for _, s := range dhcpServers() {
		if byName[s.Name] == nil {
			continue
		}
		switch s.Name {
		case "ours", "ours-log", "coredhcp":
			stateless = append(stateless, s.Name)
		case "echo-log", "echo-sync", "ours-range", "ours-subnets", "ours-classes", "ours-relaxed", "coredhcp-range":
			leasing = append(leasing, s.Name)
		default:
			stateless, leasing = append(stateless, s.Name), append(leasing, s.Name)
		}
	}
	with := func(fn func(context.Context, *dhcpRun) error, relayed bool) func(context.Context, string) (Sample, error) {
		return func(ctx context.Context, name string) (Sample, error) {
			return b.dhcp(ctx, byName[name], relayed, fn)
		}
	}
	return []Case{
		{"offers-relay", "DISCOVER and OFFER through a relay agent, 64 at a time", stateless, with(b.offers(false), true)},
		{"offers-direct", "the same on the server's own wire, replies by unicast", stateless, with(b.offers(true), false)},
		{"offers-half", "offers-relay at half of that rate, at fixed times", stateless, with(b.half, true)},
		{"offers-overload", "server on one core, generator on the other; first 64 at a time, then twice that rate, " +
			"or 200,000 a second", stateless, with(b.overload, true)},
		{"dora", "new machines take a lease through a relay agent, 64 at a time, then all of them again", leasing,
			with(b.leases, true)},
		{"dora-half", "new machines take leases at half of that rate, at fixed times", leasing, with(b.leasesHalf, true)},
		{"dora-overload", "server on one core, generator on the other; machines take leases, first 64 at a time, then new ones " +
			"at twice that rate", leasing, with(b.leasesOverload, true)},
		{"restart", "from the start with 200,000 leases in the log to the first answer", only(leasing, "ours-range"),
			with(b.restart, true)},
	}
}

// dhcpRun is a server that is up, and what was measured of it.
type dhcpRun struct {
	server  *Server
	site    *Site
	running *Running
	port    *dhcp.Port
	sample  *Sample
	only    int // the number of the one machine that the server is sure to answer, from 1; 0: any
}

// dhcp starts a server at a fresh site, waits until it answers, and measures it.
func (b *Bench) dhcp(ctx context.Context, s *Server, relayed bool, fn func(context.Context, *dhcpRun) error) (sample Sample, err error) {
	sample.Metrics = map[string]float64{}
	r := &dhcpRun{server: s, sample: &sample}
	dir, err := b.workDir(s.Name)
	if err != nil {
		return sample, err
	}
	if r.site, err = NewSite(dir, Layout{Relayed: relayed}); err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, r.site.Close()) }()
	if r.port, err = r.site.Port(); err != nil {
		return sample, err
	}
	defer r.port.Close()
	if r.running, err = b.Programs.Start(s, r.site); err != nil {
		return sample, err
	}
	if err := r.answers(ctx); err != nil {
		return sample, err
	}
	err = fn(ctx, r)
	return sample, errors.Join(err, r.running.Ended())
}

// answers waits until the server answers a DISCOVER.
func (r *dhcpRun) answers(ctx context.Context) error {
	plan := r.plan()
	plan.First = prober
	if r.only > 0 {
		plan.First = r.only - 1
	}
	plan.Machines, plan.Profiles, plan.Rules = 1, []dhcp.Profile{{Firmware: dhcp.IPXE, Arch: 7}}, dhcp.Rules{}
	plan.OfferOnly, plan.Window, plan.Exchanges, plan.Timeout = true, 1, 1, 200*time.Millisecond
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		result, err := plan.Run(ctx, r.port)
		if err != nil || result.Done > 0 {
			return err
		}
		if err := r.running.Ended(); err != nil {
			return err
		}
	}
	return errors.New("the server did not answer within 30 s")
}

// plan is a load that suits the server.
func (r *dhcpRun) plan() dhcp.Plan {
	p := dhcp.Plan{
		Profiles: firmwares(!r.site.Relayed), Machines: 20_000, Timeout: lost, Window: window, CPU: -1,
		For:   time.Minute,
		Rules: dhcp.Rules{Server: ip4(r.site.Address()), Leases: r.server.Leases},
	}
	if r.server.Files {
		p.Rules.File = r.site.bootFile(r.server.Hosts)
	}
	if r.server.Small {
		p.Machines = 4_000
	}
	return p
}

// run offers a load and notes what the server used meanwhile.
func (r *dhcpRun) run(ctx context.Context, p dhcp.Plan) (*dhcp.Result, error) {
	meter := startMeter(r.site)
	result, err := p.Run(ctx, r.port)
	if err != nil {
		return nil, err
	}
	m := r.sample.Metrics
	meter.stop(m, "cpu_10k", float64(result.Done)/1e4)
	m["generator"] = result.CPU.Seconds() / max(result.Elapsed.Seconds(), 1e-3)
	m["wrong"] += float64(result.Faults.Wrong())
	for fault, count := range result.Faults.Count {
		if count > 0 {
			r.sample.Notes = append(r.sample.Notes, fmt.Sprintf("%d answers: %s: %s", count, dhcp.Fault(fault),
				result.Faults.Examples[fault]))
		}
	}
	return result, nil
}

func (b *Bench) offers(unicast bool) func(context.Context, *dhcpRun) error {
	return func(ctx context.Context, r *dhcpRun) error {
		p := r.plan()
		p.Profiles, p.OfferOnly, p.For = firmwares(unicast), true, b.Time
		result, err := r.run(ctx, p)
		if err != nil {
			return err
		}
		r.note(result)
		return nil
	}
}

func (r *dhcpRun) note(result *dhcp.Result) {
	m := r.sample.Metrics
	m["per_s"], m["lost"] = result.PerSecond(), result.LostShare()*100
	m["offer_p50_ms"], m["offer_p99_ms"] = milliseconds(result.Offer.Quantile(.5)), milliseconds(result.Offer.Quantile(.99))
	if result.ACK.Count() > 0 {
		m["ack_p99_ms"] = milliseconds(result.ACK.Quantile(.99))
	}
}

// half offers half of what the server reached when it was asked as fast as it could answer.
func (b *Bench) half(ctx context.Context, r *dhcpRun) error {
	full, ok := b.results.Median("offers-relay", r.server.Name, "per_s")
	if !ok {
		return errors.New("the case offers-relay must run first")
	}
	r.sample.Metrics["asked_s"] = full / 2
	return r.open(ctx, full/2, b.Time, -1)
}

// open offers a fixed rate of DISCOVERs.
func (r *dhcpRun) open(ctx context.Context, rate float64, duration time.Duration, cpu int) error {
	p := r.plan()
	p.OfferOnly, p.CPU = true, cpu
	return r.fixed(ctx, p, rate, duration)
}

// fixed begins exchanges at a fixed rate.
func (r *dhcpRun) fixed(ctx context.Context, p dhcp.Plan, rate float64, duration time.Duration) error {
	p.Window, p.Rate, p.For = 0, rate, duration
	if p.Machines < int(rate*lost.Seconds())+1 {
		p.Machines = int(rate*lost.Seconds()) + 1
	}
	result, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	r.note(result)
	return nil
}

// overload keeps the server and the generator on a core of their own.
func (b *Bench) overload(ctx context.Context, r *dhcpRun) error {
	if runtime.NumCPU() < 2 {
		return errors.New("overload needs two cores")
	}
	if err := r.running.Pin(0); err != nil {
		return err
	}
	p := r.plan()
	p.OfferOnly, p.For, p.CPU = true, b.Time, 1
	result, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	full := result.PerSecond()
	r.sample.Metrics["max_s"], r.sample.Metrics["asked_s"] = full, min(2*full, most)
	if err := r.open(ctx, min(2*full, most), 2*b.Time, 1); err != nil {
		return err
	}
	r.sample.Metrics["kept"] = r.sample.Metrics["per_s"] / full * 100
	return nil
}
