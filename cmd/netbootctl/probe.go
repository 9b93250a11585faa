package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	flag "github.com/spf13/pflag"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/probe"
)

const probeUsage = `netbootctl probe boots a machine that does not exist on a real network, against anybody's servers: it asks for an address
as the firmware does, shows every answer, chooses among them by the firmware's own rules, fetches the boot file, looks
whether the machine can run it, becomes iPXE where that is the file, and lists what the script names. It runs nothing.
The verdict says where the boot stops, and the likely cause.

The machine has a MAC address of its own, so the host's leases are not touched. It releases the address that it took when
it ends, also by Ctrl-C. A machine's own --mac gets that machine's lease, and releases it: if it is switched on, add
--offer-only. Servers on this very host do not hear the probe.

On Wi-Fi, and where a hypervisor or a switch passes known MAC addresses alone, give --mac the interface's own: an address
that the host itself has is not released.

Raw frames need root or CAP_NET_RAW. The file is fetched by the host's network stack, which needs an address on the same
network; --as-machine instead makes a macvlan with the machine's address in a network namespace of its own, for as long
as the probe runs (root; not on Wi-Fi).

Usage: netbootctl probe --iface NAME --arch ARCH [flags]

Examples:
  sudo netbootctl probe --iface eth0 --arch uefi-x64              UEFI PXE, then iPXE, to the script
  sudo netbootctl probe --iface eth0 --arch uefi-x64 --firmware http
  sudo netbootctl probe --iface eth0 --arch bios --ipxe --features tftp,dns    a card's poor iPXE
  sudo netbootctl probe --iface eth0 --arch bios --mac 52:54:00:aa:bb:01 --offer-only
  sudo netbootctl probe --iface eth1 --arch uefi-arm64 --as-machine            eth1 has no address
  sudo netbootctl probe --iface eth0 --arch uefi-x64 --v6 --json

Exit status: 0 if the machine boots, 1 if not, 2 for a wrong command line or trouble of this host. Flags:
`

// probeFlags is what the verb probe is asked.
type probeFlags struct {
	iface     string
	machine   machineFlags
	config    probe.Config
	megabytes int64
	asJSON    bool
}

func (f *probeFlags) add(fs *flag.FlagSet) {
	fs.StringVarP(&f.iface, "iface", "i", "", "interface to boot on")
	f.machine.addHere(fs)
	fs.BoolVar(&f.config.OfferOnly, "offer-only", false, "take no address: look at the offers, and fetch what they name")
	fs.BoolVar(&f.config.AsMachine, "as-machine", false, "fetch with the machine's own address, from a network namespace of its own")
	fs.DurationVar(&f.config.Collect, "collect", 4*time.Second, "how long offers are collected; UEFI takes 4s")
	fs.DurationVar(&f.config.Timeout, "timeout", 10*time.Second, "how long a server may be silent")
	fs.Int64Var(&f.megabytes, "max-size", 64, "most MiB of a file that are read; they are hashed, not kept")
	fs.BoolVar(&f.asJSON, "json", false, "print JSON, once, at the end")
}

// played are the architectures whose firmware's rules are known.
func played() (names []string) {
	for _, name := range netboot.ArchNames() {
		if name == "bios" || strings.HasPrefix(name, "uefi-") {
			names = append(names, name)
		}
	}
	return names
}

func probeVerb(args []string, out, beside io.Writer) error {
	var f probeFlags
	fs := flag.NewFlagSet("netbootctl probe", flag.ContinueOnError)
	f.add(fs)
	if err := parse(fs, args, probeUsage, out); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%q is no flag; name the interface with --iface", fs.Arg(0))
	}
	f.machine.given(fs)
	if err := f.understand(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	return f.run(ctx, out, beside)
}

// understand reads the flags. Every wrong one is told.
func (f *probeFlags) understand() (err error) {
	f.config.Firmware, err = f.machine.machine()
	errs := []error{err}
	wrong := func(text string, args ...any) { errs = append(errs, fmt.Errorf(text, args...)) }
	if f.iface == "" {
		wrong("--iface: name the interface to boot on")
	}
	m := &f.config.Firmware
	if hw := m.MAC.Bytes(); len(hw) > 0 && (len(hw) != 6 || hw[0]&1 != 0) {
		wrong("--mac: %s is no machine's on Ethernet; six bytes, the first of them even", m.MAC)
	}
	if name := m.Arch.String(); f.machine.arch != "" && name != "bios" && !strings.HasPrefix(name, "uefi-") {
		wrong("--arch: how firmware of %s chooses is not known here; use one of %s", f.machine.arch, strings.Join(played(), ", "))
	}
	if err == nil && m.Firmware == netboot.FirmwareNone {
		wrong("--arch: name what the machine can run, one of %s", strings.Join(played(), ", "))
	}
	if m.Firmware == netboot.FirmwareHTTP && m.Arch.String() == "bios" {
		wrong("--firmware: no BIOS boots by HTTP; leave it out, or use pxe")
	}
	if f.config.OfferOnly && f.config.AsMachine {
		wrong("--as-machine: needs the address that --offer-only does not take; leave one of them out")
	}
	if f.config.Collect <= 0 || f.config.Timeout <= 0 {
		wrong("--timeout, --collect: must be longer than 0")
	}
	if f.config.MaxSize = f.megabytes << 20; f.megabytes <= 0 || f.megabytes > 1<<20 {
		wrong("--max-size: must be between 1 and 1048576")
	}
	return errors.Join(errs...)
}

// run plays the machine, and shows it.
func (f *probeFlags) run(ctx context.Context, out, terminal io.Writer) error {
	link, err := probe.OpenLink(f.iface)
	if err != nil {
		return err
	}
	defer link.Close()
	var report *probe.Report
	waits := newProgress(terminal)
	defer waits.stop()
	f.config.Told = func(e probe.Event) {
		report.Timeline = append(report.Timeline, e)
		if !f.asJSON {
			waits.clear()
			err = errors.Join(err, probe.WriteEvent(out, e))
		}
	}
	m := probe.New(link, f.config)
	defer func() { _ = m.Close() }() // also in a panic
	report = m.Report()
	if !f.asJSON {
		err = report.WriteHead(out)
	}
	verdict, failed := m.Boot(ctx)
	err = errors.Join(err, m.Close()) // the lease goes back whatever happened
	waits.stop()
	if failed != nil {
		if errors.Is(failed, context.Canceled) {
			failed = errors.New("interrupted")
		}
		return errors.Join(failed, err)
	}
	report.Verdict, report.Notes = verdict, append(report.Notes, m.Notes()...)
	if f.asJSON {
		err = errors.Join(err, report.WriteJSON(out))
	} else {
		err = errors.Join(err, verdict.Write(out))
	}
	if err == nil && !verdict.Boots {
		err = errFound
	}
	return err
}
