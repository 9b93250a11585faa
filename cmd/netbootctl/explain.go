package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	flag "github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/explain"
	"github.com/coredhcp-netboot/suite/internal/firmware"
)

const explainUsage = `netbootctl explain tells what a machine would be answered, and why: the rule of the map that decides, each rule before it
with the reason why it did not, and every field and option of the reply that the whole chain of the configuration would
send. It runs the daemon's plugins on copies of their state; it opens no socket, and changes nothing.

Usage: netbootctl explain [flags]

The machine is described by flags, or its request is given by --hex, or a whole capture by --pcap.

Examples:
  netbootctl explain --arch uefi-x64 --mac 52:54:00:aa:bb:01      what the machine's firmware gets
  netbootctl explain --arch uefi-x64 --ipxe                       what iPXE gets then
  netbootctl explain --arch bios --features tftp,dns              a card's iPXE without HTTP
  netbootctl explain --arch uefi-x64 --firmware http --v6         UEFI HTTP boot by DHCPv6
  netbootctl explain --arch bios --relay 10.9.0.1 --circuit-id eth0
  netbootctl explain --arch uefi-x64 --port 4011                  what UEFI asks next beside another DHCP server
  netbootctl explain --hex 0101060011223344...                    the UDP payload of a request; - or a file's name too
  tcpdump -i eth1 -w boot.pcap port 67 or port 547; netbootctl explain --pcap boot.pcap
  netbootctl explain --against boot.yml.old                       what changes between two maps, for whom
  netbootctl explain --against boot.yml.old --pcap boot.pcap      ... for these machines

Exit status: 0, but 1 where --against finds a change, and 2 where the command line, the configuration or the input cannot
be read. Flags:
`

// explainFlags is what the verb explain is asked.
type explainFlags struct {
	config, hex, pcap, against string
	port                       uint16
	asJSON                     bool
	machine                    machineFlags
}

func explainVerb(args []string, in io.Reader, out, beside io.Writer) error {
	var f explainFlags
	fs := flag.NewFlagSet("netbootctl explain", flag.ContinueOnError)
	fs.SetNormalizeFunc(daemon.FlagName)
	fs.StringVarP(&f.config, "config", "c", "", "configuration file (default: where netboot-dhcpd looks)")
	f.machine.add(fs)
	fs.Uint16Var(&f.port, "port", 67, "port of DHCPv4 that it asks; 4011 is where UEFI asks for its file beside another DHCP server")
	fs.StringVar(&f.hex, "hex", "", "the request's UDP payload: hex digits, a file of hex digits or bytes, or - for standard input")
	fs.StringVar(&f.pcap, "pcap", "", "answer each request of this capture (pcap or pcapng; - for standard input)")
	fs.StringVar(&f.against, "against", "", "tell only what changes against this older boot map")
	fs.BoolVar(&f.asJSON, "json", false, "print JSON")
	if err := parse(fs, args, explainUsage, out); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%q is no flag; see netbootctl explain --help", fs.Arg(0))
	}
	described := f.machine.given(fs)
	if (f.hex != "" && f.pcap != "") || described != "" && (f.hex != "" || f.pcap != "") {
		return errors.New("give one of --hex, --pcap, and the flags of a machine (" + described + ")")
	}
	path, err := configuration(f.config)
	if err != nil {
		return err
	}
	p := printer{out: out, asJSON: f.asJSON, style: explain.Style{Colour: colourful(out)}}
	if f.port != 67 && f.port != explain.PortPXE || f.port == explain.PortPXE && f.machine.v6 {
		return fmt.Errorf("--port %d is none of such a request: DHCPv4 comes to 67 or 4011, and DHCPv6 to its own; correct it", f.port)
	}
	q, err := f.question(in, described)
	if err != nil {
		return err
	}
	defer q.close()
	if q.machine != nil && f.machine.arch+f.machine.firmware+f.machine.vendorClass == "" {
		fmt.Fprintln(beside, "netbootctl: without --arch this is an operating system, which boots nothing; give --arch, such as --arch uefi-x64, for a machine's firmware")
	}
	ask := p.answers
	if f.against != "" {
		ask = func(path string, q question) error { return p.changes(path, f.against, q) }
	}
	err = ask(path, q)
	var mistakes conf.Problems
	if errors.As(err, &mistakes) { // they stand for themselves, without the chain of who noticed
		here, _ := os.Getwd()
		for i := range mistakes {
			mistakes[i].File = shown(here, conf.Resolve(path, mistakes[i].File))
		}
		return mistakes
	}
	return err
}

// question is what is asked: one request, or a capture's; neither: every kind of machine.
type question struct {
	request []byte // as it was sent
	machine *firmware.Machine
	port    uint16
	capture *os.File
	stdin   io.Reader
}

// question reads what the flags name, before the working directory changes.
func (f *explainFlags) question(in io.Reader, described string) (q question, err error) {
	q.port = f.port
	switch {
	case f.pcap == "-":
		q.stdin = in
	case f.pcap != "":
		q.capture, err = os.Open(f.pcap)
	case f.hex != "":
		q.request, err = readPacket(f.hex, in)
	case described != "" || f.against == "":
		var m firmware.Machine
		m, err = f.machine.machine()
		q.machine = &m
	}
	return q, err
}

// of is the request as it is sent to this server.
func (q question) of(s *explain.Server) []byte {
	switch {
	case q.machine == nil:
		return q.request
	case q.port == explain.PortPXE:
		return s.AskPXE(*q.machine)
	}
	return q.machine.Request()
}

func (q question) pcap() io.Reader {
	if q.capture != nil {
		return q.capture
	}
	return q.stdin
}

func (q question) close() {
	if q.capture != nil {
		q.capture.Close()
	}
}

// printer shows results, to a person or to a program.
type printer struct {
	out    io.Writer
	asJSON bool
	style  explain.Style
}

// shownResult is a result.
type shownResult interface {
	Print(out io.Writer, style explain.Style) error
}

func (p printer) print(r shownResult) error {
	if !p.asJSON {
		return r.Print(p.out, p.style)
	}
	return writeJSON(p.out, r)
}

func (p printer) answers(path string, q question) (err error) {
	s, err := explain.Open(path, explain.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if r := q.pcap(); r != nil {
		replay, err := s.Replay(r)
		if err != nil {
			return fmt.Errorf("--pcap: the capture %w", err)
		}
		return p.print(&replay)
	}
	x := s.ExplainAt(q.of(s), q.port)
	return p.print(&x)
}

func (p printer) changes(path, against string, q question) error {
	old, err := filepath.Abs(against)
	if err != nil {
		return err
	}
	var changes explain.Changes
	switch {
	case q.pcap() != nil:
		changes, err = explain.CompareCapture(path, old, q.pcap())
	case q.request != nil || q.machine != nil:
		changes, err = explain.CompareRequest(path, old, q.of, q.port)
	default:
		changes, err = explain.CompareAll(path, old)
	}
	if err != nil {
		return err
	}
	if err := p.print(&changes); err != nil {
		return err
	}
	if len(changes.Changes) > 0 {
		return errFound
	}
	return nil
}

// colourful tells whether out is a terminal whose user has not refused colours (https://no-color.org).
func colourful(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
