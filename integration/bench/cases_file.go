package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/relay"
	"github.com/coredhcp-netboot/suite/integration/load/tftp"
)

const (
	// resend is after what time a client sends its last packet again. iPXE waits 0.25 s, EDK2 4 s.
	resend = time.Second
	// patience is how long a transfer may take at all: firmware gives up after some 24 s of silence.
	patience = 15 * time.Second
	mega     = 1 << 20
)

// fetch is a case of files.
type fetch struct {
	name          string
	size          int
	clients, each int // each: 0 means as many as fit into the time
	blksize       int
	windowsize    int
	rtt           time.Duration
	loss          float64 // in percent
	http          bool    // HTTP takes part, as upper reference
}

// fetches are the cases of one wire after the other.
func fetches() []fetch {
	return []fetch{
		{"tftp-1-w1", mega, 1, 0, 1468, 1, 0, 0, true},
		{"tftp-1-w1-b512", mega, 1, 0, 512, 1, 0, 0, false},
		{"tftp-1-w4", mega, 1, 0, 1468, 4, 0, 0, false},
		{"tftp-1-w16", mega, 1, 0, 1468, 16, 0, 0, false},
		{"tftp-1-w64", 30 * mega, 1, 0, 1468, 64, 0, 0, true},
		{"tftp-10-w1", mega, 10, 0, 1468, 1, 0, 0, false},
		{"tftp-10-w16", mega, 10, 0, 1468, 16, 0, 0, false},
		{"tftp-100-w1", mega, 100, 3, 1468, 1, 0, 0, true},
		{"tftp-100-w16", mega, 100, 5, 1468, 16, 0, 0, false},
		{"tftp-1000-w1", mega, 1000, 1, 1468, 1, 0, 0, false},
		{"tftp-1000-w16", mega, 1000, 1, 1468, 16, 0, 0, false},
		{"tftp-rtt1-w1", mega, 1, 0, 1468, 1, time.Millisecond, 0, true},
		{"tftp-rtt1-w4", mega, 1, 0, 1468, 4, time.Millisecond, 0, false},
		{"tftp-rtt1-w16", mega, 1, 0, 1468, 16, time.Millisecond, 0, false},
		{"tftp-rtt1-w64", mega, 1, 0, 1468, 64, time.Millisecond, 0, false},
		{"tftp-rtt10-w1", mega, 1, 1, 1468, 1, 10 * time.Millisecond, 0, true},
		{"tftp-rtt10-w16", mega, 1, 0, 1468, 16, 10 * time.Millisecond, 0, false},
		{"tftp-rtt10-w64", mega, 1, 0, 1468, 64, 10 * time.Millisecond, 0, false},
		{"tftp-loss1-w1", mega, 8, 1, 1468, 1, time.Millisecond, 1, true},
		{"tftp-loss1-w16", mega, 8, 1, 1468, 16, time.Millisecond, 1, false},
		{"tftp-loss5-w1", mega, 8, 1, 1468, 1, time.Millisecond, 5, true},
		{"tftp-loss5-w16", mega, 8, 1, 1468, 16, time.Millisecond, 5, false},
	}
}

// text is what the case does, for the report.
func (f fetch) text() string {
	text := fmt.Sprintf("%d clients at once fetch %d MB, ", f.clients, f.size/mega)
	if f.clients == 1 {
		text = fmt.Sprintf("one client fetches %d MB, ", f.size/mega)
	}
	text += fmt.Sprintf("blksize %d, windowsize %d", f.blksize, f.windowsize)
	if f.rtt > 0 {
		text += fmt.Sprintf(", %s there and back", f.rtt)
	}
	if f.loss > 0 {
		text += fmt.Sprintf(", %g %% lost each way", f.loss)
	}
	return text
}

// bound is what a measured round trip, in milliseconds, allows, in MB/s: a window for each.
func (f fetch) bound(rtt float64) float64 {
	return float64(f.windowsize*f.blksize*f.clients) / rtt / 1e3
}

func (b *Bench) fileCases() []Case {
	var cases []Case
	byName := b.installed(fileServers())
	for _, f := range fetches() {
		c := Case{Name: f.name, Text: f.text(), Run: func(ctx context.Context, name string) (Sample, error) {
			return b.fetch(ctx, byName[name], f)
		}}
		for _, s := range fileServers() {
			windows := s.Name == "ours" || s.Name == "atftpd" // the others know none
			if byName[s.Name] == nil || f.windowsize > 1 && !windows && s.Name != "ours-http" || s.Name == "ours-http" && !f.http {
				continue
			}
			c.Servers = append(c.Servers, s.Name)
		}
		cases = append(cases, c)
	}
	return cases
}

