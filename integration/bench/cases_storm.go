package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
	"github.com/coredhcp-netboot/suite/integration/load/storm"
	"github.com/coredhcp-netboot/suite/integration/load/tftp"
)

const (
	stormMachines = 1000
	stormDeadline = time.Minute
)

// sites are what a site runs to boot machines: one or two programs.
func stormSites() map[string][]*Server {
	return map[string][]*Server{
		"ours": {
			{Program: "netboot-dhcpd", Command: ours("warning", "1h")}, {Program: "netboot-tftpd", Command: oursFiles},
		},
		"dnsmasq":   {{Program: "dnsmasq", Command: dnsmasqBoot}},
		"dhcpd+hpa": {{Program: "dhcpd", Command: iscDHCPD}, {Program: hpaProgram, Command: hpa}},
	}
}

func (b *Bench) stormCases() []Case {
	sites := stormSites()
	var there []string
	for _, name := range slices.Sorted(maps.Keys(sites)) {
		if !slices.ContainsFunc(sites[name], func(s *Server) bool { _, err := b.Programs.Find(s.Program); return err != nil }) {
			there = append(there, name)
		}
	}
	of := func(reserved int) func(context.Context, string) (Sample, error) {
		return func(ctx context.Context, name string) (Sample, error) { return b.storm(ctx, sites[name], reserved) }
	}
	text := fmt.Sprintf("%d UEFI machines power on at once: lease, size query, 1 MB loader with windowsize 4, iPXE's lease, script; ",
		stormMachines)
	return []Case{
		{"storm", text + "each has a reserved address", there, of(stormMachines)},
		{"storm-pool", text + "addresses come from a pool", there, of(0)},
	}
}

// storm switches the machines of a site on.
func (b *Bench) storm(ctx context.Context, servers []*Server, reserved int) (sample Sample, err error) {
	sample.Metrics = map[string]float64{}
	dir, err := b.workDir("storm")
	if err != nil {
		return sample, err
	}
	site, err := NewSite(dir, Layout{Relayed: true})
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	plan := storm.Plan{Machines: stormMachines, Server: ip4(cableServer), Deadline: stormDeadline,
		Rules: dhcp.Rules{Server: ip4(cableServer), Leases: true}}
	if err := site.stormFiles(&plan); err != nil {
		return sample, err
	}
	site.script, site.hosts, site.reserved = plan.Script.Name, 0, reserved
	for _, s := range servers {
		running, err := b.Programs.Start(s, site)
		if err != nil {
			return sample, err
		}
		if s.Program == "netboot-dhcpd" || s.Program == "dhcpd" {
			continue // is looked at below
		}
		if err := serves(ctx, site, running, tftp.Plan{Request: tftp.Request{Server: ip4(cableServer),
			Name: plan.Script.Name, Want: plan.Script.Content}}); err != nil {
			return sample, err
		}
	}
	port, err := site.Port()
	if err != nil {
		return sample, err
	}
	defer port.Close()
	first := &dhcpRun{server: &Server{}, site: site, running: site.running[0], port: port}
	if reserved > 0 { // then a machine without a reservation may get no answer
		first.only = 1
	}
	if err := first.answers(ctx); err != nil {
		return sample, err
	}
	meter := startMeter(site)
	var result *storm.Result
	err = site.machines.Do(func() error {
		result, err = plan.Run(ctx, port)
		return err
	})
	if err != nil {
		return sample, err
	}
	meter.stop(sample.Metrics, "cpu_s", 1)
	noteStorm(&sample, result)
	return sample, site.Ended()
}

// stormFiles writes the loader and the script.
func (s *Site) stormFiles(p *storm.Plan) error {
	s.files = filepath.Join(s.dir, "files")
	loader := make([]byte, mega)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(loader); err != nil {
		return err
	}
	p.Loader = storm.File{Name: "ipxe.efi", Content: loader}
	p.Script = storm.File{Name: "boot.ipxe", Content: []byte("#!ipxe\necho booted\n")}
	for _, f := range []storm.File{p.Loader, p.Script} {
		if _, err := s.write(filepath.Join("files", f.Name), string(f.Content)); err != nil {
			return err
		}
	}
	return os.Chmod(s.files, 0o755)
}

func noteStorm(sample *Sample, r *storm.Result) {
	m := sample.Metrics
	m["booted"], m["all_s"], m["p50_s"] = float64(r.Booted), r.All.Seconds(), r.Boot.Quantile(.5).Seconds()
	if r.Booted < stormMachines {
		m["all_s"] = stormDeadline.Seconds()
	}
	m["dhcp_again"], m["tftp_again"], m["wrong"] = float64(r.DHCPAgain), float64(r.TFTPAgain), float64(r.Faults.Wrong())
	for step, h := range r.Steps {
		if h.Count() > 0 {
			sample.Notes = append(sample.Notes, fmt.Sprintf("%s: half within %.3f s, all within %.3f s", storm.Step(step),
				h.Quantile(.5).Seconds(), h.Max().Seconds()))
		}
		if r.Stuck[step] > 0 {
			sample.Notes = append(sample.Notes, fmt.Sprintf("%d machines did not get past: %s", r.Stuck[step], storm.Step(step)))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		sample.Notes = append(sample.Notes, fmt.Sprintf("%d transfers: %s", r.Errors[text], text))
	}
	for fault, count := range r.Faults.Count {
		if count > 0 {
			sample.Notes = append(sample.Notes, fmt.Sprintf("%d answers: %s: %s", count, dhcp.Fault(fault), r.Faults.Examples[fault]))
		}
	}
}
