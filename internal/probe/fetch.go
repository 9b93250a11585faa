package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/program"
)

// Fetch is a file that was fetched. Only its beginning is kept.
type Fetch struct {
	URL    *url.URL
	Size   int64
	SHA256 string
	Head   []byte // at most maxKept bytes
	Type   string // Content-Type, of HTTP
}

// maxKept is how much of a file is kept.
const maxKept = program.MaxLook

// fetchTime bounds one file, whatever trickles in.
const fetchTime = 5 * time.Minute

var errTooLong = errors.New("longer than the limit")

// sink hashes a file and keeps its beginning.
type sink struct {
	ctx  context.Context
	most int64
	size int64
	sum  hash.Hash
	head []byte
}

// Write takes a part, and refuses one that makes the file too long or comes after the context ended.
func (s *sink) Write(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if s.size += int64(len(b)); s.size > s.most {
		return 0, errTooLong
	}
	s.sum.Write(b)
	s.head = append(s.head, b[:min(len(b), maxKept-len(s.head))]...)
	return len(b), nil
}

// fetch gets the file as the firmware does.
func (m *Machine) fetch(ctx context.Context, net *stack, s Source) (*Fetch, error) {
	u, err := m.target(s)
	if err != nil {
		return nil, err
	}
	deadline, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	to := &sink{ctx: deadline, most: m.MaxSize, sum: sha256.New()}
	got := &Fetch{URL: u}
	began := time.Now()
	switch strings.ToLower(u.Scheme) {
	case "tftp":
		err = m.fetchTFTP(deadline, net, u, to)
	case "http", "https":
		if err = m.canHTTP(u); err == nil {
			got.Type, err = m.fetchHTTP(deadline, net, u, to)
		}
	default:
		err = stop("scheme", "serve the file by TFTP or HTTP", "the URL %q has a scheme that the probe cannot fetch by", u.String())
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case deadline.Err() != nil:
		return nil, stop("slow", "look for packet loss on the way", "%q was not there after %s", u.String(), fetchTime)
	case err != nil && strings.Contains(err.Error(), errTooLong.Error()):
		return nil, stop("too-long", "name a boot program, or raise --max-size", "%q is longer than %d bytes", u.String(), m.MaxSize)
	case err != nil:
		return nil, err
	}
	got.Size, got.Head, got.SHA256 = to.size, to.head, hex.EncodeToString(to.sum.Sum(nil))
	took := time.Since(began)
	m.tell("FETCHED", nil, "%q: %d bytes in %s, sha256 %s", u.String(), got.Size, took.Round(time.Millisecond), got.SHA256)
	return got, nil
}

// target is the source as a URL.
func (m *Machine) target(s Source) (*url.URL, error) {
	name, ipxe := s.File, m.Firmware.Firmware == netboot.FirmwareIPXE
	if ipxe {
		name = m.expand(name, s)
	}
	if m.Firmware.V6 || m.Firmware.Firmware == netboot.FirmwareHTTP || ipxe && hierarchical(name) {
		u, err := url.Parse(name)
		if err != nil || u.Host == "" {
			return nil, stop("bad-url", "write it like http://192.0.2.1/boot.ipxe", "%q is no URL", name)
		}
		return u, nil
	}
	return &url.URL{Scheme: "tftp", Host: s.Server.String(), Path: "/" + name}, nil
}

// expand fills in what iPXE would: its settings, as far as they are known here.
func (m *Machine) expand(name string, s Source) string {
	if !strings.Contains(name, "${") {
		return name
	}
	mac, address := m.Firmware.MAC.String(), ""
	if len(m.leases) > 0 {
		address = m.leases[len(m.leases)-1].address.String()
	}
	arch := map[string]string{"bios": "i386", "uefi-ia32": "i386", "uefi-x64": "x86_64", "uefi-arm32": "arm32", "uefi-arm64": "arm64"}[m.Firmware.Arch.String()]
	platform := "efi"
	if arch == "i386" && m.Firmware.Arch.String() == "bios" {
		platform = "pcbios"
	}
	known := map[string]string{"mac": mac, "net0/mac": mac, "netX/mac": mac, "mac:hexhyp": m.Firmware.MAC.Hyphenated(), "net0/mac:hexhyp": m.Firmware.MAC.Hyphenated(),
		"uuid": m.Firmware.UUID.String(), "ip": address, "net0/ip": address, "netX/ip": address, "buildarch": arch, "platform": platform,
		"next-server": s.Server.String(), "net0/next-server": s.Server.String(), "filename": s.File, "net0/filename": s.File}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(name, "${")
		out.WriteString(before)
		setting, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			return out.String()
		}
		value, is := known[setting]
		if !is {
			m.remark(note("setting", "the probe does not know iPXE's setting %q, and leaves it empty", setting))
		}
		out.WriteString(value)
		name = after
	}
}