// content is a file of the wanted size that is the same in every run, and where the servers find it. It is written once:
// boot files are old, and what a server keeps in memory of them may depend on that.
func (b *Bench) content(size int) (dir, name string, want []byte, err error) {
	if dir, err = filepath.Abs(filepath.Join(b.Out, "work", "files")); err != nil {
		return "", "", nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", nil, err
	}
	random := rand.NewChaCha8([32]byte{byte(size >> 20)})
	want = make([]byte, size)
	if _, err := random.Read(want); err != nil {
		return "", "", nil, err
	}
	name = fmt.Sprintf("%d.bin", size)
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err == nil && info.Size() == int64(size) {
		return dir, name, want, nil
	}
	return dir, name, want, os.WriteFile(path, want, 0o644)
}

// fetch measures a server of files.
func (b *Bench) fetch(ctx context.Context, s *Server, f fetch) (sample Sample, err error) {
	sample.Metrics = map[string]float64{}
	dir, err := b.workDir(s.Name)
	if err != nil {
		return sample, err
	}
	layout := Layout{Relayed: true, Offload: true}
	if f.rtt > 0 || f.loss > 0 {
		layout.Wire = &relay.Wire{Delay: f.rtt / 2, Loss: f.loss / 100, Seed: uint64(b.work)}
	}
	site, err := NewSite(dir, layout)
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	files, name, want, err := b.content(f.size)
	if err != nil {
		return sample, err
	}
	site.files = files
	running, err := b.Programs.Start(s, site)
	if err != nil {
		return sample, err
	}
	plan := tftp.Plan{Request: tftp.Request{From: ip4(poolFirst), Server: ip4(cableServer), Name: name, Want: want,
		Options: windowed(f.blksize, f.windowsize), Resend: resend, Deadline: patience},
		Clients: f.clients, Each: f.each, CPU: -1}
	if plan.Each == 0 {
		plan.Each, plan.For = 1<<20, b.Time
	}
	if f.clients == 1000 {
		plan.Deadline = time.Minute
	}
	if err := serves(ctx, site, running, plan); err != nil {
		return sample, err
	}
	if layout.Wire != nil {
		rtt, err := relay.RoundTrip(site.machines.Do, site.server.Do, ip4(cableServer))
		if err != nil {
			return sample, err
		}
		sample.Metrics["rtt_ms"] = milliseconds(rtt)
	}
	meter := startMeter(site)
	result, err := b.transfer(ctx, site, s, plan)
	if err != nil {
		return sample, err
	}
	meter.stop(sample.Metrics, "cpu_gb", float64(result.Bytes)/1e9)
	noteFetch(&sample, result, f)
	return sample, running.Ended()
}

// transfer fetches by TFTP or HTTP.
func (b *Bench) transfer(ctx context.Context, site *Site, s *Server, p tftp.Plan) (result *tftp.Result, err error) {
	if s.Name == "ours-http" {
		return fetchHTTP(ctx, site, p)
	}
	err = site.machines.Do(func() error {
		result, err = p.Run(ctx)
		return err
	})
	return result, err
}

// serves waits until the server has given the file to one client.
func serves(ctx context.Context, site *Site, running *Running, p tftp.Plan) error {
	p.From = ip4(machinesGate)
	p.Clients, p.Each, p.Resend, p.Deadline, p.For = 1, 1, 100*time.Millisecond, 20*time.Second, 0
	p.Probe = true // any answer will do: an OACK, an ERROR, or the first block
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		var result *tftp.Result
		err := site.machines.Do(func() (err error) {
			result, err = p.Run(ctx)
			return err
		})
		if err != nil || result.Done > 0 {
			return err
		}
		if err := running.Ended(); err != nil {
			return err
		}
	}
	return errors.New("the server did not serve within 20 s")
}

func noteFetch(sample *Sample, r *tftp.Result, f fetch) {
	m := sample.Metrics
	m["mb_s"] = float64(r.Bytes) / 1e6 / r.Elapsed.Seconds()
	if half := r.Took.Quantile(.5); f.loss > 0 && half > 0 { // of one transfer: a last one alone would bend the sum
		m["mb_s"] = float64(f.size) / 1e6 / half.Seconds()
	}
	m["p50_ms"], m["p99_ms"] = milliseconds(r.Took.Quantile(.5)), milliseconds(r.Took.Quantile(.99))
	m["done"], m["failed"] = float64(r.Done), float64(r.Failed)
	m["rrqs"], m["acks"], m["duplicates"] = float64(r.RRQs), float64(r.ACKs), float64(r.Duplicates)
	m["clients"] = r.CPU.Seconds() / max(r.Elapsed.Seconds(), 1e-3)
	if rtt := m["rtt_ms"]; rtt > 0 && f.loss == 0 {
		m["of_bound"] = m["mb_s"] / f.bound(rtt) * 100
	}
	for text, n := range r.Errors {
		sample.Notes = append(sample.Notes, fmt.Sprintf("%d transfers: %s", n, strings.TrimSpace(text)))
	}
	slices.Sort(sample.Notes)
}
