package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// machine is a virtual machine that hangs on the lab's wire.
type machine struct {
	name string
	kind Kind
	dir  string
	tap  string
	mac  net.HardwareAddr
	uuid string
	dead int // network cards without a wire
}

// Boot is what came of a machine's power on: what it did, and whether that is what a network boot is.
type Boot struct {
	Name    string
	Kind    Kind
	MAC     net.HardwareAddr
	Dir     string // serial.log, wire.pcap, timeline.txt, the emulator's command line
	PowerOn time.Time
	Done    time.Time // when the script's last line came; zero if it did not
	Console []Line
	Trace   wire.Trace
	Checks  []Check
	// Trouble is why the lab ended the machine before its script was done: nil, a timeout, a firmware that gave up.
	Trouble error
}

// gaveUp are the last words of firmware, and of the lab's scripts, that found nothing to boot.
var gaveUp = []string{"No bootable device", "Shell>", says + failed}

// Boot powers a machine on and watches it until its script is done, it gives up, or ctx ends. An error means that
// the lab could not do its work; how the machine fared is in the Boot.
func (l *Lab) Boot(ctx context.Context, name string, kind Kind) (*Boot, error) {
	m, err := l.assemble(name, kind)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", name, err)
	}
	b, err := l.run(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", name, err)
	}
	b.Checks = l.judge(b)
	return b, b.save()
}

// assemble gives a machine its directory, its place on the wire and its addresses.
func (l *Lab) assemble(name string, kind Kind) (*machine, error) {
	l.mu.Lock()
	l.machines++
	number := l.machines
	l.mu.Unlock()
	m := &machine{
		name: name,
		kind: kind,
		dead: l.DeadCards,
		dir:  filepath.Join(l.Dir, name),
		tap:  fmt.Sprintf("tap%d", number),
		mac:  net.HardwareAddr{0x52, 0x54, 0x00, 0x6c, 0x61, byte(number)},
		uuid: fmt.Sprintf("00112233-4455-6677-8899-aabbccddee%02x", number),
	}
	return m, errors.Join(os.MkdirAll(m.dir, 0o755), l.wire.Tap(m.tap, bridge))
}

func (l *Lab) run(ctx context.Context, m *machine) (b *Boot, err error) {
	args, err := m.arguments()
	if err != nil {
		return nil, err
	}
	screen, err := newConsole(filepath.Join(m.dir, "serial.log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	complaints, err := os.Create(filepath.Join(m.dir, "qemu.log"))
	if err != nil {
		return nil, err
	}
	defer complaints.Close()
	cmd := l.wire.Command(m.emulator(), args...)
	cmd.Stdout, cmd.Stderr = screen, complaints
	if err := os.WriteFile(filepath.Join(m.dir, "qemu.txt"), []byte(cmd.String()+"\n"), 0o644); err != nil {
		return nil, err
	}
	var capture *wire.Capture
	err = l.wire.Do(func() error {
		capture, err = wire.Record(m.tap, filepath.Join(m.dir, "wire.pcap"))
		return err
	})
	if err != nil {
		return nil, err
	}
	b = &Boot{Name: m.name, Kind: m.kind, MAC: m.mac, Dir: m.dir, PowerOn: time.Now()}
	process, err := l.wire.Start(cmd)
	if err != nil {
		_, stopErr := capture.Stop()
		return nil, errors.Join(err, stopErr)
	}
	b.Done, b.Trouble = l.watch(ctx, m.name, screen, process)
	err = process.Stop()
	frames, stopErr := capture.Stop()
	b.Console = screen.All()
	b.Trace = wire.Read(frames, m.mac)
	return b, errors.Join(err, stopErr)
}

// watch waits for the end of a machine's boot, good or bad.
func (l *Lab) watch(ctx context.Context, name string, screen *console, p *nettest.Process) (time.Time, error) {
	told := 0
	var over error
	for {
		finished, growing := screen.Lines()
		for ; told < len(finished); told++ {
			line := finished[told]
			if strings.Contains(line.Text, l.marker()) {
				return line.At, nil
			}
			if l.Watch != nil {
				l.Watch(name, line.Text)
			}
		}
		for _, line := range append(finished, growing) {
			for _, words := range gaveUp {
				if strings.Contains(line.Text, words) {
					return time.Time{}, fmt.Errorf("it gave up: %q", line.Text)
				}
			}
		}
		if over != nil {
			return time.Time{}, over
		}
		// One more look at the console follows each of these: the decisive line may have come with the end.
		select {
		case <-screen.changed:
			over = l.ended()
		case <-p.Done():
			over = fmt.Errorf("the emulator ended before the script was done: %s", fmt.Sprint(p.Err()))
		case <-ctx.Done():
			over = fmt.Errorf("the script was not done in time: %w", context.Cause(ctx))
		}
	}
}