// canHTTP tells whether this firmware can fetch the URL at all.
func (m *Machine) canHTTP(u *url.URL) error {
	if m.Firmware.Firmware != netboot.FirmwareIPXE {
		return nil
	}
	want, name := netboot.FeatureHTTP, "HTTP"
	if strings.EqualFold(u.Scheme, "https") {
		want, name = netboot.FeatureHTTPS, "HTTPS"
	}
	if !m.Firmware.V6 && !m.Firmware.Features.Has(want) {
		return stop("no-feature", "chain a full iPXE first (boot.yml: lacks: [http]), or serve the script by TFTP", "this iPXE has no %s, and is given %q: \"Operation not supported\"", name, u.String())
	}
	return nil
}

func (m *Machine) fetchTFTP(ctx context.Context, net *stack, u *url.URL, to *sink) error {
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		if ip, err = net.lookup(ctx, u.Hostname()); err != nil {
			return err
		}
	}
	if ip.IsLinkLocalUnicast() && ip.Zone() == "" {
		ip = ip.WithZone(m.link.Interface.Name)
	}
	port := uint64(69)
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil {
			return stop("bad-url", "write it like tftp://192.0.2.1/boot.ipxe", "%q is no URL", u.String())
		}
	}
	server, name := netip.AddrPortFrom(ip, uint16(port)), strings.TrimPrefix(u.Path, "/")
	if m.Firmware.V6 {
		name, _, _ = strings.Cut(name, ";mode=")
	}
	options, err := m.askTFTP(ctx, net, server, name)
	if err != nil {
		return err
	}
	m.tell("TFTP", nil, "%s accepts the request for %q: %s", server, name, accepted(options))
	if size, err := strconv.ParseInt(options["tsize"], 10, 64); err == nil && size > m.MaxSize {
		return errTooLong
	}
	return m.receiveTFTP(ctx, net, server, name, to)
}

func accepted(options map[string]string) string {
	var words []string
	for _, name := range []string{"tsize", "blksize", "windowsize"} {
		if v, ok := options[name]; ok {
			words = append(words, name+" "+v)
		}
	}
	if len(words) == 0 {
		return "no options, blocks of 512 bytes"
	}
	return strings.Join(words, ", ")
}

// judge looks at what was fetched: the end of the boot, or next: it is iPXE, which asks anew.
func (m *Machine) judge(f *Fetch) (v Verdict, next bool, err error) {
	is := program.Head(f.Head)
	m.tell("FILE", nil, "%q is %s", f.URL.String(), is)
	ipxe := m.Firmware.Firmware == netboot.FirmwareIPXE
	switch {
	case is.Kind == program.HTML:
		return v, false, stop("html", "let the HTTP server answer 404 for what is not there, and correct the name", "%q is an HTML page, %d bytes: most likely the server's page for a missing file", f.URL.String(), f.Size)
	case is.Kind == program.Empty:
		return v, false, stop("empty", "put the program there", "%q is an empty file", f.URL.String())
	case ipxe && is.Kind == program.Script:
		return m.judgeScript(f)
	case is.Kind == program.Script:
		return v, false, stop("script-for-firmware", "give scripts to iPXE only (user class iPXE, option 175), and firmware an iPXE program", "%q is an iPXE script, and who asks is not iPXE", f.URL.String())
	case !ipxe && m.Firmware.Firmware == netboot.FirmwareHTTP && (is.Kind == program.ISO || strings.EqualFold(f.Type, "application/vnd.efi-img")):
		return m.boots("the firmware boots %q as a RAM disk", f.URL.String()), false, nil
	case !is.RunsOn(m.Firmware.Arch) && (!ipxe || is.Kind != program.Linux):
		return v, false, m.wrongProgram(f, is)
	case !is.IPXE && !netboot.IsIPXEBinary(f.URL.Path):
		return m.boots("%s starts %q, %s; what that does next is not followed", m.stage(), f.URL.String(), is), false, nil
	case ipxe && m.Firmware.Features.Has(netboot.UsualFeatures(m.Firmware.Arch)):
		return v, false, errLoop(m.Firmware.Arch)
	}
	return v, true, nil
}

func (m *Machine) boots(text string, args ...any) Verdict {
	return Verdict{Boots: true, Code: "boots", Text: fmt.Sprintf(text, args...)}
}

func (m *Machine) wrongProgram(f *Fetch, is program.Program) *Stop {
	what := is.String()
	if is.Kind == program.Raw && m.Firmware.Arch.String() != "bios" {
		what = "a BIOS image, or no program at all"
	}
	kind := "UEFI"
	if m.Firmware.Arch.String() == "bios" {
		kind = "BIOS"
	}
	return stop("wrong-program", fmt.Sprintf("give machines of architecture %d (%s) a program of their own: choose the file by option 93", m.Firmware.Arch, m.Firmware.Arch),
		"file is %s for a %s client: %q cannot run on %s", what, kind, f.URL.String(), m.Firmware.Arch)
}

func errLoop(code netboot.Arch) *Stop {
	return stop("loop", "give iPXE a script and never iPXE: test the user class iPXE and option 175 before the architecture (dnsmasq: dhcp-match=set:ipxe,175)",
		"loop: iPXE is offered iPXE again (%s)", code)
}
