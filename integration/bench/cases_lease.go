package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/journal"
)

// only is the one of the servers, if it is there.
func only(servers []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(servers), func(s string) bool { return s != name })
}

// many is how many machines take leases; what a server's pool has is the limit.
func (r *dhcpRun) many() int {
	if r.server.Small {
		return 4_000
	}
	return 50_000
}

// leases lets every machine take a lease, and then once more.
func (b *Bench) leases(ctx context.Context, r *dhcpRun) error {
	p := r.plan()
	p.Machines = r.many()
	p.Exchanges, p.For = p.Machines, 2*b.Time
	result, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	r.note(result)
	if p.Exchanges = result.Done; result.Done < window {
		return fmt.Errorf("only %d leases were given", result.Done)
	}
	p.Machines = result.Done
	again, err := p.Run(ctx, r.port)
	if err != nil {
		return err
	}
	r.sample.Metrics["known_s"] = again.PerSecond()
	r.sample.Metrics["wrong"] += float64(again.Faults.Wrong())
	return nil
}

// leasesHalf offers half of what the server reached in dora, to new machines as long as there are any.
func (b *Bench) leasesHalf(ctx context.Context, r *dhcpRun) error {
	full, ok := b.results.Median("dora", r.server.Name, "per_s")
	if !ok {
		return errors.New("the case dora must run first")
	}
	r.sample.Metrics["asked_s"] = full / 2
	p := r.plan()
	p.Machines = r.many()
	return r.fixed(ctx, p, full/2, min(b.Time, time.Duration(float64(p.Machines)/(full/2)*float64(time.Second))))
}

// leasesOverload keeps the server and the generator on a core of their own. The first half of the machines tells what the
// server can do at most; the others, and then all again, ask at twice that rate.
func (b *Bench) leasesOverload(ctx context.Context, r *dhcpRun) error {
	if runtime.NumCPU() < 2 {
		return errors.New("overload needs two cores")
	}
	if err := r.running.Pin(0); err != nil {
		return err
	}
	p := r.plan()
	p.Machines, p.CPU = r.many()/2, 1
	p.Exchanges, p.For = p.Machines, b.Time
	result, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	full := result.PerSecond()
	r.sample.Metrics["max_s"], r.sample.Metrics["asked_s"] = full, min(2*full, most)
	p.First, p.Machines, p.Exchanges = p.Machines, r.many(), 0
	if file := p.Rules.File; file != nil {
		p.Rules.File = func(machine int, profile dhcp.Profile) string { return file(p.First+machine, profile) }
	}
	if err := r.fixed(ctx, p, min(2*full, most), b.Time); err != nil {
		return err
	}
	r.sample.Metrics["kept"] = r.sample.Metrics["per_s"] / full * 100
	return nil
}

// The pool of a restart, which has the machines' network and more.
const (
	restartLeases = 200_000
	restartFirst  = "198.16.0.0"
	restartLast   = "198.19.255.250"
)

// restart ends the server, puts leases in its place, and starts it again.
func (b *Bench) restart(ctx context.Context, r *dhcpRun) error {
	if err := r.running.kill(); err != nil {
		return err
	}
	path := filepath.Join(r.site.dir, "config.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	wide := strings.NewReplacer(poolFirst, restartFirst, poolLast, restartLast, "netmask: 255.255.0.0", "netmask: 255.252.0.0")
	if err := os.WriteFile(path, []byte(wide.Replace(string(text))), 0o644); err != nil {
		return err
	}
	if err := fill(filepath.Join(r.site.dir, "leases.sqlite3.leases")); err != nil {
		return err
	}
	again := *r.server
	again.Command = func(*Programs, *Site) ([]string, error) {
		return []string{"netboot-dhcpd", "-c", path, "-L", "warning"}, nil
	}
	r.only, r.site.running = 0, nil
	begun := time.Now()
	if r.running, err = b.Programs.Start(&again, r.site); err != nil {
		return err
	}
	if err := r.answersSoon(ctx); err != nil {
		return err
	}
	r.sample.Metrics["restart_s"] = time.Since(begun).Seconds()
	r.sample.Metrics["rss_mb"] = float64(r.site.Use().RSS) / mega
	return nil
}

// answersSoon is answers with many short tries.
func (r *dhcpRun) answersSoon(ctx context.Context) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		p := r.plan()
		p.First, p.Machines, p.Profiles, p.Rules = prober, 1, []dhcp.Profile{{Firmware: dhcp.IPXE, Arch: 7}}, dhcp.Rules{}
		p.OfferOnly, p.Window, p.Exchanges, p.Timeout = true, 1, 1, 10*time.Millisecond
		result, err := p.Run(ctx, r.port)
		if err != nil || result.Done > 0 {
			return err
		}
		if err := r.running.Ended(); err != nil {
			return err
		}
	}
	return errors.New("the server did not answer within 30 s")
}

// fill makes a directory with leases.
func fill(path string) error {
	clock, err := lease.HostClock()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	dir, err := journal.OpenDir(path)
	if err != nil {
		return err
	}
	book, err := lease.Open(lease.Config{Clock: clock, Journal: journal.Config{FS: dir}})
	if err != nil {
		return errors.Join(err, dir.Close())
	}
	first := netip.MustParseAddr(restartFirst).As4()
	pool, err := book.NewPool(lease.Range{First: netip.AddrFrom4(first), Last: netip.MustParseAddr(restartLast)})
	if err != nil {
		return errors.Join(err, book.Close(), dir.Close())
	}
	var all sync.WaitGroup
	for n := range restartLeases {
		mac := dhcp.MAC(n)
		c := lease.Client{Owner: "\x01" + string(mac[:]), MAC: string(mac[:]), Hostname: fmt.Sprint("machine-", n)}
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(first[:])+uint32(n))))
		all.Add(1)
		if _, err := book.Commit(c, a, time.Hour, func(error) { all.Done() }, pool); err != nil {
			return errors.Join(err, book.Close(), dir.Close())
		}
	}
	all.Wait()
	return errors.Join(book.Close(), dir.Close())
}
